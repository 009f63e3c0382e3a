"""Evaluator failures: a rate that is higher than it should be."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
import pytest

from streams.detect.scope.evaluator_failures import BUCKETS_MAX, EvaluatorFailures, Sums, Thresholds
from streams.policy import PolicyError, parse
from streams.records import Finding


class Bench:
    """Feeds buckets and closes them when the decider asks for it."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.decider = EvaluatorFailures(thresholds)
        self.memory: Any = None
        self.wake: Any = None

    def bucket(self, seconds: float, passed: int = 0, failed: int = 0, **given: Any) -> None:
        step = self.decider.step(self.memory, b.fact(seconds, sums={"passed": passed, "failed": failed}, **given))
        self.memory, self.wake = step.remember, step.wake

    def until(self, seconds: float) -> list[Finding]:
        said: list[Finding] = []
        while self.wake is not None and self.wake <= b.at(seconds):
            step = self.decider.step(self.memory, b.r.Tick(self.wake))
            self.memory, self.wake = step.remember, step.wake
            said += step.say
        return said


def test_a_burst_of_failures_is_found_when_its_bucket_closes() -> None:
    bench = Bench()
    bench.bucket(0, passed=3, failed=9)
    assert bench.until(9) == []
    (found,) = bench.until(10)
    assert (found.count, found.observed) == (9, "9 of 12 failed (75%) in release 7")
    assert (found.at, found.releases) == (b.at(10), ("7",))


def test_the_normal_rate_is_no_trouble_however_long_it_lasts() -> None:
    bench = Bench()
    for n in range(500):
        bench.bucket(n * 10, passed=19, failed=1)
    assert bench.until(6000) == []


def test_a_small_rise_is_found_in_the_end() -> None:
    bench = Bench()
    for n in range(60):
        bench.bucket(n * 10, passed=15, failed=5)
    assert len(bench.until(700)) >= 1


def test_too_few_evaluations_say_nothing() -> None:
    bench = Bench()
    bench.bucket(0, failed=9)
    assert bench.until(60) == []
    bench.bucket(60, failed=1)
    assert len(bench.until(70)) == 1


def test_while_it_lasts_it_is_repeated_every_five_minutes() -> None:
    bench = Bench()
    for n in range(61):
        bench.bucket(n * 10, failed=10)
    assert [found.at for found in bench.until(700)] == [b.at(10), b.at(310), b.at(610)]


def test_it_comes_down_again() -> None:
    bench = Bench()
    bench.bucket(0, failed=20)
    for n in range(1, 60):
        bench.bucket(n * 10, passed=20)
    assert len(bench.until(600)) == 1


def test_a_late_fact_is_counted_in_the_oldest_open_bucket() -> None:
    bench = Bench()
    bench.bucket(0, passed=1)
    bench.bucket(100, passed=1)
    bench.until(50)
    bench.bucket(0, failed=2)
    assert isinstance(bench.memory, Sums)
    assert bench.memory.late == 2
    bench.until(200)
    assert (bench.memory.passed, bench.memory.failed) == (2, 2)


def test_broken_and_unscored_ones_do_not_count_as_passed() -> None:
    bench = Bench()
    bench.decider.step(None, b.fact(0, sums={"broken": 50, "unscored": 50}))
    assert bench.until(100) == []


def test_an_evaluator_may_have_a_baseline_of_its_own() -> None:
    bench = Bench(Thresholds(baselines={"tone": 0.6}))
    bench.bucket(0, passed=8, failed=12)
    assert bench.until(100) == []


def test_the_release_is_in_the_memorys_key_and_not_in_the_fingerprint() -> None:
    prints = set()
    for release in ("7", "8"):
        bench = Bench()
        bench.bucket(0, failed=20, subject=("billing", "tone", release, "prod"))
        prints |= {found.fingerprint for found in bench.until(20)}
    assert len(prints) == 1
    one, other = (b.fact(0, subject=("billing", "tone", release, "prod")) for release in ("7", "8"))
    assert Bench().decider.key(one) != Bench().decider.key(other)


def test_facts_of_another_kind_are_not_ours() -> None:
    assert EvaluatorFailures().key(b.fact(0, kind="exposure")) is None


def test_a_producer_that_runs_ahead_cannot_make_the_memory_too_large_for_a_broker() -> None:
    bench = Bench()
    label = "x" * 1000
    for n in range(3 * BUCKETS_MAX // 2):
        samples = (b.excerpt(10 * n, offset=n, text=label),)
        bench.bucket(10 * n, failed=1, samples=samples)
    assert len(msgspec.msgpack.encode(bench.memory)) < 1024 * 1024
    assert sum(bucket.failed for bucket in bench.memory.open) == 3 * BUCKETS_MAX // 2
    assert bench.memory.open[0].samples


def test_thresholds_that_can_never_work_are_refused() -> None:
    for wrong in ("odds = 0", "odds = nan", "baseline = 1.5", "limit = inf", "evaluations_min = 0"):
        with pytest.raises(PolicyError, match=wrong.split()[0]):
            parse(f'[detectors."eval.failure_rate"]\n{wrong}\n', "policy.toml")
    with pytest.raises(PolicyError, match="calls"):
        parse('[detectors."tool.repeated_error"]\ncalls = 0\n', "policy.toml")
