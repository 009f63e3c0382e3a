"""A piece of work that goes on too long, takes too many steps, or is handed down too deep."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import pytest
from detect.listening import below, brief, heard, recorded, ruled

from streams.detect.agents import AgentRules, Given
from streams.detect.session.overrun import SessionOverrun, Thresholds


def work(minutes: int, every: int = 1, **given: Any) -> list[Any]:
    return [b.tool_called(60 * n, **given) for n in range(0, minutes + 1, every)]


def test_half_an_hour_is_long_enough() -> None:
    assert heard(SessionOverrun(), [b.session_started(0), *work(30)]) == []
    [said] = heard(SessionOverrun(), [b.session_started(0), *work(31)])
    assert (said.severity, said.subject, said.observed) == (
        "medium",
        {"agent": "billing", "limit": "duration"},
        "duration: 31 min",
    )


def test_as_long_as_it_runs_it_is_told_again_every_five_minutes() -> None:
    said = heard(SessionOverrun(), work(42))
    assert brief(said) == [(1860.0, "medium"), (2160.0, "medium"), (2460.0, "medium")]


def test_waiting_is_not_running() -> None:
    beats = [b.heartbeat(60 * n, state="waiting") for n in range(120)]
    assert heard(SessionOverrun(), [b.session_started(0), *beats]) == []


def test_a_session_that_beats_and_runs_is_running() -> None:
    assert heard(SessionOverrun(), [b.heartbeat(60 * n) for n in range(35)]) != []


def test_steps_of_subagents_are_steps_of_the_work() -> None:
    limits = Thresholds(steps_max=10)
    mine, theirs = [b.tool_called(n) for n in range(6)], [b.llm_called(n, ctx=below()) for n in range(6)]
    [said] = heard(SessionOverrun(limits), [*mine, *theirs])
    assert (said.subject, said.observed, said.expected) == (
        {"agent": "billing", "limit": "steps"},
        "steps: 11",
        "at most 10",
    )


def test_work_handed_down_too_deep_is_told_of_the_agent_at_the_top() -> None:
    events = [b.session_started(0), b.session_started(1, ctx=below(depth=3)), b.session_started(2, ctx=below(depth=4))]
    [said] = heard(SessionOverrun(), events)
    assert (said.subject, said.observed) == ({"agent": "billing", "limit": "depth"}, "depth: 4")


@pytest.mark.parametrize("of", ["billing", "refunds"])
def test_the_rule_of_the_roots_agent_or_of_the_one_below_says_how_deep(of: str) -> None:
    rules = Given(agents=(AgentRules(match=[of], depth_max=0),))
    events = [b.session_started(0), b.session_started(1, ctx=below(depth=1))]
    assert [one.expected for one in heard(SessionOverrun(given=rules), events)] == ["at most 0"]


def test_a_rule_may_allow_more_than_the_threshold() -> None:
    rules = SessionOverrun(given=ruled(depth_max=9))
    assert heard(rules, [b.session_started(0), b.session_started(1, ctx=below(depth=8))]) == []


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_node_whose_clock_is_an_hour_off_does_not_make_the_work_longer(off_s: float) -> None:
    right = [recorded(event, 0.0) for event in [b.session_started(0), *work(20)]]
    wrong = [recorded(b.tool_called(60 * n + 30, ctx=below()), off_s) for n in range(20)]
    events = [event for pair in zip(right, wrong, strict=False) for event in pair]
    assert heard(SessionOverrun(), events) == []


def test_what_is_brought_in_from_the_past_is_measured_by_its_own_time() -> None:
    past = [recorded(event, -86400.0 * 30) for event in work(40)]
    for event in past:
        event.recordedtime = b.at(0)
    assert heard(SessionOverrun(), past) != []


def test_the_order_of_events_does_not_matter() -> None:
    events = [b.session_started(0), *work(30), b.tool_called(1801), b.tool_called(1802)]
    for seed in range(5):
        late = events[:-10] + Random(seed).sample(events[-10:], 10)
        assert {(one.fingerprint, one.severity) for one in heard(SessionOverrun(), late)} == {
            (one.fingerprint, one.severity) for one in heard(SessionOverrun(), events)
        }
