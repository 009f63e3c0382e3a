"""Sessions that succeed, in numbers or at a price that nobody has asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from benchmarks.detecting import cost
from streams.detect.detector import Chosen
from streams.detect.scope.success_runaway import SuccessRunaway, Thresholds
from streams.records import Finding

NANO, HOUR, DAY, WEEK = 10**9, 3600, 86_400, 7 * 86_400


class Bench(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(SuccessRunaway(**given))

    def sessions(self, seconds: float, count: int, dollars: float, status: str = "succeeded") -> None:
        if count:
            sums = {"ended": count, status: count, "nano": round(dollars * NANO)}
            self.fact(seconds, "session", ("billing", "7", "prod", ""), sums)

    def hours(self, begin: float, end: float, each: Callable[[float], tuple[int, float]]) -> list[Finding]:
        """Each tenth of an hour, so many sessions at so much each."""
        found = []
        for at in range(int(begin), int(end), 360):
            count, price = each(at)
            self.sessions(at, count, count * price)
            found += self.until(at + 360)
        return found


def steady(_at: float) -> tuple[int, float]:
    return 3, 0.5


def about(found: list[Finding]) -> set[str]:
    return {one.subject["what"] for one in found}


def test_five_times_the_sessions_of_the_hour_are_told_though_all_succeed() -> None:
    bench = Bench()
    assert bench.hours(0, 2 * WEEK, steady) == []
    found = bench.hours(2 * WEEK, 2 * WEEK + HOUR, lambda _at: (20, 0.5))
    assert about(found) == {"sessions"}
    assert (found[0].severity, found[0].subject["agent"]) == ("high", "billing")
    assert found[0].at <= b.at(2 * WEEK + HOUR)
    assert "about 30 at this hour of the week" in (found[0].expected or "")
    assert bench.hours(2 * WEEK + HOUR, 3 * WEEK, steady) == []


def test_dearer_sessions_are_told_on_the_day_that_costs_twice_the_mean() -> None:
    bench = Bench()
    bench.hours(0, 2 * WEEK, steady)
    found = bench.hours(2 * WEEK, 2 * WEEK + 2 * DAY, lambda _at: (3, 1.6))
    assert about(found) == {"spending"}
    assert "about 360.00, the mean of 7 days" in (found[0].expected or "")


def test_a_new_agent_a_falling_one_and_one_that_comes_back_say_nothing() -> None:
    assert Bench().hours(0, 2 * DAY, lambda at: (3 if at < DAY else 60, 0.5)) == []
    bench = Bench()
    bench.hours(0, 2 * WEEK, steady)
    assert bench.hours(2 * WEEK, 2 * WEEK + DAY, lambda _at: (0, 0.0)) == []
    assert bench.hours(2 * WEEK + DAY, 4 * WEEK, steady) == []


def test_below_the_floor_of_money_numbers_are_only_numbers() -> None:
    def cheap(at: float) -> tuple[int, float]:
        return 3 if at < 2 * WEEK else 60, 0.001

    assert Bench().hours(0, 2 * WEEK + DAY, cheap) == []


def test_work_that_comes_once_a_week_or_an_hour_later_is_no_runaway() -> None:
    def weekly(at: float) -> tuple[int, float]:
        late = HOUR if at > 2 * WEEK else 0
        return (40 if at % WEEK // HOUR == (50 + late // HOUR) else 0), 0.5

    assert Bench().hours(0, 5 * WEEK, weekly) == []


def test_an_agent_that_works_at_any_hour_has_no_norm_of_the_hour() -> None:
    def any_hour(at: float) -> tuple[int, float]:
        day, hour = divmod((at + DAY / 2) // HOUR, 24)  # of the calendar
        return (40 if hour == random.Random(int(day)).randrange(24) else 0), 0.5

    bench = Bench()
    bench.hours(0, WEEK, any_hour)
    assert bench.hours(WEEK, 5 * WEEK, any_hour) == []


@pytest.mark.parametrize("rate", [0.2, 2.0, 20.0])
def test_six_weeks_of_healthy_sessions_with_days_and_weekends_are_quiet(rate: float) -> None:
    chance, bench, found = random.Random(rate), Bench(), list[Finding]()
    mean = sum(cost.cycle(at) for at in range(cost.WEEK)) / cost.WEEK
    for at in range(6 * cost.WEEK):
        count = cost.poisson(chance, rate * 5 * cost.cycle(at) / mean)
        bench.sessions(at * 300, count, sum([chance.lognormvariate(-3, 1) for _ in range(count)]))
        found += bench.until(at * 300 + 300)
    assert found == []


def test_an_agent_may_have_limits_of_its_own() -> None:
    bench = Bench(overrides=(("bill*", Chosen(Thresholds(sessions_ratio=50.0, spend_ratio=50.0), "high", False)),))
    bench.hours(0, 2 * WEEK, steady)
    assert bench.hours(2 * WEEK, 2 * WEEK + HOUR, lambda _at: (20, 0.5)) == []


def test_a_year_of_silence_and_absurd_sums_are_borne() -> None:
    bench = Bench()
    for minute in range(5):
        bench.sessions(minute * 60, 2**62, 2.0**62 / NANO)
    bench.sessions(400 * DAY, 1, 1.0)
    bench.until(401 * DAY)
    assert len(bench.state.days) == 7
    assert len(msgspec.msgpack.encode(bench.state)) < 3000
    assert (
        SuccessRunaway().key(b.fact(kind="session", subject=("billing", "7", "prod", ""), sums={"started": 1})) is None
    )
