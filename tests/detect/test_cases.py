"""Cases: chance is told apart from what stays broken, and many that fall together are one."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.scope.cases import CASES_MAX, EvaluatorFlakes, EvaluatorRegressions

MINUTE = 60


class Bench(Scoped):
    """A suite that runs once a minute; `failing` are the numbers of the cases that fail in a run."""

    def __init__(self, detector: Any, cases: int = 20) -> None:
        super().__init__(detector)
        self.cases, self.runs = cases, 0

    def run(self, *failing: int, release: str = "7") -> list[Any]:
        for number in range(self.cases):
            sign = "-" if number in failing else "+"
            subject = ("billing", "suite", release, "prod")
            self.fact(self.runs * MINUTE, "case", subject, {f"{sign}case-{number}": 1})
        self.runs += 1
        return self.until(self.runs * MINUTE)

    def runs_of(self, times: int, *failing: int, release: str = "7") -> list[Any]:
        return [found for _ in range(times) for found in self.run(*failing, release=release)]


@pytest.fixture
def regressions() -> Bench:
    return Bench(EvaluatorRegressions())


@pytest.fixture
def flakes() -> Bench:
    return Bench(EvaluatorFlakes())


def test_a_case_that_stays_failed_is_a_regression_of_medium_severity(regressions: Bench) -> None:
    assert regressions.runs_of(60) == []
    assert regressions.runs_of(2, 4) == []
    (found,) = regressions.run(4)
    assert (found.severity, found.count, found.observed) == ("medium", 1, "case-4 (3 in a row)")
    assert found.releases == ("7",)


def test_a_case_with_little_history_must_fail_longer(regressions: Bench) -> None:
    regressions.runs_of(3)
    assert regressions.runs_of(6, 4) == []
    assert regressions.runs_of(1, 4) != []


def test_a_case_that_never_passed_is_no_regression(regressions: Bench) -> None:
    assert regressions.runs_of(40, 4) == []


def test_many_cases_that_fall_with_a_release_are_one_finding_at_once(regressions: Bench) -> None:
    regressions.runs_of(30)
    (found,) = regressions.run(1, 2, 3, 4, 5, 6, 7, release="8")
    assert (found.severity, found.count, found.releases) == ("high", 7, ("8",))
    assert found.observed is not None
    assert found.observed.endswith("and 2 more")


def test_one_case_that_falls_with_a_release_may_be_chance(regressions: Bench) -> None:
    regressions.runs_of(30)
    assert regressions.run(1, release="8") == []


def test_a_repaired_case_is_over(regressions: Bench) -> None:
    regressions.runs_of(30)
    assert regressions.runs_of(8, 4) != []
    assert regressions.runs_of(20) == []


def test_a_case_that_flips_back_and_forth_is_a_flake_and_no_regression(flakes: Bench, regressions: Bench) -> None:
    chance = random.Random(1)
    for _ in range(60):
        failing = (4,) if chance.random() < 0.4 else ()
        flakes.run(*failing)
        assert regressions.run(*failing) == []
    (found,) = flakes.runs_of(6)
    assert (found.severity, found.count) == ("low", 1)
    assert found.observed is not None
    assert found.observed.startswith("case-4 (")


def test_a_regression_that_is_repaired_is_no_flake(flakes: Bench) -> None:
    assert flakes.runs_of(20) == []
    assert flakes.runs_of(20, 4) == []
    assert flakes.runs_of(20) == []


def test_results_of_different_releases_are_no_flips(flakes: Bench) -> None:
    for number in range(30):
        assert flakes.runs_of(1, *((4,) if number % 2 else ()), release=f"r{number}") == []


def test_a_flake_that_calmed_down_is_over(flakes: Bench) -> None:
    for number in range(10):
        flakes.run(*((4,) if number % 2 else ()))
    flakes.runs_of(60)
    assert flakes.runs_of(10) == []


def test_a_hundred_thousand_cases_do_not_fill_the_memory() -> None:
    for detector in (EvaluatorFlakes(), EvaluatorRegressions()):
        bench = Scoped(detector)
        for number in range(100):
            sums = {f"-case-{number * 1000 + n}": 1 for n in range(1000)}
            bench.fact(number * 10, "case", ("billing", "suite", "7", "prod"), sums)
            bench.until(number * 10 + 10)
        assert len(bench.state.cases) == CASES_MAX
        assert len(msgspec.msgpack.encode(bench.state)) < 25_000
