"""The two stages without Kafka: messages in, what is said and remembered out, exact wherever it crashes."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import builders as b
import msgspec
import pytest
from detect.story import Story
from detect.truth import Kept, Pair, findings, messages

from streams.detect.facts import unpack
from streams.detect.ports import Folded, Message, Saying
from streams.detect.scope.evaluator_failures import EvaluatorFailures
from streams.detect.session.cost import Spent
from streams.detect.shelf import Shelf
from streams.detect.stage import TooManyIsolated
from streams.records import ClockForwarded, Exposure, Facts, Position, ToolCalled, Watermark, deadletters, timeline
from streams.step import Order, Step


@pytest.fixture(scope="module")
def story() -> Story:
    return Story(seed=3, events=4000, sessions=150).tell()


def memory(value: bytes, name: str, kind: type) -> Any:
    kept = msgspec.msgpack.decode(value, type=Shelf).memories.get(name)
    return msgspec.msgpack.decode(kept.value, type=kind) if kept else None


def counters(pair: Pair) -> tuple[dict[str, int], Counter[Any]]:
    nano: dict[str, int] = {}
    for key, value in pair.sessions_kept.items():
        spent = None if key.startswith("\0") else memory(value, "cost.session", Spent)
        if spent:
            nano[key] = spent.nano
    scored: Counter[Any] = Counter()
    for key, value in pair.scopes_kept.items():
        held = None if key.startswith("\0") else memory(value, "eval.failure_rate", EvaluatorFailures.memory)
        for arm in held.state.arms if held else ():
            scored[(*held.words[1:3], "passed")] += arm.passed
            scored[(*held.words[1:3], "failed")] += arm.failed
    return nano, +scored


def test_every_event_counts_once_echoes_and_retries_do_not(story: Story) -> None:
    pair = Pair()
    for message in messages(story.messages):
        pair.feed([message])
    assert counters(pair) == (dict(story.nano), +story.scored)
    assert pair.sessions.counts.records == story.written


def test_groups_of_any_size_come_to_the_same(story: Story) -> None:
    found = []
    for size in (1, 7, 64, 10_000):
        pair, said = Pair(), []
        read = messages(story.messages)
        for start in range(0, len(read), size):
            said += pair.feed(read[start : start + size])
        found.append((counters(pair), {finding.id for finding in findings(said)}, exposures(said)))
    assert found[1:] == found[:1] * 3


def exposures(said: list[Saying]) -> Counter[Any]:
    read = [msgspec.json.decode(saying.value or b"", type=Exposure) for saying in said if saying.to == "exposure"]
    return Counter({(one.key, one.minute): one.sessions for one in read})


class Crashing(Pair):
    """Stops now and then between saying and remembering, or in the middle of remembering, and begins again there."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)

    def run(self, read: list[Message]) -> list[Saying]:
        said: list[Saying] = []
        at = 0
        while at < len(read):
            group = read[at : at + self.chance.randrange(1, 40)]
            folded = self.sessions.group(group)
            said += folded.said + self._scopes(folded)
            if self.chance.random() < 0.3:
                self._crash(folded)
                continue
            self.sessions_kept.write(folded)
            at += len(group)
        return said

    def _crash(self, folded: Folded) -> None:
        """Some of it may have reached the changelog: of each partition a beginning, its clock after its shelves."""
        writes = {p: items[: self.chance.randrange(len(items) + 1)] for p, items in folded.writes.items()}
        self.sessions_kept.write(Folded([], writes))
        again = Pair()
        again.sessions_kept.update(self.sessions_kept)
        again.sessions.rebuild(again.sessions_kept)
        self.sessions, self.sessions_kept = again.sessions, again.sessions_kept

    def _scopes(self, folded: Folded) -> list[Saying]:
        said: list[Saying] = []
        for saying in folded.said:
            if saying.to == "facts":
                wider = self.scopes.group([self._message(saying.partition or 0, saying.value)])
                self.scopes_kept.write(wider)
                said += wider.said
        return said


@pytest.mark.parametrize("seed", range(6))
def test_wherever_it_crashes_it_counts_once_and_finds_the_same(story: Story, seed: int) -> None:
    whole, expected = Pair(), []
    for message in messages(story.messages):
        expected += whole.feed([message])
    crashing = Crashing(seed)
    said = crashing.run(messages(story.messages))
    assert counters(crashing) == counters(whole)
    assert {finding.id for finding in findings(said)} == {finding.id for finding in findings(expected)}


# -- single messages --------------------------------------------------------------------------------------------------


def of_events(*events: Any, partition: int = 0, offset: int = 0) -> Message:
    places = [(f"agent.events/1/{partition}", offset * 1000 + n) for n in range(len(events))]
    value, headers = timeline.pack([timeline.encode(strip(event)) for event in events], places)
    return Message(partition, offset, b"key", value, headers, 1000)


def strip(event: Any) -> Any:
    event.position = None
    return event


def of_clock(seconds: float, partition: int = 0, offset: int = 0) -> Message:
    sources = {"agent.events/1/0": Watermark(newest=b.at(seconds))}
    report = b.watermarks(seconds, sources=sources, lateness_s=0.0)
    value, headers = timeline.pack_watermarks(report)
    return Message(partition, offset, None, value, headers, 1000)


def letters(said: list[Saying]) -> list[Any]:
    return [deadletters.unpack(saying.value, saying.headers) for saying in said if saying.to == "deadletters"]


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (b"{", [("kind", b"events"), ("positions", b"\x93\x90\x90\x90")]),
        (b"{}", []),
        (None, []),
        (b"\xff\xfe", [("kind", b"watermarks")]),
        (b"[" * 100_000, [("kind", b"watermarks")]),
    ],
)
def test_bytes_that_nobody_understands_become_a_dead_letter_and_it_goes_on(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    pair = Pair()
    bad = Message(2, 7, b"key", value, headers, 1_756_000_000_000)
    folded = pair.sessions.group([bad, of_events(b.session_started(0))])
    (letter,) = letters(folded.said)
    assert (letter.reason, letter.position, letter.value) == ("undecodable", Position("tocsin.timeline/2", 7), value)
    assert "s1" in {key for items in folded.writes.values() for key, _ in items}


def test_a_huge_one_is_cut() -> None:
    (letter,) = letters(Pair().sessions.group([Message(0, 1, None, b"x" * 600_000, (), 0)]).said)
    assert (len(letter.value), letter.truncated) == (65_536, 600_000)


def test_facts_that_nobody_understands_become_a_dead_letter() -> None:
    (letter,) = letters(Pair().scopes.group([Message(1, 3, None, b"{}\n{", (), 0)]).said)
    assert (letter.reason, letter.position) == ("undecodable", Position("tocsin.facts/1", 3))


class Broken:
    name, version, memory = "broken", 1, Spent
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "free"

    def key(self, record: ToolCalled) -> str:
        return record.data.ctx.session_id

    def step(self, memory: Spent | None, record: ToolCalled) -> Step[Spent]:
        if record.data.tool.name == "poison":
            raise ValueError("no step")
        return Step(memory)


def test_what_a_decider_cannot_digest_becomes_its_dead_letter() -> None:
    pair = Pair(deciders=[Broken()])
    poison = b.tool_called(0, tool="poison")
    (letter,) = letters(pair.sessions.group([of_events(b.tool_called(0), poison)]).said)
    assert (letter.reason, letter.position, letter.agent) == (
        "decider:broken",
        Position("agent.events/1/0", 1),
        "billing",
    )
    assert msgspec.json.decode(letter.value)["data"]["tool"]["name"] == "poison"
    pair.sessions.check()


def test_more_than_one_in_a_hundred_stops_the_loop() -> None:
    pair = Pair(deciders=[Broken()])
    for n in range(99):
        pair.sessions.group([of_events(*(b.tool_called(m) for m in range(10)), offset=n)])
    pair.sessions.group([of_events(*(b.tool_called(m, tool="poison") for m in range(10)), offset=100)])
    pair.sessions.check()
    pair.sessions.group([of_events(b.tool_called(0, tool="poison"), offset=101)])
    with pytest.raises(TooManyIsolated, match="broken 11 times, of 1001 records"):
        pair.sessions.check()


def test_few_records_do_not_stop_it_yet() -> None:
    pair = Pair(deciders=[Broken()])
    pair.sessions.group([of_events(b.tool_called(0, tool="poison"))])
    pair.sessions.check()


def test_the_clock_comes_after_everything_said_before_and_to_every_partition() -> None:
    pair = Pair()
    scored = of_events(b.eval_scored(0), b.session_started(0))
    folded = pair.sessions.group([scored, of_clock(50, offset=1), of_events(b.eval_scored(60), offset=2)])
    lines = {saying.partition: unpack(saying.value or b"") for saying in folded.said if saying.to == "facts"}
    assert sorted(partition for partition in lines if partition is not None) == [0, 1, 2, 3]
    kinds = [[type(line) for line in of_one] for of_one in lines.values()]
    assert [ClockForwarded] in kinds
    assert [Facts, ClockForwarded, Facts] in kinds


def test_a_clock_that_stands_is_not_forwarded_again() -> None:
    pair = Pair()
    pair.feed([of_clock(50)])
    assert pair.sessions.group([of_clock(50, offset=1)]).said == []


def test_facts_carry_their_messages_position() -> None:
    (saying,) = Pair().sessions.group([of_events(b.eval_scored(0), partition=3, offset=17)]).said[:1]
    (record,) = unpack(saying.value or b"")
    assert isinstance(record, Facts)
    assert record.position == Position("tocsin.timeline/3", 17)


def test_clocks_are_remembered() -> None:
    pair = Pair()
    pair.feed([of_clock(50)])
    again = Pair()
    again.sessions.rebuild(pair.sessions_kept)
    assert again.sessions.clock_s == pair.sessions.clock_s


def test_a_zombies_clock_and_shelf_are_stale() -> None:
    pair, stage = Pair(), Pair().sessions
    pair.feed([of_clock(50), of_events(b.tool_called(0), offset=1)])
    old = Kept(pair.sessions_kept)
    pair.feed([of_clock(60, offset=2), of_events(b.tool_called(1), offset=3)])
    for key in ("\0clock/0", "s1"):
        assert stage.stale(key, old[key], pair.sessions_kept[key])
        assert not stage.stale(key, pair.sessions_kept[key], old[key])


def test_many_facts_are_split_into_values_that_kafka_takes() -> None:
    events = [b.eval_scored(n, evaluator=f"e{n}", passed=False, explanation="x" * 100) for n in range(95)]
    batches = [of_events(*events, offset=n) for n in range(60)]
    for n, batch in enumerate(batches):
        batches[n] = batch._replace(offset=n)
    said = Pair().sessions.group(batches).said
    assert all(len(saying.value or b"") <= 300 * 1024 for saying in said)
