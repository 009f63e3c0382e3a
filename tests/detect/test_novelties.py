"""Metrics of agents that leave the range they were ever in."""

from __future__ import annotations

import math
import random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from benchmarks.detecting import cost
from streams.detect.detector import Chosen
from streams.detect.methods.sketch import index
from streams.detect.scope.novelties import SERIES_MAX, MetricNovelty, Thresholds
from streams.records import Finding

DAY = 288  # values
WHO = ("billing", "7", "prod")


class Bench(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(MetricNovelty(**given))

    def calls(self, at: int, count: int = 40, ms: float = 800.0, tokens: int = 1200, kind: str = "model") -> None:
        """In the five minutes `at`: calls of about so many milliseconds, and tokens each."""
        chance = random.Random(f"{at}{kind}")
        sums = {"calls": count}
        for _ in range(count):
            name = f"ms#{index(ms * chance.lognormvariate(0, 0.5))}"
            sums[name] = sums.get(name, 0) + 1
        if kind == "model":
            sums |= {"input": round(tokens * count * chance.uniform(0.8, 1.2)), "output": 0, "priced": count}
        self.fact(at * 300, kind, (*WHO, "openai", "gpt-5"), sums)

    def number(self, at: int, value: float, name: str = "queue") -> None:
        self.fact(at * 300, "number", ("billing", "prod", name), {"n": 1, "micro": round(value * 10**6)})

    def told(self, at: int) -> list[Finding]:
        return self.until(at * 300 + 300)


def metrics(found: list[Finding]) -> list[str]:
    return [one.subject["metric"] for one in found]


def usual(bench: Bench, end: int, begin: int = 0) -> list[Finding]:
    found = []
    for at in range(begin, end):
        bench.calls(at)
        bench.calls(at, kind="tool", ms=200)
        found += bench.told(at)
    return found


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"ms": 4000.0}, "latency of model calls, ms"),
        ({"ms": 9000.0, "kind": "tool"}, "latency of tools, ms"),
        ({"tokens": 9000}, "tokens per call"),
        ({"count": 400}, "model calls in 5 minutes"),
        ({"count": 400, "kind": "tool"}, "tool calls in 5 minutes"),
    ],
)
def test_what_was_never_as_high_is_told_at_low_severity_and_not_again_and_again(
    change: dict[str, Any], metric: str
) -> None:
    bench = Bench()
    assert usual(bench, 3 * DAY) == []
    found = []
    for at in range(3 * DAY, 3 * DAY + 60):
        bench.calls(at, **change)
        found += bench.told(at)
    assert set(metrics(found)) == {metric}
    assert (found[0].severity, found[0].at) == ("low", b.at((3 * DAY + 1) * 300))
    assert len(found) <= 3
    assert "between" in (found[0].expected or "")


def test_less_of_it_is_no_news_but_of_an_agents_own_numbers() -> None:
    bench = Bench()
    usual(bench, 3 * DAY)
    for at in range(3 * DAY, 4 * DAY):
        bench.calls(at, count=20, ms=100.0, tokens=100)
        assert bench.told(at) == []
    for at in range(4 * DAY, 7 * DAY):
        bench.number(at, 90 + at % 20)
        assert bench.told(at) == []
    bench.number(7 * DAY, 2.0)
    (found,) = bench.told(7 * DAY)
    assert (found.subject, found.severity) == ({"agent": "billing", "metric": "queue"}, "low")
    assert (found.observed or "", found.expected or "") == (
        "2 on average",
        "between 90.0285 and 108.972, by 864 values; 99.3989 in the last day",
    ) or (found.expected or "").startswith("between 90.")


def test_numbers_that_are_watched_are_tickets_of_medium_severity() -> None:
    bench = Bench(overrides=(("bill*", Chosen(Thresholds(watched=["queue*"]), "low", False)),))
    for at in range(2 * DAY):
        bench.number(at, 90 + at % 20)
        bench.number(at, 0.5 + at % 3 / 10, name="share")
        assert bench.told(at) == []
    bench.number(2 * DAY, 400)
    bench.number(2 * DAY, 0.99, name="share")
    assert {(one.subject["metric"], one.severity) for one in bench.told(2 * DAY)} == {
        ("queue", "medium"),
        ("share", "low"),
    }


def test_in_the_first_four_hours_and_below_the_floors_nothing_is_told() -> None:
    bench = Bench()
    usual(bench, 40)
    bench.calls(40, ms=60_000)
    assert bench.told(40) == []
    tiny = Bench()
    for at in range(3 * DAY):
        tiny.calls(at, ms=20, tokens=50, count=12)
        tiny.told(at)
    tiny.calls(3 * DAY, ms=800, tokens=1900, count=90)
    assert tiny.told(3 * DAY) == []


def test_a_mean_of_few_calls_is_none() -> None:
    bench = Bench()
    usual(bench, 3 * DAY)
    bench.calls(3 * DAY, count=9, ms=60_000, tokens=50_000)
    assert bench.told(3 * DAY) == []


@pytest.mark.parametrize("rate", [2.0, 20.0])
def test_healthy_agents_with_days_and_weekends_are_seldom_told_of(rate: float) -> None:
    """Six weeks of five series: at most two records, and those early."""
    bench, chance, found = Bench(), random.Random(rate), list[Finding]()
    mean = sum(cost.cycle(at) for at in range(cost.WEEK)) / cost.WEEK
    for at in range(6 * cost.WEEK):
        count = cost.poisson(chance, rate * 5 * cost.cycle(at) / mean)
        if count:
            bench.calls(at, count=count, ms=2000, tokens=3000)
            bench.number(at, chance.gauss(50, 5))
        found += bench.told(at)
    assert len(found) <= 2


def test_a_flood_of_numbers_pushes_out_neither_what_is_always_measured_nor_what_is_known() -> None:
    bench = Bench()
    for at in range(60):
        bench.calls(at)
        bench.number(at, 90 + at % 20)
        bench.told(at)
    for n in range(5000):
        bench.number(60, 1.0, name=f"n{n}")
    bench.calls(60)
    bench.number(60, 100.0)
    bench.told(60)
    assert len(bench.state.series) == SERIES_MAX
    assert {"tokens per call", "number queue"} <= bench.state.series.keys()


def test_what_nobody_speaks_of_is_forgotten_and_absurd_sums_are_borne() -> None:
    bench = Bench()
    bench.number(0, 1e9, name="gone")
    bench.calls(0, ms=1e15, tokens=2**40)
    bench.told(0)
    bench.number(8 * DAY, 1.0)
    bench.told(8 * DAY)
    assert bench.state.series.keys() == {"number queue"}
    assert all(math.isfinite(one.novelty.slow) for one in bench.state.series.values())


def test_what_an_agent_remembers_is_small() -> None:
    bench = Bench()
    usual(bench, 8 * DAY)
    for n in range(40):
        bench.number(8 * DAY, 1.0, name=f"n{n}")
    bench.told(8 * DAY)
    assert len(msgspec.msgpack.encode(bench.state)) < 16_000
