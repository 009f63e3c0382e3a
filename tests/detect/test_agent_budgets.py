"""Budgets of days and months: each level once, and early where the rest will not last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.agents import AgentRules, Given
from streams.detect.detector import Chosen
from streams.detect.scope.agent_budgets import AgentBudget, Thresholds
from streams.records import Finding

NANO, HOUR, DAY = 10**9, 3600, 86_400
SEPTEMBER = (datetime(2026, 9, 1, tzinfo=UTC) - b.EPOCH).total_seconds()  # a Tuesday


class Bench(Scoped):
    def __init__(self, day: float | None = None, month: float | None = None, **given: Any) -> None:
        rules = (AgentRules(match=["bill*"], budget_day=day, budget_month=month),)
        super().__init__(AgentBudget(given=Given(agents=rules), **given))

    def spend(self, day: float, hour: float, dollars: float, **given: Any) -> list[Finding]:
        """On the day of September, from 1; answers what is said when the bucket closes."""
        seconds = SEPTEMBER + (day - 1) * DAY + hour * HOUR
        subject = (given.get("agent", "billing"), "7", given.get("env", "prod"), "openai", "gpt-5")
        self.fact(given.get("at", seconds), "model", subject, {"calls": 1, "nano": round(dollars * NANO)})
        return self.until(seconds + 10)


def said(found: list[Finding]) -> list[tuple[str, str]]:
    return [(one.severity, one.title.removeprefix("billing: ")) for one in found]


WARNED, SPENT = ("medium", "the day's budget is nearly spent"), ("high", "the day's budget is spent")


def test_each_level_is_said_once_a_day() -> None:
    bench = Bench(day=100)
    for day in (1, 2):
        told = [said(bench.spend(day, 12 + n / 10, 10)) for n in range(14)]
        assert told == [*7 * [[]], [WARNED], [], [SPENT], *4 * [[]]]


def test_the_text_says_how_much_of_what_until_when() -> None:
    (found,) = Bench(day=100).spend(1, 12, 85)
    assert found.subject == {"agent": "billing", "budget": "day"}
    assert found.observed == "85.00 of 100.00 (85 %)"
    assert found.expected == "at most 100.00 until 2026-09-02 00:00 UTC"


def test_one_that_is_jumped_over_is_not_said_afterwards() -> None:
    bench = Bench(day=100)
    assert said(bench.spend(1, 12, 130)) == [SPENT]
    assert bench.spend(1, 13, 1) == []


def test_all_environments_are_one_purse_and_other_agents_have_their_own() -> None:
    bench = Bench(day=100)
    assert bench.spend(1, 12, 50, env="staging") == []
    assert said(bench.spend(1, 13, 50)) == [SPENT]
    assert bench.spend(1, 14, 70, agent="billing-2") == []
    assert bench.detector.key(b.fact(kind="model", subject=("other", "7", "prod", "x", "y"), sums={"nano": 5})) is None


def test_what_comes_late_counts_for_its_own_day_and_month() -> None:
    bench = Bench(day=100, month=10_000)
    bench.spend(2, 1, 50)
    assert bench.spend(2, 2, 60, at=SEPTEMBER + 20 * HOUR) == []
    assert bench.spend(2, 3, 500, at=SEPTEMBER - DAY) == []
    assert (bench.state.day.nano, bench.state.month.nano) == (50 * NANO, 110 * NANO)
    assert said(bench.spend(2, 4, 30)) == [WARNED]


def test_a_month_that_will_not_last_is_a_ticket_once_a_fifth_of_it_has_passed() -> None:
    bench = Bench(month=300)
    told = {day: said(bench.spend(day, 12, 12)) for day in range(1, 20)}
    assert {day: one for day, one in told.items() if one} == {6: [("medium", "the month's budget will not last")]}


def daily(bench: Bench, days: int, dollars: float, hours: Callable[[float], float]) -> list[Finding]:
    """So much a day on weekdays, spread over its hours as told; a third at weekends."""
    found, shares = [], [hours(hour) for hour in range(24)]
    for day in range(1, days + 1):
        weekday = (datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=day - 1)).weekday()
        for hour, share in enumerate(shares):
            if share:
                spent = dollars * share / sum(shares) * (0.33 if weekday > 4 else 1)
                found += [one for n in range(12) for one in bench.spend(day, hour + n / 12, spent / 12)]
    return found


@pytest.mark.parametrize("begin", [0, 6, 12, 21])
@pytest.mark.parametrize("length", [1, 3, 10, 24])
def test_spending_ninety_percent_of_what_there_is_says_nothing_but_that_it_is_nearly_spent(
    begin: int, length: int
) -> None:
    bench = Bench(day=100, month=2500)
    found = daily(bench, 60, 90, lambda hour: float((hour - begin) % 24 < length))
    assert {one.severity for one in found} <= {"medium"}
    assert {one.title for one in found} <= {
        "billing: the day's budget is nearly spent",
        "billing: the month's budget is nearly spent",
    }


def test_a_day_that_will_not_last_is_told_against_how_days_usually_go() -> None:
    bench = Bench(day=100)

    def morning(hour: float) -> float:
        return float(hour < 8)

    assert daily(bench, 6, 70, morning) == []
    found = [one for n in range(48) for one in bench.spend(7, n / 12, 1.2 * 70 / 96 * 1.4)]
    assert said(found) == [("medium", "the day's budget will not last")]


def test_burning_fast_pages_long_before_the_month_is_spent() -> None:
    bench = Bench(month=3000)
    quiet = daily(bench, 9, 80, lambda _hour: 1.0)
    found = [one for n in range(20 * 12) for one in bench.spend(10, n / 12, 120 / 12)]
    assert quiet == []
    first = next(one for one in found if one.severity == "high")
    assert said([first]) == [("high", "the month's budget burns too fast")]
    assert first.at < b.at(SEPTEMBER + 9 * DAY + 6 * HOUR)
    assert "120.00 an hour" in (first.observed or "")
    assert {one.fingerprint for one in found} == {first.fingerprint}


def test_what_works_for_an_hour_each_night_burns_fast_and_is_no_trouble() -> None:
    found = daily(Bench(month=3000), 25, 95, lambda hour: float(hour == 3))
    assert [one for one in found if one.severity == "high"] == []


def test_a_rise_late_in_the_month_is_told_when_the_rest_will_not_last() -> None:
    bench = Bench(month=3000)
    assert daily(bench, 14, 60, lambda _hour: 1.0) == []
    found = [one for day in range(15, 21) for hour in range(24) for one in bench.spend(day, hour, 250 / 24)]
    assert said(found)[0] == ("medium", "the month's budget will not last")
    assert found[0].at < b.at(SEPTEMBER + 19 * DAY)


def test_what_was_spent_is_remembered_to_the_end_of_the_month() -> None:
    bench = Bench(month=100)
    bench.spend(1, 1, 50)
    (wake,) = bench.wakes.values()
    assert wake == datetime(2026, 10, 1, tzinfo=UTC)
    assert bench.until(SEPTEMBER + 30 * DAY) == []
    assert set(bench.wakes.values()) == {None}
    assert bench.spend(31, 1, 10) == []
    assert bench.state.month.nano == 10 * NANO


def test_an_agent_may_have_levels_and_a_severity_of_its_own() -> None:
    bench = Bench(day=100, overrides=(("billing", Chosen(Thresholds(warn_share=0.3), "low", False)),))
    assert said(bench.spend(1, 12, 40)) == [("low", "the day's budget is nearly spent")]
    assert said(bench.spend(1, 13, 70)) == [("low", "the day's budget is spent")]


def test_absurd_amounts_can_be_stored() -> None:
    bench = Bench(day=100, month=100)
    for hour in range(48):
        bench.spend(1, hour, 2.0**62 / NANO)
    assert len(msgspec.msgpack.encode(bench.state)) < 4000
