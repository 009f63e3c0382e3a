"""Work that says it is alive and does nothing."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import pytest
from contract.running import Runner
from detect.listening import below, brief, heard, recorded

from streams import records as r
from streams.detect.session.liveness import LivenessOnly


def beats(until: float, start: float = 0, **given: Any) -> list[Any]:
    return [b.heartbeat(start + 30 * n, **given) for n in range(int(until - start) // 30 + 1)]


def test_heartbeats_and_nothing_else_for_a_quarter_of_an_hour_are_worth_a_ticket() -> None:
    said = heard(LivenessOnly(), [b.session_started(0), b.tool_called(50), *beats(1400)])
    assert brief(said) == [(960.0, "medium"), (1260.0, "medium")]
    assert (said[0].subject, said[0].observed) == ({"agent": "billing"}, "heartbeats, but nothing else for 15 min")


def test_a_session_that_gets_on_is_left_alone() -> None:
    events = sorted([*beats(4000), *(b.llm_called(600 * n) for n in range(7))], key=lambda event: event.time)
    assert heard(LivenessOnly(), events) == []


def test_when_the_heartbeats_stop_it_is_not_alive_and_somebody_elses_business() -> None:
    assert heard(LivenessOnly(), [b.session_started(0), *beats(600)], until=86_400) == []


@pytest.mark.parametrize("waits", [{"state": "waiting"}, {"state": "idle"}, {"activity": r.Activity("tool")}])
def test_who_says_that_it_waits_is_believed(waits: dict[str, Any]) -> None:
    assert heard(LivenessOnly(), [b.session_started(0), *beats(4000, **waits)]) == []


def test_a_pause_does_not_count_against_it_afterwards() -> None:
    events = [b.session_started(0), *beats(3600, state="paused"), *beats(4400, start=3630)]
    assert heard(LivenessOnly(), events) == []


def test_subagents_that_get_on_are_progress() -> None:
    events = sorted([*beats(4000), *(b.llm_called(600 * n, ctx=below()) for n in range(7))], key=lambda one: one.time)
    assert heard(LivenessOnly(), events) == []


def test_a_session_that_ended_and_one_that_never_beats_wake_nobody() -> None:
    runner = Runner(LivenessOnly())
    for event in (b.heartbeat(0), b.session_ended(10), b.heartbeat(5), b.tool_called(20, session="s2")):
        runner.take(event)
    assert runner.due == {}


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_clocks_that_are_an_hour_off_make_no_difference(off_s: float) -> None:
    right = [recorded(b.tool_called(60 * n, session="s9"), 0.0) for n in range(40)]
    wrong = [recorded(b.tool_called(60 * n + 1) if n % 5 == 0 else b.heartbeat(60 * n + 1), off_s) for n in range(40)]
    assert heard(LivenessOnly(), [event for pair in zip(right, wrong, strict=True) for event in pair]) == []


def test_the_order_within_the_lateness_does_not_matter() -> None:
    first = [b.session_started(0), b.heartbeat(1), b.tool_called(2), b.heartbeat(3, state="idle"), b.tool_called(59)]
    expected = brief(heard(LivenessOnly(), [*first, *beats(1500, start=60)]))
    assert expected != []
    for seed in range(10):
        shuffled = Random(seed).sample(first, len(first))
        assert brief(heard(LivenessOnly(), [*shuffled, *beats(1500, start=60)])) == expected
