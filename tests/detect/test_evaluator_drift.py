"""Scores that slide, and evaluators that change their scale."""

from __future__ import annotations

import random

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.scope.evaluator_drift import EvaluatorDrift
from streams.detect.session.evaluations import _scored

HOUR = 3600


class Bench(Scoped):
    def __init__(self, direction: str | None = None) -> None:
        super().__init__(EvaluatorDrift())
        self.direction, self.chance = direction, random.Random(1)

    def score(self, seconds: float, score: float, **more: int) -> None:
        sums = {"unscored": 1, **_scored(score, self.direction), **more}
        self.fact(seconds, "evaluation", ("billing", "tone", "7", "prod"), sums)

    def hours(self, start: int, hours: int, mean: float, spread: float = 0.1, each: int = 10) -> int:
        for hour in range(start, start + hours):
            for n in range(each):
                self.score(hour * HOUR + n * 300, self.chance.gauss(mean, spread))
        return start + hours


def test_a_mean_that_falls_by_a_third_is_a_ticket_within_hours() -> None:
    bench = Bench()
    now = bench.hours(0, 48, 0.9)
    assert bench.until(now * HOUR) == []
    end = bench.hours(now, 3, 0.6)
    found = bench.until(end * HOUR)
    assert {(one.severity, one.title) for one in found} == {("medium", "billing: scores of tone became worse")}
    assert found[-1].observed == "mean 0.575 of the last 20 scores, 36% lower"


@pytest.mark.parametrize(("direction", "worse"), [(None, 0.6), ("lower", 1.3), ("maximize", 0.6), ("minimize", 1.3)])
def test_what_is_worse_depends_on_the_evaluators_direction(direction: str | None, worse: float) -> None:
    for mean in (worse, 1.9 - worse):
        bench = Bench(direction)
        now = bench.hours(0, 48, 0.95)
        end = bench.hours(now, 6, mean)
        assert bool(bench.until(end * HOUR)) == (mean == worse)


def test_too_few_scores_and_a_small_slide_say_nothing() -> None:
    few = Bench()
    few.hours(0, 1, 0.9, each=9)
    few.hours(1, 1, 0.2, each=9)
    assert few.until(3 * HOUR) == []
    small = Bench()
    now = small.hours(0, 48, 0.9)
    end = small.hours(now, 24, 0.85)
    assert small.until(end * HOUR) == []


def test_scores_that_scatter_widely_are_no_slide() -> None:
    bench = Bench()
    for n in range(5000):
        bench.score(n * 360, bench.chance.choice((0.0, 0.0, 0.5, 1.0)))
    assert bench.until(500 * HOUR + HOUR) == []


def test_an_evaluator_that_changes_its_scale_is_told_once_and_is_no_slide() -> None:
    for before, after in ((0.8, 80.0), (80.0, 0.8)):
        bench = Bench()
        now = bench.hours(0, 48, before, before / 10)
        bench.until(now * HOUR)
        end = bench.hours(now, 48, after, after / 10)
        found = bench.until(end * HOUR)
        assert [(one.severity, one.title) for one in found] == [("medium", "billing: evaluator tone changed its scale")]


def test_one_absurd_score_is_neither() -> None:
    bench = Bench()
    now = bench.hours(0, 48, 0.9)
    bench.score(now * HOUR, 1e6)
    end = bench.hours(now, 24, 0.9)
    assert bench.until(end * HOUR) == []
    assert len(msgspec.msgpack.encode(bench.memories)) < 4000


def test_what_fails_is_told_by_the_failure_rate_alone() -> None:
    bench = Bench()
    now = bench.hours(0, 48, 0.9)
    for n in range(60):
        bench.score(now * HOUR + n * 50, 0.2, failed=1)
    assert bench.until((now + 2) * HOUR) == []


def test_a_slide_over_days_is_found_and_then_becomes_what_is_normal() -> None:
    bench, now = Bench(), 0
    for day in range(10):
        now = bench.hours(now, 24, 0.9 - 0.03 * day)
    assert bench.until(now * HOUR) != []
    later = bench.hours(now, 24 * 60, 0.6)
    assert [one for one in bench.until(later * HOUR) if one.at > b.at((now + 24 * 30) * HOUR)] == []
