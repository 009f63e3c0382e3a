"""Agents that crash again and again, and a fleet that falls silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import builders as b
from contract.running import run

from streams.detect.scope.fleet import CrashLoop, FleetSilent
from streams.records import Fact, Finding

SPAN_S = 300


def told(decider: Any, facts: list[Fact]) -> list[Finding]:
    """Up to the last fact: the runner's clock goes on for an hour, in which everything is silent."""
    end = max(fact.bucket for fact in facts) + timedelta(seconds=SPAN_S)
    return [saying for _, saying in run(decider, facts).said if saying.at <= end]


def crash(at_s: float, node: str = "n1", what: str = "restarts") -> Fact:
    return b.fact(at_s, kind="crash", subject=("billing", "prod"), sums={what: 1}, marks=(node,))


def test_three_crashes_in_ten_minutes_are_a_ticket_and_on_two_nodes_a_page() -> None:
    (found,) = told(CrashLoop(), [crash(0), crash(120, what="vanished"), crash(300)])
    assert (found.severity, found.count) == ("medium", 3)
    (found,) = told(CrashLoop(), [crash(0), crash(120, "n2"), crash(300)])
    assert (found.severity, found.title) == ("high", "billing: keeps crashing on 2 nodes")


def test_crashes_far_apart_are_none() -> None:
    assert told(CrashLoop(), [crash(n * 400) for n in range(12)]) == []


def alive(span: int, *agents: str) -> Fact:
    return b.fact(
        span * SPAN_S, kind="alive", subject=("fleet", "prod"), sums={"events": 1}, marks=agents, about=b.r.About()
    )


NAMES = tuple(f"agent-{n}" for n in range(20))


def test_many_steady_agents_that_fall_silent_at_once_page() -> None:
    steady = [alive(span, *NAMES) for span in range(60)]
    rest = [alive(span, *NAMES[6:]) for span in range(60, 70)]
    found = told(FleetSilent(), steady + rest)
    assert found[0].title == "6 of 20 agents in prod have fallen silent"
    assert found[0].at <= b.at(63 * SPAN_S)
    assert "agent-0" in (found[0].observed or "")


def test_one_silent_agent_is_not_the_fleets_business_and_a_healthy_fleet_is_quiet() -> None:
    steady = [alive(span, *NAMES) for span in range(60)]
    assert told(FleetSilent(), steady) == []
    assert told(FleetSilent(), steady + [alive(span, *NAMES[1:]) for span in range(60, 80)]) == []


def test_agents_that_work_now_and_then_are_not_missed() -> None:
    seldom = [alive(span, *(NAMES if span % 4 == 0 else NAMES[10:])) for span in range(100)]
    assert told(FleetSilent(), seldom + [alive(span, *NAMES[10:]) for span in range(100, 120)]) == []


def test_who_is_silent_for_a_day_is_forgotten() -> None:
    facts = [alive(span, *NAMES) for span in range(60)] + [alive(span, *NAMES[6:]) for span in range(60, 400)]
    found = told(FleetSilent(), facts)
    assert found[-1].at < b.at(60 * SPAN_S + 86_400 + SPAN_S)


def office(days: range, hours: range = range(8, 17)) -> list[Fact]:
    """Eight agents that work by day, with weekends, among four that always do."""
    facts = []
    for span in range(days.start * 288, days.stop * 288):
        day, hour = span // 288, span % 288 // 12
        facts.append(alive(span, *NAMES[: 12 if hour in hours and day % 7 < 5 else 4]))
    return facts


def test_who_leaves_when_it_left_the_day_before_is_not_missed() -> None:
    found = told(FleetSilent(), office(range(16)))
    assert {int(one.at.timestamp() - b.at(0).timestamp()) // 86_400 for one in found} <= {0, 1}


def test_who_leaves_hours_earlier_is_missed() -> None:
    found = told(FleetSilent(), [*office(range(8)), *office(range(8, 9), range(8, 13))])
    assert found[-1].at > b.at(8 * 86_400 + 13 * 3600)
