"""Telemetry that stops or arrives late."""

from __future__ import annotations

import math
from datetime import timedelta
from random import Random
from typing import Any

import builders as b
from contract.running import run

from streams.detect.methods.sketch import index
from streams.detect.scope.telemetry import TelemetryGap, TelemetryLate
from streams.records import Fact, Finding

SPAN_S = 300
DAY = 288  # spans


def told(decider: Any, facts: list[Fact]) -> list[Finding]:
    """Up to the last fact: the runner's clock goes on for an hour, in which everything is silent."""
    end = max(fact.bucket for fact in facts) + timedelta(seconds=SPAN_S)
    return [saying for _, saying in run(decider, facts).said if saying.at <= end]


def calls(at_s: float, count: int) -> Fact:
    return b.fact(at_s, kind="tool", subject=("billing", "7", "prod", "search", ""), sums={"calls": count})


def poisson(chance: Random, mean: float) -> int:
    limit, k, p = math.exp(-mean), 0, 1.0
    while p > limit:
        k, p = k + 1, p * chance.random()
    return k - 1


def cycle(span: int, mean: float = 60.0) -> float:
    """A day whose peak is three times its trough."""
    return mean * (1 + 0.5 * math.sin(2 * math.pi * span / DAY))


def days(count: float, seed: int = 1) -> list[Fact]:
    chance = Random(seed)
    return [calls(span * SPAN_S, poisson(chance, cycle(span))) for span in range(int(count * DAY))]


def test_an_agent_that_hardly_sends_any_more_is_told_within_a_quarter_of_an_hour() -> None:
    usual = days(2)
    gap = [calls((2 * DAY + n) * SPAN_S, 2) for n in range(12)]
    found = told(TelemetryGap(), usual + gap)
    assert found[0].at <= b.at((2 * DAY + 3) * SPAN_S)
    assert {one.severity for one in found} == {"medium"}


def test_complete_silence_is_noticed_although_nothing_comes_to_notice_it() -> None:
    found = told(TelemetryGap(), [*days(1.5), calls(int(2.5 * DAY) * SPAN_S, 60)])
    assert found
    assert found[0].at <= b.at((int(1.5 * DAY) + 3) * SPAN_S)


def test_twelve_weeks_of_days_and_nights_raise_nothing() -> None:
    assert [found for seed in range(12) for found in told(TelemetryGap(), days(7, seed))] == []


def test_a_rare_agent_and_a_new_one_are_not_missed() -> None:
    assert told(TelemetryGap(), [*days(0.4), calls(DAY * SPAN_S, 1)]) == []
    rare = [calls(span * SPAN_S, 5) for span in range(2 * DAY)]
    assert told(TelemetryGap(), [*rare, calls(3 * DAY * SPAN_S, 5)]) == []


def late(at_s: float, seconds: float, count: int) -> Fact:
    return b.fact(at_s, kind="late", subject=("billing", "prod"), sums={f"late#{index(seconds)}": count})


def ahead(at_s: float, count: int) -> Fact:
    return b.fact(at_s, kind="late", subject=("billing", "prod"), sums={"ahead": count})


def test_one_event_in_ten_that_needs_ten_seconds_is_late() -> None:
    facts = [fact for n in range(5) for fact in (calls(n * 60, 20), late(n * 60, 10, 2))]
    found = told(TelemetryLate(), facts)
    assert found[0].title == "billing: events arrive late"
    assert told(TelemetryLate(), [fact for n in range(5) for fact in (calls(n * 60, 60), late(n * 60, 10, 2))]) == []
    assert told(TelemetryLate(), [fact for n in range(5) for fact in (calls(n * 60, 20), late(n * 60, 3, 20))]) == []


def test_a_clock_that_is_ahead_is_another_trouble() -> None:
    (found,) = told(TelemetryLate(), [calls(0, 30), ahead(0, 30)])
    assert found.title == "billing: its clock is ahead"
    assert found.fingerprint != told(TelemetryLate(), [calls(0, 30), late(0, 60, 30)])[0].fingerprint


def test_a_few_events_are_too_few() -> None:
    assert told(TelemetryLate(), [calls(0, 5), late(0, 60, 5)]) == []
