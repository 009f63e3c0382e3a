"""Messages become few timeline messages; every one of them is accounted for by its position."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake.sample import NOW, NOW_MS, SOURCE, Message, event, in_session, raw

from streams.intake.batches import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Batcher, Taken
from streams.intake.cloudevents import Reader
from streams.intake.reasons import Reason, Rejection
from streams.intake.redact import Redactor
from streams.records import IntakeRejected, Watermarks
from streams.records.deadletters import pack
from streams.records.deadletters import unpack as unpack_letter
from streams.records.timeline import Timed, partition_of, unpack
from streams.replaying.reading import Reading, trusted

PARTITIONS = 4


def batcher(reader: Reader | None = None) -> Batcher:
    return Batcher(reader or Reader(), Redactor(), PARTITIONS)


def taken(*messages: Message, source: str = SOURCE) -> Taken:
    working = batcher()
    working.take(source, messages)
    return working.done()


def events(result: Taken) -> list[tuple[int, Timed]]:
    found: list[tuple[int, Timed]] = []
    for batch in result.batches:
        unpacked = unpack(batch.value, batch.headers)
        assert not isinstance(unpacked, Watermarks)
        found += [(batch.partition, each) for each in unpacked]
    return found


def test_a_session_goes_to_one_partition_in_its_order() -> None:
    messages = [Message(n, in_session(f"s-{n % 7}", id=f"e-{n}"), key=b"%d" % n) for n in range(500)]
    found = events(taken(*messages))
    assert len(found) == 500
    for partition, each in found:
        assert partition == partition_of(each.data.ctx.root, PARTITIONS)
    for session in {each.data.ctx.session_id for _, each in found}:
        offsets = [e.position.offset for _, e in found if e.data.ctx.session_id == session and e.position]
        assert offsets == sorted(offsets)


def test_a_subagents_events_follow_its_root_session() -> None:
    child = event()
    child["data"]["ctx"] |= {"session_id": "child", "root_session_id": "root"}
    [(partition, _)] = events(taken(Message(0, msgspec.json.encode(child))))
    assert partition == partition_of("root", PARTITIONS)


def test_positions_name_source_and_offset_also_when_sources_are_mixed() -> None:
    working = batcher()
    working.take("agent.events/1/0", [Message(5, in_session("s")), Message(9, in_session("s"))])
    working.take("agent.events/1/3", [Message(5, in_session("s"))])
    positions = [str(each.position) for _, each in events(working.done())]
    assert positions == ["agent.events/1/0/5", "agent.events/1/0/9", "agent.events/1/3/5"]


def test_a_message_holds_at_most_100_events() -> None:
    result = taken(*(Message(n, in_session("s")) for n in range(250)))
    assert [batch.value.count(b"\n") + 1 for batch in result.batches] == [BATCH_EVENTS_MAX, BATCH_EVENTS_MAX, 50]


def test_a_message_holds_at_most_256_kib() -> None:
    result = taken(*(Message(n, in_session("s", dataref="x" * 2000, subject="y" * 1000)) for n in range(100)))
    assert len(result.batches) == 2
    assert all(len(batch.value) <= BATCH_BYTES_MAX for batch in result.batches)
    assert len(events(result)) == 100


def test_the_batcher_starts_afresh_after_each_poll() -> None:
    working = batcher()
    working.take(SOURCE, [Message(0, raw()), Message(1, b"no")])
    working.done()
    assert working.done() == batcher().done()


def test_duplicates_are_kept_readers_know_them_by_their_positions() -> None:
    assert len(events(taken(Message(0, raw()), Message(1, raw())))) == 2


def test_a_refused_message_is_a_dead_letter_and_an_event_of_its_agent() -> None:
    value = raw(time="yesterday", data={"duration_ms": -1})
    result = taken(Message(3, raw()), Message(4, value, b"key"))
    [letter] = result.letters
    assert (letter.reason, letter.value, letter.key, letter.agent) == ("invalid", value, b"key", "checkout-assistant")
    assert str(letter.position) == "agent.events/1/0/4"
    assert letter.at == NOW
    assert len(letter.errors) == 2
    [said] = [each for _, each in events(result) if isinstance(each, IntakeRejected)]
    assert said.position == letter.position == said.data.rejected
    assert said.data.ctx.root == "intake:checkout-assistant"
    assert (said.data.reason, said.data.pointer, said.time) == ("invalid", "/data/duration_ms", NOW)
    assert (result.messages, result.rejected) == (2, {"invalid": 1})


def test_a_message_whose_agent_nobody_can_make_out_is_counted_for_its_partition() -> None:
    [(_, said)] = events(taken(Message(0, b"\xff\xfe")))
    assert said.data.ctx.root == "intake:agent.events/0"


def test_an_endless_agent_name_still_makes_a_valid_event() -> None:
    found = event(time="yesterday")
    found["data"]["ctx"]["agent"]["id"] = "\N{SNOWMAN}" * 5000
    [(_, said)] = events(taken(Message(0, msgspec.json.encode(found))))
    assert len(said.data.ctx.session_id) == 256
    assert len(said.data.ctx.agent.id) == 256


def test_an_agent_name_that_is_a_secret_is_not_repeated() -> None:
    found = event(time="yesterday")
    found["data"]["ctx"]["agent"]["id"] = "ghp_" + "a1B2" * 9
    result = taken(Message(0, msgspec.json.encode(found)))
    [(_, said)] = events(result)
    assert "a1B2" not in said.data.ctx.agent.id + said.data.ctx.root + (result.letters[0].agent or "")


def test_secrets_in_error_texts_never_reach_the_timeline() -> None:
    value = raw(data={"error": {"template": "login with password=hunter2 failed"}})
    result = taken(Message(0, value))
    assert b"hunter2" not in result.batches[0].value
    assert b"<secret:assigned:" in result.batches[0].value
    assert result.redacted == {"assigned": 1}


def test_a_dead_letter_survives_its_headers() -> None:
    [letter] = taken(Message(4, b'{"agent":{"id":"a"}', b"\xff\x00key")).letters
    key, value, headers = pack(letter)
    assert key == b"agent.events/1/0/4"
    assert unpack_letter(value, headers) == letter
    [empty] = taken(Message(4, None)).letters
    assert unpack_letter(*pack(empty)[1:]) == empty


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("times", "newest"),
    [
        ([-60, -30, -45], -30),
        ([-60, 299], 299),
        ([-60, 301], -60),
        ([301], None),
        ([-60, 86_500], -60),
    ],
)
def test_the_newest_time_ignores_what_is_too_far_ahead(times: list[float], newest: float | None) -> None:
    result = taken(*(Message(n, raw(time=at(seconds))) for n, seconds in enumerate(times)))
    assert result.newest == {SOURCE: None if newest is None else NOW + timedelta(seconds=newest)}


def test_each_time_is_judged_by_the_arrival_of_its_own_message() -> None:
    day_s = 86_400
    late = Message(1, raw(time=at(day_s)), timestamp=NOW_MS + day_s * 1000)
    result = taken(Message(0, raw(time=at(-1))), late, Message(2, raw(time=at(2 * day_s)), timestamp=NOW_MS))
    assert result.newest == {SOURCE: NOW + timedelta(seconds=day_s)}
    assert [letter.reason for letter in result.letters] == [Reason.time_out_of_range]


def test_a_refused_message_moves_no_clock() -> None:
    assert taken(Message(0, b"no")).newest == {SOURCE: None}


def test_a_producers_broken_timestamp_is_no_reason_to_stop() -> None:
    result = taken(*(Message(n, raw(), timestamp=stamp) for n, stamp in enumerate((-1, 0, 2**62))))
    assert result.messages == 3
    assert len(events(result)) == 3


def test_sources_that_may_not_speak_are_refused_in_the_loop_too() -> None:
    working = batcher(Reader([("/elsewhere", ["*"])]))
    working.take(SOURCE, [Message(0, raw())])
    assert working.done().rejected == {Reason.source_not_allowed.value: 1}


def test_the_recorded_time_is_when_kafka_got_the_message_whatever_the_producer_said() -> None:
    early, later = NOW_MS + 7, NOW_MS + 123_456
    messages = [
        Message(0, raw(recordedtime="2020-01-01T00:00:00Z"), timestamp=early),
        Message(1, raw(), timestamp=early),
        Message(2, raw(time=at(200), recordedtime="2020-01-01T00:00:00Z"), timestamp=later),
        Message(3, raw(time=at(301), recordedtime="2020-01-01T00:00:00Z"), timestamp=early),  # looked at on its own
    ]
    recorded = [each.recordedtime for _, each in events(taken(*messages))]
    assert recorded == [NOW + timedelta(milliseconds=ms) for ms in (7, 7, 123_456, 7)]


@pytest.mark.parametrize("ahead_s", [-5, 299, 301, 86_399, 86_402])
def test_a_replay_of_the_stored_timeline_judges_the_future_as_the_live_run_did(ahead_s: float) -> None:
    live = taken(Message(0, raw(time=at(0))), Message(1, raw(time=at(ahead_s), recordedtime="2099-01-01T00:00:00Z")))
    reading = Reading()
    stored = [line for batch in live.batches for line in batch.value.split(b"\n") if b"intake.rejected" not in line]
    read = [reading.read(line, n) for n, line in enumerate(stored)]
    assert not any(isinstance(each, Rejection) for each in read)
    newest = max(each.time for each in read if trusted(each))
    assert {SOURCE: newest} == live.newest


VALUES = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.sampled_from(
        [raw(), raw("agent.llm.called.v1"), raw(time="yesterday"), raw(subject="x" * 200_000), b"[" * 5000]
    ),
    st.builds(in_session, st.text(min_size=1, max_size=5)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES, max_size=30))
def test_every_message_is_in_the_timeline_once_and_every_refused_one_is_a_dead_letter(
    values: list[bytes | None],
) -> None:
    result = taken(*(Message(n, value) for n, value in enumerate(values)))
    found = [each for _, each in events(result)]
    assert sorted(each.position.offset for each in found if each.position) == list(range(len(values)))
    refused = {each.position for each in found if isinstance(each, IntakeRejected)}
    assert refused == {letter.position for letter in result.letters}
    assert sum(result.rejected.values()) == len(result.letters)


def test_what_was_taken_is_the_same_as_the_reader_reads() -> None:
    values = [raw(), raw("agent.heartbeat.v1"), raw("agent.session.ended.v1")]
    one_by_one = [Reader().read(value, datetime.now(UTC)) for value in values]
    found = [each for _, each in events(taken(*(Message(n, value) for n, value in enumerate(values))))]
    for each in found:
        each.position = each.recordedtime = None  # the pipeline's own
    assert sorted(map(repr, found)) == sorted(map(repr, one_by_one))
