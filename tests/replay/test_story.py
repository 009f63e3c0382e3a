"""Short files: what would be found, opened, told, decided and refused, and when time goes on."""

import json
from datetime import timedelta

import builders as b
import jsonschema
import msgspec
import pytest

from streams import policy, schemas
from streams.records import Acknowledgement, Status
from streams.records.timeline import encode
from streams.replaying.summary import for_people
from streams.replaying.writing import written


def lines(*records):
    """As a producer would write them: the position is the pipeline's own."""
    for record in records:
        if hasattr(record, "position"):
            record.position = None
        yield encode(record)


def three_errors(session="s1", start=0, release="7"):
    return [
        b.tool_failed(
            start + n, session=session, release=release, agent="billing", tool="refund", message="order 17 is gone"
        )
        for n in range(3)
    ]


def test_a_repeated_error_becomes_one_incident_with_a_page_and_a_ticket(replayed):
    said = replayed(lines(*three_errors(), *three_errors("s2", 60)))
    (incident,) = said.incident
    assert (incident.title, incident.findings, incident.sessions) == (
        "billing: tool refund keeps failing: order * is gone",
        2,
        ("s1", "s2"),
    )
    assert [(owed.kind, owed.ordinal) for owed in said.obligation] == [
        ("page", 1),
        ("ticket", 1),
        ("evidence", 1),
        ("page", 2),
    ]


def test_the_evidence_names_the_lines_of_the_file(replayed):
    said = replayed(lines(b.session_started(0, attribution=b.attribution("payments")), *three_errors()))
    assert [one.position for one in said.finding[0].evidence] == ["replay/1/0/2", "replay/1/0/3", "replay/1/0/4"]


def worked(moment, session):
    """One that hangs in twenty sessions would be severe."""
    return b.session_started(moment, session=session), b.session_ended(moment + 1, session=session)


def test_what_a_person_decided_changes_the_incident_and_the_gate(replayed):
    others = (event for n in range(200) for event in worked(10 + n, session=f"x{n}"))
    events = [*three_errors(), *others, b.heartbeat(300)]
    first = replayed(lines(*events))
    assert first.decision[-1].state == "block"
    outcome = b.outcome(first.incident[0].id, "false_positive", 350)
    after = replayed(lines(*events, outcome, b.heartbeat(400)))
    assert (after.incident[0].stage, after.incident[0].outcome) == ("resolved", "false_positive")
    assert after.decision[-1].state == "allow"
    assert after.outcome == [outcome]


def test_a_fix_is_believed_until_the_fixed_release_fails(replayed):
    incident = replayed(lines(*three_errors())).incident[0].id
    fixed = b.outcome(incident, "fixed", 100, fixed_in="8")
    late = replayed(lines(*three_errors(), fixed, *three_errors("s2", 200, release="7")))
    assert [one.episode for one in late.incident] == [1]
    regressed = replayed(lines(*three_errors(), fixed, *three_errors("s3", 300, release="8")))
    assert [(one.episode, one.stage) for one in regressed.incident] == [(1, "resolved"), (2, "open")]


def test_a_silence_hides_from_people_until_it_ends(replayed):
    silence = b.silence(0, until=600)
    quiet = replayed(lines(silence, *three_errors()))
    assert quiet.obligation == []
    assert quiet.incident[0].held
    heard = replayed(lines(silence, *three_errors(), *three_errors("s2", 540), b.heartbeat(700)))
    assert [owed.kind for owed in heard.obligation][:2] == ["page", "ticket"]


def test_an_acknowledgement_is_taken(replayed):
    incident = replayed(lines(*three_errors())).incident[0].id
    said = replayed(lines(*three_errors(), Acknowledgement(incident, b.at(30), "ann")))
    assert (said.incident[0].stage, said.incident[0].acknowledged_by) == ("acknowledged", "ann")


def test_a_registered_release_waits_for_evidence(replayed):
    said = replayed(lines(b.heartbeat(0), b.release_registered(5, release="9"), b.heartbeat(10)))
    (decision,) = said.decision
    assert (decision.release, decision.state) == ("9", "hold")
    assert [reason.code for reason in decision.reasons] == ["insufficient_evidence"]


def test_refused_lines_are_dead_letters_with_the_reason_and_an_incident(replayed):
    nonsense = [b"{", b"[]", b'{"type": "agent.unknown.v1"}', b'{"type": "release.registered.v1"}']
    said = replayed([*nonsense, *lines(b.heartbeat(0))])
    assert said.last.dead_letters == {"not_json": 1, "not_an_object": 1, "unknown_type": 1, "invalid": 1}
    assert [letter.position.offset for letter in said.dead_letter] == [1, 2, 3, 4]
    assert {one.detector for one in said.incident} == {"intake.rejected"}
    assert {one.first_seen for one in said.incident} == {b.at(0)}  # the first event's time: there was none before


def test_a_wrong_decision_is_a_dead_letter_and_not_the_end(replayed):
    said = replayed([b'{"record": "outcome", "incident": "x", "outcome": "sorry"}', *lines(b.heartbeat(0))])
    assert said.last.dead_letters == {"invalid": 1}
    assert said.last.events == 1


def test_a_secret_in_a_dead_letter_is_replaced(replayed):
    said = replayed([b'{"type": "x", "key": "AKIAIOSFODNN7EXAMPLE"}', *lines(b.heartbeat(0))])
    assert b"AKIAIOSFODNN7EXAMPLE" not in b"".join(written(record) for record in said.records)
    assert said.last.redacted == 1


def test_a_source_may_speak_only_for_its_agents(replayed):
    rules = policy.parse('[[sources]]\nsource = "/agents"\nagents = ["billing"]\n', "p")
    said = replayed(lines(b.heartbeat(0), b.heartbeat(1, agent="search")), rules=rules)
    assert said.last.dead_letters == {"source_not_allowed": 1}


def test_an_event_far_ahead_of_its_arrival_is_counted_but_moves_no_clock(replayed):
    ahead = b.session_started(3600, session="early", recordedtime=b.at(1))
    said = replayed(lines(b.session_started(0), ahead, b.session_started(20, session="s3")))
    assert said.last.last == b.at(20)
    assert said.last.sessions == 3
    beyond = replayed(lines(b.session_started(0), b.session_started(3600 * 25, session="x", recordedtime=b.at(1))))
    assert beyond.last.dead_letters == {"time_out_of_range": 1}


def test_time_ends_with_the_last_event_unless_told_otherwise(replayed):
    events = list(lines(b.session_started(0), b.session_started(30, session="s2")))
    assert replayed(events).exposure == []
    later = replayed(events, until=b.at(60))
    assert [(one.minute, one.sessions) for one in later.exposure] == [(b.at(0), 2)]
    assert later.last.last == b.at(60)


def test_a_minute_waits_for_what_is_late_and_then_closes(replayed):
    waits = [b.session_started(0), b.session_started(80, session="s2"), b.session_started(50, session="s3")]
    on_time = replayed(lines(*waits, b.heartbeat(200)))
    assert [one.sessions for one in on_time.exposure] == [2, 1]
    late = replayed(
        lines(b.session_started(0), b.session_started(95, session="s2"), b.session_started(50, session="s3"))
    )
    assert [one.sessions for one in late.exposure] == [1]  # 95 less 30 s of lateness has closed it


def test_a_broken_evaluator_is_neither_a_pass_nor_a_failure(replayed):
    said = replayed(lines(b.eval_scored(0, status=Status.error, passed=None), b.eval_scored(1, session="s2")))
    assert (said.last.evaluations, said.last.evaluations_failed, said.last.evaluations_broken) == (2, 0, 1)


def test_blank_lines_are_nothing(replayed):
    said = replayed([b"\n", *lines(b.heartbeat(0)), b"   \n"])
    assert (said.last.lines, said.last.events, said.last.dead_letters) == (1, 1, {})


def test_no_event_at_all_is_said_so(replayed):
    said = replayed([])
    assert said.kinds == ["summary"]
    assert next(for_people(said.records)) == "No events."


@pytest.mark.parametrize(
    "kind", ["finding", "incident", "obligation", "outcome", "decision", "exposure", "dead_letter"]
)
def test_every_record_follows_its_published_schema(replayed, kind):
    events = [*three_errors(), b.session_started(10), b.heartbeat(200)]
    incident = replayed(lines(*events)).incident[0].id
    said = replayed([*lines(*events, b.outcome(incident, "fixed", 300)), b"{"])
    validator = jsonschema.Draft202012Validator(schemas.schemas()[kind])
    documents = [json.loads(written(record)) for record in getattr(said, kind)]
    assert documents
    for document in documents:
        assert document["record"] == kind
        validator.validate(document)


def test_people_read_what_was_found_told_and_decided(replayed):
    said = replayed([*lines(*three_errors(), b.session_started(10), b.heartbeat(200)), b"{"])
    text = "\n".join(for_people(said.records))
    assert "5 events of 1 sessions" in text
    assert "Dead letters: 1 not_json" in text
    assert "1 tool.repeated_error" in text
    assert "billing: tool refund keeps failing: order * is gone" in text
    assert "block promotion: billing 7 in prod" in text


def test_a_session_that_nobody_prices_is_unpriced_until_a_price_comes(replayed):
    unpriced = b.llm_called(0, cost=None)
    assert replayed(lines(unpriced)).last.sessions_unpriced == 1
    assert replayed(lines(unpriced, b.llm_called(1))).last.sessions_unpriced == 0
    assert replayed(lines(b.llm_called(0), b.llm_called(1, cost=None))).last.sessions_unpriced == 0


def test_events_survive_a_round_through_the_file(replayed):
    """What replay reads is what a producer wrote, money included."""
    event = b.llm_called(0, cost=b.money("0.000000001"))
    (line,) = lines(event)
    assert msgspec.json.decode(line)["data"]["cost"]["amount"] == 1e-9
    dear = [b.llm_called(n, cost=b.money("4.000000001"), session="dear") for n in range(3)]
    said = replayed(lines(*dear))
    assert [one.detector for one in said.finding] == ["cost.session", "cost.session"]
    assert said.finding[-1].at == b.at(0) + timedelta(seconds=2)
