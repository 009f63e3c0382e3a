"""The nine real files through the whole pipeline, with the policy as it is shipped."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime

import pytest
from replay.saying import Said

from streams import policy
from streams.importing.merge import read
from streams.records.timeline import encode
from streams.replay import run

LAST_CALLS, ERRORS = 20, 3


@pytest.fixture(scope="module")
def lines(tau2_files):
    return [encode(event) for event in read(tau2_files)[0]]


@pytest.fixture(scope="module")
def said(lines, shipped):
    return Said(list(run(lines, shipped)))


def repeated(messages) -> bool:
    """The rule, said again without any of the pipeline: errors of one tool within the last calls of a session."""
    names = {call["id"]: call["name"] for message in messages for call in message.get("tool_calls") or ()}
    calls = [
        (names[message["id"]], message["content"] if message["error"] else None)
        for message in messages
        if message["role"] == "tool"
    ]
    for end in range(1, len(calls) + 1):
        window = calls[max(0, end - LAST_CALLS) : end]
        used = Counter(tool for tool, _ in window)
        failed = Counter(tool for tool, error in window if error)
        texts = Counter((tool, error) for tool, error in window if error)
        several = any(count >= ERRORS and 2 * count >= used[tool] for tool, count in failed.items())
        if several or any(count >= ERRORS for count in texts.values()):
            return True
    return False


def test_every_session_with_a_repeated_tool_error_is_found_and_no_other(said, tau2_files):
    expected = {
        f"{path.name.removesuffix('.json.gz')}:{simulation['id']}"
        for path in tau2_files
        for simulation in json.loads(gzip.decompress(path.read_bytes()))["simulations"]
        if repeated(simulation["messages"])
    }
    assert len(expected) == 13
    assert {one.about.session for one in said.finding if one.detector == "tool.repeated_error"} == expected


def test_nothing_costs_too_much_and_two_models_have_no_price(said, lines):
    """The negative control: 140 priced sessions, none beyond three times the median of its file."""
    called = [event["data"] for event in map(json.loads, lines) if event["type"] == "agent.llm.called.v1"]
    priced = {call["model"] for call in called if "cost" in call}
    assert len({call["ctx"]["session_id"] for call in called if "cost" in call}) == 140
    unpriced = {call["model"] for call in called if "tokens" in call and "cost" not in call} - priced
    costs = [one for one in said.incident if one.detector.startswith("cost")]
    assert {one.detector for one in costs} == {"cost.unpriced"}
    assert sorted(one.subject["model"] for one in costs) == sorted(unpriced)
    assert len(unpriced) == 2


def test_the_priced_sessions_alone_are_quiet_even_with_a_floor_of_ten_cents(replayed, lines):
    events = [json.loads(line) for line in lines]
    priced = {event["data"]["ctx"]["session_id"] for event in events if "cost" in event["data"]}
    alone = [line for line, event in zip(lines, events, strict=True) if event["data"]["ctx"]["session_id"] in priced]
    rules = policy.parse('[detectors."cost.peers"]\nfloor = 0.1\n[detectors."cost.rate"]\nfloor = 0.1\n', "p")
    said = replayed(alone, rules=rules)
    assert (said.last.sessions, said.last.sessions_unpriced) == (140, 0)
    assert [one.title for one in said.finding if one.detector.startswith("cost")] == []


def test_at_most_twenty_tickets_none_of_them_twice(said):
    tickets = [owed.incident for owed in said.obligation if owed.kind == "ticket"]
    assert len(set(tickets)) == len(tickets)
    family = {one.id: one.parent or one.id for one in said.incident}  # tickets of members become duplicates
    assert 0 < len({family[one] for one in tickets}) <= 20
    assert len({one.fingerprint for one in said.incident}) == len(said.incident)


def test_of_the_sessions_that_succeeded_one_contradicts_itself_and_none_is_silent(said):
    conduct = ("outcome.contradiction", "session.silent_failure", "tool.unknown", "tool.skipped", "decision.mismatch")
    assert [one.detector for one in said.incident if one.detector in conduct] == ["outcome.contradiction"]


def test_agents_without_an_owner_are_told_once_each(said):
    owned = Counter(one.about.agent for one in said.incident if one.detector == "owner.missing")
    assert owned == {"airline": 1, "retail": 1, "telecom": 1}


def test_the_summary_counts_what_the_files_hold(said):
    total = said.last
    assert (total.events, total.sessions, total.sessions_failed, total.sessions_unpriced) == (10469, 330, 128, 190)
    assert (total.evaluations_failed, total.evaluations_broken) == (117, 16)
    assert (total.tool_calls, total.tool_errors, total.echoes) == (4210, 128, 0)
    assert total.dead_letters == {}


def test_gates_count_every_session_once(lines, replayed):
    ran = Counter()
    for minute in replayed(lines, until=datetime(2025, 8, 2, tzinfo=UTC)).exposure:
        ran[minute.agent, minute.release] += minute.sessions
    assert sum(ran.values()) == 330
    assert (ran["retail", "candidate"], ran["telecom", "baseline"]) == (40, 80)


def test_releases_with_bad_sessions_are_blocked_by_incidents_and_wait_otherwise(said):
    """The agents of a file ran one after the other, so nothing ran beside a baseline, and nobody stated an objective."""
    last = {(one.agent, one.release): one for one in said.decision}
    assert last["airline", "qwen2.5-7b"].state == "block"
    assert {reason.rule for one in last.values() for reason in one.reasons if reason.effect == "block"} == {"incident"}
    for name in ("airline", "retail"):
        waits = last[name, "candidate"]
        assert (waits.state, [reason.code for reason in waits.reasons]) == ("hold", ["nothing_to_judge_by"])


def test_by_a_stated_objective_the_release_that_fails_is_blocked_and_the_better_one_is_not(replayed, lines):
    """14 of 20 sessions were bad, and 13 of 40."""

    def states(objective):
        rules = policy.parse(f"[gates.promotion]\nobjective = {objective}\n", "p")
        last = {(one.agent, one.release): one.state for one in replayed(lines, rules=rules).decision}
        return last["airline", "candidate"], last["retail", "candidate"]

    assert states(0.3) == ("block", "hold")
    assert states(0.6) == ("hold", "allow")


def test_the_same_file_says_the_same_to_the_byte(lines, shipped, said):
    assert [encode(record) for record in run(lines, shipped)] == [encode(record) for record in said.records]


def test_sending_everything_twice_changes_nothing_but_the_echoes(replayed, lines, said):
    doubled = replayed(line for line in lines for _ in range(2))
    assert doubled.last.echoes == len(lines)
    assert [one.title for one in doubled.incident] == [one.title for one in said.incident]
    assert doubled.exposure == said.exposure
    assert doubled.last.sessions == 330
