"""Tools that have become slow, each against what it was like in the last week."""

from __future__ import annotations

import random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.detector import Chosen
from streams.detect.methods.sketch import index
from streams.detect.scope.tool_latency import TOOLS_MAX, Thresholds, ToolLatency
from streams.records import Finding

MINUTE, DAY = 60, 86_400


class Bench(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(ToolLatency(**given))

    def calls(self, at: float, count: int = 5, ms: float = 600.0, sigma: float = 0.5, tool: str = "search") -> None:
        chance = random.Random(f"{at}{tool}")
        sums: dict[str, int] = {"calls": count}
        for _ in range(count):
            name = f"ms#{index(ms * chance.lognormvariate(0, sigma))}"
            sums[name] = sums.get(name, 0) + 1
        self.fact(at, "tool", ("billing", "7", "prod", tool, "shop"), sums)

    def minutes(self, begin: float, end: float, **given: Any) -> list[Finding]:
        found = []
        for at in range(int(begin), int(end), MINUTE):
            self.calls(at, **given)
            found += self.until(at + MINUTE)
        return found


def test_a_tool_three_times_as_slow_is_found_within_minutes_and_ends_when_it_is_fast_again() -> None:
    bench = Bench()
    assert bench.minutes(0, 2 * DAY) == []
    found = bench.minutes(2 * DAY, 2 * DAY + 60 * MINUTE, ms=1800.0)
    assert found[0].at <= b.at(2 * DAY + 10 * MINUTE)
    assert (found[0].severity, found[0].subject) == ("medium", {"agent": "billing", "tool": "search"})
    assert found[0].dependency == "shop"
    assert (found[0].observed or "").startswith("95 % of ")
    assert len({one.fingerprint for one in found}) == 1
    assert found[-1].at >= b.at(2 * DAY + 55 * MINUTE)
    after = bench.minutes(2 * DAY + 60 * MINUTE, 2 * DAY + 3 * 3600)
    assert all(one.at <= b.at(2 * DAY + 71 * MINUTE) for one in after)


def test_on_its_first_day_it_is_compared_with_that_day_and_before_a_hundred_calls_with_nothing() -> None:
    bench = Bench()
    assert bench.minutes(0, 15 * MINUTE) == []
    assert Bench().minutes(0, 15 * MINUTE, ms=60_000.0) == []
    assert bench.minutes(15 * MINUTE, 3600) == []
    assert bench.minutes(3600, 3600 + 10 * MINUTE, ms=3000.0) != []


def test_what_is_fast_enough_may_be_ten_times_slower() -> None:
    bench = Bench()
    bench.minutes(0, DAY, ms=20.0)
    assert bench.minutes(DAY, DAY + 3600, ms=200.0) == []


def test_few_calls_in_ten_minutes_are_too_few() -> None:
    bench = Bench()
    bench.minutes(0, DAY)
    assert bench.minutes(DAY + 3600, DAY + 7200, ms=5000.0, count=1) == []


def test_other_tools_are_not_blamed_and_one_that_is_faster_is_no_trouble() -> None:
    bench = Bench()
    for at in range(0, DAY, MINUTE):
        bench.calls(at)
        bench.calls(at, tool="refund")
    assert bench.until(DAY) == []
    found = []
    for at in range(DAY, DAY + 3600, MINUTE):
        bench.calls(at, ms=5000.0)
        bench.calls(at, tool="refund", ms=60.0)
        found += bench.until(at + MINUTE)
    assert {one.subject["tool"] for one in found} == {"search"}


def test_a_tool_that_stays_slow_is_the_usual_one_after_some_days() -> None:
    bench = Bench()
    bench.minutes(0, 2 * DAY)
    found = bench.minutes(2 * DAY, 7 * DAY, ms=3000.0)
    assert found[-1].at < b.at(6 * DAY)


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("count", [2, 10])
def test_days_of_a_healthy_tool_say_nothing(sigma: float, count: int) -> None:
    assert Bench().minutes(0, 4 * DAY, sigma=sigma, count=count, ms=1500.0) == []


def test_an_agent_may_have_thresholds_of_its_own() -> None:
    bench = Bench(overrides=(("bill*", Chosen(Thresholds(ratio_min=50.0), "medium", False)),))
    bench.minutes(0, DAY)
    assert bench.minutes(DAY, DAY + 3600, ms=3000.0) == []


def test_a_hundred_thousand_names_push_out_each_other_and_not_the_tools_that_are_used() -> None:
    bench = Bench()
    bench.minutes(0, DAY)
    for n in range(10_000):
        bench.calls(DAY + n / 20, tool=f"made-up-{n}", count=1)
    bench.until(DAY + 3600)
    assert len(bench.state.known) == TOOLS_MAX
    assert "search\x1fshop" in bench.state.known
    assert len(msgspec.msgpack.encode(bench.state)) < 20_000


def test_a_tool_with_a_strange_name_is_borne() -> None:
    bench = Bench()
    bench.minutes(0, DAY, tool="a\x1fb")
    assert bench.minutes(DAY, DAY + 900, tool="a\x1fb", ms=9000.0) != []
