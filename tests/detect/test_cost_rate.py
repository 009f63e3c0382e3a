"""An agent's spending, against what it usually spends at this hour of the week."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from benchmarks.detecting import cost
from streams.detect.agents import Given
from streams.detect.detector import Chosen
from streams.detect.scope.cost_rate import CostRate, Thresholds
from streams.records import Finding

HOUR, DAY, WEEK = 3600, 86_400, 7 * 86_400
NANO = 10**9
WHO = ("billing", "7", "prod")


class Bench(Scoped):
    def __init__(self, thresholds: Thresholds | None = None, **given: Any) -> None:
        super().__init__(CostRate(thresholds, **given))

    def spend(self, seconds: float, dollars: float, model: str = "gpt-5") -> None:
        if dollars:
            self.fact(seconds, "model", (*WHO, "openai", model), {"calls": 1, "nano": round(dollars * NANO)})

    def week(self, begin: float, end: float, factor: Callable[[float], float] = lambda _at: 1.0) -> list[Finding]:
        """Two dollars in five minutes, give or take a third; a half at night."""
        found = []
        for at in range(int(begin), int(end), 300):
            chance = random.Random(at)
            night = 0.5 if at % DAY > DAY / 2 else 1.0
            self.spend(at, 2 * night * chance.lognormvariate(0, 0.3) * factor(at))
            found += self.until(at + 300)
        return found


def test_three_times_the_usual_cost_is_found_within_an_hour_and_ends_within_one() -> None:
    bench = Bench()
    assert bench.week(0, 2 * WEEK) == []
    found = bench.week(2 * WEEK, 3 * WEEK, lambda at: 3.0 if at < 2 * WEEK + 4 * HOUR else 1.0)
    assert {(one.fingerprint, one.severity) for one in found} == {(found[0].fingerprint, "high")}
    assert b.at(2 * WEEK) < found[0].at <= b.at(2 * WEEK + HOUR)
    assert b.at(2 * WEEK + 4 * HOUR) <= found[-1].at <= b.at(2 * WEEK + 5 * HOUR)
    assert "beyond the expected by now; most of it for gpt-5" in (found[0].observed or "")
    assert "at this hour of the week" in (found[0].expected or "")


def test_neither_is_the_return_to_normal_a_rise_nor_the_same_hour_a_week_later() -> None:
    bench = Bench()
    bench.week(0, 2 * WEEK)
    after = 2 * WEEK + DAY + HOUR
    found = bench.week(2 * WEEK, 5 * WEEK, lambda at: 3.0 if at < 2 * WEEK + DAY else 1.0)
    assert [one for one in found if one.at > b.at(after)] == []


def test_a_falling_cost_is_no_trouble() -> None:
    bench = Bench()
    bench.week(0, 2 * WEEK)
    assert bench.week(2 * WEEK, 3 * WEEK, lambda _at: 0.1) == []


@pytest.mark.parametrize("silent", [4 * HOUR, DAY, 3 * DAY])
def test_an_outage_is_not_learned_so_that_working_again_is_no_rise(silent: float) -> None:
    bench = Bench()
    bench.week(0, 2 * WEEK)
    assert bench.week(2 * WEEK, 6 * WEEK, lambda at: 0.0 if at < 2 * WEEK + silent else 1.0) == []


def test_a_new_agent_has_an_absolute_limit_only() -> None:
    bench = Bench()
    assert bench.week(0, 6 * HOUR, lambda at: 4.0 if at >= 5 * HOUR else 1.0) == []
    bench.spend(6 * HOUR, 110.0)
    (found,) = bench.until(6 * HOUR + 300)
    assert found.expected == "at most 100.00: a new agent"


def test_the_mornings_of_the_first_week_are_no_rise() -> None:
    def daily(at: float) -> float:
        return 1.0 if at % DAY < DAY / 3 else 0.2

    assert Bench().week(0, WEEK, daily) == []


def test_pennies_are_no_page_whatever_they_are_multiplied_by() -> None:
    bench = Bench()
    bench.week(0, 2 * WEEK, lambda _at: 0.001)
    assert bench.week(2 * WEEK, 2 * WEEK + 4 * HOUR, lambda _at: 0.01) == []
    dearer = Bench(Thresholds(floor=0.001))
    dearer.week(0, 2 * WEEK, lambda _at: 0.001)
    assert dearer.week(2 * WEEK, 2 * WEEK + 4 * HOUR, lambda _at: 0.01)


def test_a_single_dear_bucket_is_found_when_it_closes() -> None:
    bench = Bench()
    bench.week(0, 2 * WEEK)
    bench.spend(2 * WEEK, 60.0, model="deep-thinker")
    (found,) = bench.until(2 * WEEK + 300)
    assert found.at == b.at(2 * WEEK + 300)
    assert (found.observed or "").endswith("most of it for deep-thinker")


def test_what_tools_cost_counts_and_what_costs_nothing_is_not_ours() -> None:
    bench = Bench(Thresholds(cold_hour_max=5.0))
    bench.fact(0, "tool", (*WHO, "search", "shop"), {"calls": 1, "nano": 9 * NANO})
    bench.fact(0, "tool", (*WHO, "lookup", "shop"), {"calls": 1})
    (found,) = bench.until(300)
    assert (found.observed or "").startswith("9.00 within an hour; most of it for search")
    assert bench.detector.key(b.fact(0, kind="tool", subject=(*WHO, "lookup", "shop"), sums={"calls": 1})) is None


def test_an_agent_may_have_limits_severity_and_control_of_its_own() -> None:
    chosen = Chosen(Thresholds(cold_hour_max=1.0), "low", False)
    bench = Bench(overrides=(("bil*", chosen),), given=Given(bucket_s=2))
    bench.spend(0, 3.0)
    (found,) = bench.until(300)
    assert found.severity == "low"


def test_a_hundred_thousand_models_absurd_sums_and_months_of_silence_are_borne() -> None:
    bench = Bench()
    for n in range(3000):
        bench.spend(n / 10, 0.01, model=f"model-{n}")
    bench.spend(301, 2.0**62 / NANO)
    bench.until(900)
    bench.spend(90 * DAY, 1.0)
    bench.until(91 * DAY)
    assert len(msgspec.msgpack.encode(bench.state)) < 5000
    assert math.isfinite(bench.state.usual.level)


def _alarms(costs: Iterable[float]) -> list[bool]:
    bench, start, flags = Bench(), cost.MONDAY_S - b.EPOCH.timestamp(), []
    for number, dollars in enumerate(costs):
        bench.spend(start + number * cost.BUCKET_S, dollars)
        flags.append(bool(bench.until(start + (number + 1) * cost.BUCKET_S)))
    return flags


def test_driven_by_facts_it_finds_what_the_published_simulation_says() -> None:
    """`benchmarks/detecting/cost.py` judges numbers; here the same numbers come as facts, bucket by bucket."""
    costs = cost.stream(2.0, "2.0/0")
    begin = (cost.WARM_DAYS + 3) * cost.DAY + 150
    watched = cost.watch(cost.judged, costs[: begin + cost.HOURS_4])
    clean = _alarms(costs[: begin + cost.HOURS_4])
    assert clean == [score >= 8 for score in watched.scores]
    for factor in (2.0, 3.0, 10.0):
        raised = [one * factor for one in costs[begin : begin + cost.HOURS_4]]
        minutes = cost._delay(cost.judged, watched.memories[begin], raised, (begin, 8.0))
        flags = _alarms([*costs[:begin], *raised])
        assert flags.index(True, begin) - begin + 1 == minutes * 60 // cost.BUCKET_S
