"""A release against the one before it."""

from __future__ import annotations

import random

import msgspec
from detect.scoped import Scoped

from streams.detect.methods.sketch import index
from streams.detect.scope.releases import RELEASES_MAX, VersionRegression


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(VersionRegression())
        self.chance, self.seconds = random.Random(1), 0

    def sessions(
        self, n: int, release: str, *, bad: float = 0.05, cost: float = 0.1, ms: float = 9000, kind: str = ""
    ) -> None:
        for _ in range(n):
            failed = self.chance.random() < bad
            sums = {"ended": 1, "failed" if failed else "succeeded": 1}
            sums[f"cost#{index(self.chance.lognormvariate(0, 0.8) * cost)}"] = 1
            sums[f"ms#{index(self.chance.lognormvariate(0, 0.8) * ms)}"] = 1
            self.fact(self.seconds, "session", ("billing", release, "prod", kind), sums)
            self.seconds += 10

    def found(self) -> set[tuple[str, str, tuple[str, ...]]]:
        return {(one.subject["measure"], one.severity, one.releases) for one in self.until(self.seconds + 10)}


def test_a_release_that_is_like_the_one_before_is_nothing() -> None:
    bench = Bench()
    bench.sessions(300, "7")
    bench.sessions(300, "8")
    assert bench.found() == set()


def test_a_release_that_fails_three_times_as_often_is_found() -> None:
    bench = Bench()
    bench.sessions(300, "7")
    bench.sessions(130, "8", bad=0.2)
    assert bench.found() == {("failure rate", "high", ("8",))}


def test_a_release_that_costs_three_times_as_much_is_high_and_one_that_costs_half_more_is_medium() -> None:
    for times, severity in ((3.0, "high"), (1.6, "medium")):
        bench = Bench()
        bench.sessions(300, "7")
        bench.sessions(250, "8", cost=0.1 * times)
        assert bench.found() == {("cost", severity, ("8",))}


def test_a_release_that_is_faster_and_cheaper_is_nothing() -> None:
    bench = Bench()
    bench.sessions(300, "7", bad=0.3)
    bench.sessions(300, "8", cost=0.02, ms=900)
    assert bench.found() == set()


def test_slower_is_found_and_said_in_seconds() -> None:
    bench = Bench()
    bench.sessions(200, "7")
    bench.sessions(130, "8", ms=30_000)
    (found, *_) = bench.until(bench.seconds + 10)
    assert found.subject == {"agent": "billing", "measure": "duration"}
    assert found.observed is not None
    assert found.observed.endswith("s before")


def test_other_tasks_may_cost_more() -> None:
    bench = Bench()
    bench.sessions(200, "7", kind="refund")
    for _ in range(100):
        bench.sessions(1, "8", kind="refund")
        bench.sessions(1, "8", kind="report", cost=5.0, ms=600_000, bad=0.5)
    assert bench.found() == set()


def test_twenty_nine_sessions_are_too_few() -> None:
    few, enough = Bench(), Bench()
    for bench, n in ((few, 29), (enough, 30)):
        bench.sessions(100, "7")
        bench.sessions(n, "8", bad=0.9)
    assert few.found() == set()
    assert enough.found() != set()


def test_a_canary_is_measured_by_the_stable_release_beside_it_and_not_the_other_way_round() -> None:
    bench = Bench()
    bench.sessions(100, "7")
    for _ in range(130):
        bench.sessions(1, "7")
        bench.sessions(1, "8", bad=0.4)
    assert bench.found() == {("failure rate", "high", ("8",))}


def test_a_release_every_few_minutes_does_not_fill_the_memory_or_lose_the_stable_one() -> None:
    bench = Bench()
    bench.sessions(100, "7")
    for n in range(60):
        bench.sessions(2, f"try-{n}", kind=f"task-{n}")
        bench.sessions(2, "7")
        assert bench.found() == set()
    assert len(bench.state.releases) == RELEASES_MAX
    assert bench.state.releases[0].name == "7"
    assert len(msgspec.msgpack.encode(bench.state)) < 6000
