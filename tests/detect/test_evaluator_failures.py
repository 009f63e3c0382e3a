"""Evaluator failures: a rate that is higher than it was."""

from __future__ import annotations

import random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped

from streams.detect.scope.banks import RELEASES_MAX
from streams.detect.scope.evaluator_failures import EvaluatorFailures, Thresholds
from streams.policy import PolicyError, parse
from streams.records import Finding


class Bench(Scoped):
    def __init__(self, thresholds: Thresholds | None = None) -> None:
        super().__init__(EvaluatorFailures(thresholds))

    def bucket(self, seconds: float, passed: int = 0, failed: int = 0, release: str = "7", **given: Any) -> None:
        sums = {name: value for name, value in (("passed", passed), ("failed", failed)) if value}
        self.fact(seconds, "evaluation", given.pop("subject", ("billing", "tone", release, "prod")), sums, **given)

    def healthy(self, evaluations: int, release: str = "7", rate: float = 0.05, start: float = 0) -> float:
        """Ten to a bucket. Answers the time after it."""
        chance, seconds = random.Random(1), start
        for _ in range(evaluations // 10):
            failed = sum([chance.random() < rate for _ in range(10)])
            self.bucket(seconds, 10 - failed, failed, release)
            seconds += 10
        return seconds


def high(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.severity == "high"]


def test_a_collapse_is_found_when_its_bucket_closes() -> None:
    bench = Bench()
    now = bench.healthy(600)
    assert bench.until(now) == []
    bench.bucket(now, passed=0, failed=9, samples=(b.excerpt(now),))
    assert bench.until(now + 9) == []
    (found,) = bench.until(now + 10)
    assert (found.severity, found.count, found.at) == ("high", 9, b.at(now + 10))
    assert found.observed is not None
    assert found.observed.startswith("9 of ")
    assert found.expected == "about 6%"
    assert (found.releases, len(found.evidence)) == (("7",), 1)


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05, 0.1, 0.2])
def test_a_normal_rate_is_learned_and_is_no_trouble_however_long_it_lasts(rate: float) -> None:
    bench = Bench()
    now = bench.healthy(5000, rate=rate)
    assert high(bench.until(now)) == []


def test_a_small_rise_becomes_a_ticket_and_then_a_page() -> None:
    bench = Bench()
    now = bench.healthy(1000)
    bench.until(now)
    end = bench.healthy(400, rate=0.17, start=now)
    found = bench.until(end)
    assert [one.severity for one in found][:2] == ["medium", "high"]


def test_before_anything_is_known_six_failures_in_a_row_are_enough_and_a_few_are_not() -> None:
    bench = Bench()
    bench.bucket(0, failed=5)
    assert high(bench.until(60)) == []
    bench.bucket(60, failed=1)
    assert len(high(bench.until(70))) == 1
    mixed = Bench()
    mixed.bucket(0, passed=7, failed=3)
    assert mixed.until(60) == []


def test_a_new_release_begins_with_what_the_release_before_was_like() -> None:
    bench = Bench()
    now = bench.healthy(1000, rate=0.3)
    assert high(bench.until(now))[-1].at < b.at(450)  # nobody knew; then that is what is normal
    end = bench.healthy(500, release="8", rate=0.3, start=now)
    assert high(bench.until(end)) == []
    bench.bucket(end, failed=14, passed=2, release="9")
    (found,) = high(bench.until(end + 10))
    assert found.releases == ("9",)


def test_a_release_that_doubles_the_failures_slowly_is_measured_by_the_one_before() -> None:
    bench = Bench()
    now = bench.healthy(1280, rate=0.04)
    bench.until(now)
    end = bench.healthy(1900, release="8", rate=0.1, start=now)
    assert high(bench.until(end)) != []


def test_a_regression_does_not_become_the_baseline_of_the_next_release() -> None:
    bench = Bench()
    now = bench.healthy(640)
    now = bench.healthy(300, release="8", rate=0.6, start=now)
    bench.until(now)
    bench.bucket(now, passed=2, failed=8, release="9")
    assert [one.releases for one in high(bench.until(now + 10))] == [("9",)]


def test_a_first_release_that_fails_is_told_and_a_better_second_one_is_not() -> None:
    bench = Bench()
    now = bench.healthy(80, rate=0.5)
    assert {one.releases for one in bench.until(now)} == {("7",)}
    end = bench.healthy(400, release="8", rate=0.2, start=now)
    assert bench.until(end) == []


def test_a_healthy_release_beside_a_failing_one_is_not_named() -> None:
    bench = Bench()
    now = bench.healthy(640)
    for n in range(5):
        bench.bucket(now + 10 * n, passed=10, release="7")
        bench.bucket(now + 10 * n, passed=2, failed=8, release="8")
    assert {one.releases for one in bench.until(now + 60)} == {("8",)}


def test_while_it_lasts_it_is_repeated_every_five_minutes() -> None:
    bench = Bench()
    now = bench.healthy(640)
    bench.until(now)
    for n in range(61):
        bench.bucket(now + n * 10, failed=10)
    assert [found.at for found in bench.until(now + 700)] == [b.at(now + seconds) for seconds in (10, 310, 610)]


def test_a_rate_that_was_only_compared_with_a_guess_becomes_the_normal_one() -> None:
    bench = Bench()
    now = bench.healthy(1000, rate=0.4)
    assert high(bench.until(now)) != []
    end = bench.healthy(1000, rate=0.4, start=now)
    assert high(bench.until(end)) == []
    bench.bucket(end, failed=12)
    bench.bucket(end + 10, failed=12)
    assert high(bench.until(end + 20)) != []


def test_it_comes_down_again() -> None:
    bench = Bench()
    now = bench.healthy(640)
    bench.bucket(now, failed=100)
    assert len(bench.until(now + 10)) == 1
    for n in range(1, 20):
        bench.bucket(now + n * 10, passed=10)
    bench.until(now + 200)
    for n in range(100):
        bench.bucket(now + 200 + n * 10, passed=10)
    assert bench.until(now + 1300) == []


def test_broken_and_unscored_ones_do_not_count_as_passed() -> None:
    bench = Bench()
    bench.fact(0, "evaluation", ("billing", "tone", "7", "prod"), {"broken": 50, "unscored": 50})
    assert bench.memories == {}


def test_what_people_say_is_judged_as_feedback() -> None:
    bench = Bench()
    bench.fact(0, "evaluation", ("billing", "thumbs", "7", "prod"), {"failed": 50, "human": 50})
    assert bench.memories == {}


def test_an_evaluator_may_have_a_baseline_of_its_own() -> None:
    known, unknown = Bench(Thresholds(baselines={"tone": 0.6})), Bench()
    for bench in (known, unknown):
        for n in range(20):
            bench.bucket(10 * n, passed=4, failed=6)
    assert high(known.until(300)) == []
    assert high(unknown.until(300)) != []


def test_the_release_is_not_in_the_fingerprint_and_the_environment_is() -> None:
    prints = set()
    for release, environment in (("7", "prod"), ("8", "prod"), ("7", "staging")):
        bench = Bench()
        bench.bucket(0, failed=20, subject=("billing", "tone", release, environment))
        prints |= {found.fingerprint for found in bench.until(20)}
    assert len(prints) == 2


def test_a_release_every_minute_does_not_fill_the_memory() -> None:
    bench = Bench()
    for n in range(200):
        bench.bucket(60 * n, passed=9, failed=1, release=f"r{n}", samples=(b.excerpt(0, text="x" * 500),))
    assert high(bench.until(12_100)) == []
    assert len(bench.state.arms) == RELEASES_MAX
    assert len(msgspec.msgpack.encode(bench.state)) < 16_000


def test_facts_of_another_kind_are_not_ours() -> None:
    assert EvaluatorFailures().key(b.fact(0, kind="exposure")) is None


def test_thresholds_that_can_never_work_are_refused() -> None:
    for wrong in ("page = 0", "page = nan", "warn = inf", "evaluations_min = 0", "baselines = {tone = 1.5}"):
        with pytest.raises(PolicyError, match=wrong.split()[0]):
            parse(f'[detectors."eval.failure_rate"]\n{wrong}\n', "policy.toml")
    with pytest.raises(PolicyError, match="calls"):
        parse('[detectors."tool.repeated_error"]\ncalls = 0\n', "policy.toml")
