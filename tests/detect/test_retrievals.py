"""Retrieval that finds nothing, or nothing that fits: more often than it did."""

from __future__ import annotations

import random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.detector import Chosen
from streams.detect.scope.retrievals import TOOLS_MAX, RetrievalEmpty, Thresholds
from streams.records import Finding

MINUTE = 60


class Bench(Scoped):
    def __init__(self, **given: Any) -> None:
        super().__init__(RetrievalEmpty(**given))
        self.chance = random.Random(1)

    def calls(self, at: float, count: int, empty: int, scores: tuple[float, ...] = (), tool: str = "lookup") -> None:
        sums = {"calls": count, "empty": empty} if empty else {"calls": count}
        if scores:
            sums |= {"scored": len(scores), "score": round(sum(scores) * 10**6)}
        self.fact(at, "retrieval", ("billing", "7", "prod", tool), sums)

    def minutes(self, begin: int, end: int, share: float, score: float = 0.8, spread: float = 0.1) -> list[Finding]:
        """Four calls a minute."""
        found = []
        for n in range(begin, end):
            empty = sum([self.chance.random() < share for _ in range(4)])
            scores = tuple(self.chance.gauss(score, spread) for _ in range(4 - empty))
            self.calls(n * MINUTE, 4, empty, scores)
            found += self.until(n * MINUTE + MINUTE)
        return found


def about(found: list[Finding]) -> set[str]:
    return {one.subject.get("what", "empty") for one in found}


@pytest.mark.parametrize("share", [0.02, 0.2, 0.4])
def test_twice_as_many_empty_ones_as_usual_are_found_and_it_ends(share: float) -> None:
    bench = Bench()
    assert bench.minutes(0, 500, share) == []
    found = bench.minutes(500, 700, min(0.95, share * 2 + 0.1))
    assert about(found) == {"empty"}
    assert (found[0].severity, found[0].subject) == ("medium", {"agent": "billing", "tool": "lookup"})
    assert found[0].at <= b.at(640 * MINUTE)
    after = bench.minutes(700, 1200, share)
    assert all(one.at <= b.at(800 * MINUTE) for one in after)


def test_an_index_that_is_gone_is_found_within_five_minutes() -> None:
    bench = Bench()
    bench.minutes(0, 200, 0.05)
    (first, *_) = bench.minutes(200, 210, 1.0)
    assert first.at <= b.at(205 * MINUTE)
    assert "in a row" in (first.observed or "")


def test_before_anything_is_known_twenty_empty_ones_in_a_row_are_told_and_a_few_are_not() -> None:
    bench = Bench()
    assert bench.minutes(0, 4, 1.0) == []
    (found, *_) = bench.minutes(4, 8, 1.0)
    assert (found.expected, found.at) == ("something, now and then", b.at(5 * MINUTE))
    assert Bench().minutes(0, 100, 0.8) == []


def test_scores_that_fall_by_a_third_are_found_and_scores_that_rise_are_not() -> None:
    bench = Bench()
    bench.minutes(0, 200, 0.05)
    assert bench.minutes(200, 300, 0.05, score=0.95) == []
    found = bench.minutes(300, 340, 0.05, score=0.5)
    assert about(found) == {"score"}
    assert found[0].at <= b.at(316 * MINUTE)
    assert (found[0].title) == "billing: what lookup finds fits worse than it did"
    assert bench.minutes(350, 500, 0.05, score=0.9)[2:] == []


def test_scores_that_stay_low_are_how_it_is_by_then() -> None:
    bench = Bench()
    bench.minutes(0, 200, 0.0)
    found = bench.minutes(200, 700, 0.0, score=0.4)
    assert found[-1].at < b.at(500 * MINUTE)


def test_distances_below_zero_are_not_judged() -> None:
    bench = Bench()
    bench.minutes(0, 100, 0.0, score=-0.5)
    assert bench.minutes(100, 200, 0.0, score=-2.0) == []


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6])
def test_ten_thousand_healthy_calls_are_quiet(share: float) -> None:
    assert Bench().minutes(0, 2500, share, spread=0.4) == []


def test_an_agent_may_have_thresholds_of_its_own() -> None:
    bench = Bench(overrides=(("bill*", Chosen(Thresholds(fall_min=0.9), "medium", False)),))
    bench.minutes(0, 200, 0.05)
    assert bench.minutes(200, 300, 0.05, score=0.3) == []


def test_a_hundred_thousand_tools_push_out_each_other_and_not_those_that_are_known() -> None:
    bench = Bench()
    bench.minutes(0, 100, 0.05)
    for n in range(5000):
        bench.calls(6000 + n / 10, 1, 0, tool=f"made up {n}")
    bench.until(8000)
    assert len(bench.state.known) == TOOLS_MAX
    assert "lookup" in bench.state.known
    assert len(msgspec.msgpack.encode(bench.state)) < 8000
