"""A session's cost so far, against sessions of its kind that have ended."""

from __future__ import annotations

import random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.methods.sketch import index
from streams.detect.scope.cost_peers import KINDS_MAX, CostPeers, Thresholds
from streams.records import Finding

NANO = 10**9


class Bench(Scoped):
    def __init__(self, thresholds: Thresholds | None = None, **given: Any) -> None:
        super().__init__(CostPeers(thresholds, **given))

    def ended(self, seconds: float, *costs: float, kind: str = "refund", release: str = "7") -> None:
        for dollars in costs:
            sums = {"ended": 1, "nano": round(dollars * NANO), f"cost#{index(dollars)}": 1}
            self.fact(seconds, "session", ("billing", release, "prod", kind), sums)

    def spent(self, seconds: float, dollars: float, session: str = "runaway", kind: str = "refund") -> None:
        mark = f"{round(dollars * NANO)}\x1f{session}\x1f{kind}"
        sample = b.excerpt(seconds, session=session, value=dollars)
        self.fact(seconds, "spent", ("billing", "prod", kind), {}, marks=(mark,), samples=(sample,))

    def peers(self, count: int = 200, kind: str = "refund", median: float = 0.2) -> None:
        chance = random.Random(kind)
        self.ended(0, *(median * chance.lognormvariate(0, 0.5) for _ in range(count)), kind=kind)
        self.until(10)


def test_a_session_far_beyond_its_peers_is_told_while_it_runs_and_once() -> None:
    bench = Bench()
    bench.peers()
    for step in range(60):
        bench.spent(600 + step * 60, 0.1 * 1.2**step)
    (found,) = bench.until(6000)
    assert (found.severity, found.subject) == ("high", {"agent": "billing"})
    assert "so far in session runaway" in (found.observed or "")
    assert "200 others (refund)" in (found.expected or "")
    assert [one.session for one in found.evidence] == ["runaway"]
    assert found.at < b.at(600 + 20 * 60)


def test_among_few_peers_only_the_absolute_limits_of_cost_session_hold() -> None:
    bench = Bench()
    bench.peers(49)
    bench.spent(600, 500.0)
    assert bench.until(700) == []
    bench.ended(700, 0.2)
    bench.until(710)
    bench.spent(720, 500.0)
    assert len(bench.until(800)) == 1


def test_below_the_floor_nothing_is_dear_and_an_agent_may_have_a_floor_of_its_own() -> None:
    bench, low = Bench(), Bench(Thresholds(floor=0.1))
    for one in (bench, low):
        one.peers(median=0.01)
        one.spent(600, 0.9)
    assert bench.until(700) == []
    assert len(low.until(700)) == 1


def test_a_kind_of_task_is_compared_with_its_own() -> None:
    bench = Bench()
    bench.peers()
    bench.peers(kind="research", median=4.0)
    bench.spent(600, 9.0, kind="research")
    assert bench.until(700) == []
    bench.spent(700, 9.0, session="other")
    assert len(bench.until(800)) == 1


def test_a_new_release_has_the_same_peers() -> None:
    bench = Bench()
    bench.peers()
    bench.ended(300, 0.2, release="8")
    bench.spent(600, 9.0)
    assert len(bench.until(700)) == 1


def test_many_at_once_are_one_finding_that_counts_them_and_none_is_lost() -> None:
    bench = Bench()
    bench.peers()
    for number in range(40):
        bench.spent(600, 9.0 + number, session=f"s{number}")
    (found,) = bench.until(700)
    assert (found.count, found.observed) == (40, "48.00 so far in session s39, and 39 other sessions")


@pytest.mark.parametrize("sigma", [0.8, 1.2, 1.6])
def test_healthy_sessions_are_told_once_in_thousands(sigma: float) -> None:
    """10,000 sessions of one agent, each a dollar in the middle."""
    bench, chance, found = Bench(), random.Random(sigma), list[Finding]()
    for number in range(10_000):
        cost = chance.lognormvariate(0, sigma)
        bench.spent(number * 600, cost, session=f"s{number}")
        bench.ended(number * 600 + 10, cost)
        found += bench.until(number * 600 + 60)
    assert len(found) <= 3


def test_a_hundred_thousand_kinds_of_tasks_push_out_neither_each_other_nor_those_that_are_known() -> None:
    bench = Bench()
    bench.peers()
    for number in range(2000):
        bench.ended(20 + number * 10, 0.3, kind=f"kind-{number}")
    bench.until(30_000)
    assert len(bench.state.kinds) == KINDS_MAX
    assert len(msgspec.msgpack.encode(bench.state)) < 4000
    bench.spent(30_010, 9.0)
    assert len(bench.until(31_000)) == 1


def test_absurd_amounts_and_marks_that_are_none_do_no_harm() -> None:
    bench = Bench()
    bench.peers()
    bench.fact(100, "spent", ("billing", "prod", "refund"), {}, marks=(f"{2**62}\x1fhuge\x1frefund\x1fmore",))
    bench.ended(100, 1e12)
    bench.until(200)
    bench.spent(300, 9.0)
    assert len(bench.until(400)) == 1


def test_what_has_no_cost_is_not_ours() -> None:
    free = b.fact(0, kind="session", subject=("billing", "7", "prod", ""), sums={"ended": 1, "nano": 0})
    assert CostPeers().key(free) is None
