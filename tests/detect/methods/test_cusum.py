"""A failure rate that rose is found; one that did not is not; the order inside a bucket does not matter."""

from __future__ import annotations

import math
import random
from statistics import median

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detect.methods import cusum
from streams.detect.methods.cusum import BATCH, LIMIT, ZERO, Bank

outcomes = st.lists(st.booleans(), max_size=120)


def fed(bank: Bank, failures: list[bool]) -> Bank:
    for failed in failures:
        bank = cusum.step(bank, not failed, failed)
    return bank


def taught(evaluations: int, failed_every: int) -> Bank:
    return fed(Bank(), [n % failed_every == failed_every - 1 for n in range(evaluations)])


def test_five_failures_in_a_row_are_enough_once_the_rate_is_known() -> None:
    bank = taught(2000, 20)
    assert cusum.normal(bank) == pytest.approx(0.05, abs=0.005)
    assert cusum.score(fed(bank, [True] * 3)) < LIMIT
    assert cusum.score(fed(bank, [True] * 5)) >= LIMIT


def test_nothing_is_said_of_fewer_than_thirty_evaluations() -> None:
    assert cusum.score(fed(Bank(), [True] * 29)) == 0
    assert cusum.score(fed(Bank(), [True] * 30)) >= LIMIT


def test_a_new_release_with_a_known_one_before_needs_five() -> None:
    bank = cusum.successor(taught(2000, 20))
    assert cusum.score(fed(bank, [True] * 4)) == 0
    assert cusum.score(fed(bank, [True] * 5)) >= LIMIT


def test_a_release_before_that_never_learned_is_no_baseline() -> None:
    assert cusum.successor(taught(40, 20)) == Bank()


def test_a_new_release_believes_the_old_one_as_two_hundred_evaluations() -> None:
    bank = cusum.successor(taught(2000, 20))
    assert bank.failed + bank.passed == pytest.approx(200)
    assert cusum.normal(bank) == pytest.approx(0.05, abs=0.005)


def test_what_is_learned_away_is_still_found_against_the_release_before() -> None:
    """The rate creeps up to double: the bank learns it, the frozen comparison does not."""
    bank = cusum.successor(taught(2000, 50))
    creeping = [n % 25 == 24 for n in range(1900)]
    found = fed(bank, creeping)
    assert max(found.against) > 2 * max(found.scores)
    assert fed(found, creeping).against == ZERO  # after 2,000 evaluations the comparison is over


def test_a_baseline_is_not_learned_from_a_failing_evaluator() -> None:
    bank = taught(2000, 20)
    broken = fed(bank, [True] * 500)
    assert cusum.normal(broken) == cusum.normal(bank)
    assert broken.rate == bank.rate


def test_scores_come_down_again_after_a_long_outage() -> None:
    broken = fed(taught(2000, 20), [True] * 5000)
    assert cusum.score(broken) == 2 * LIMIT
    assert cusum.score(fed(broken, [False] * 400)) < LIMIT


def test_a_bucket_of_nothing_changes_nothing() -> None:
    bank = taught(100, 20)
    assert cusum.step(bank, 0, 0) is bank


@given(outcomes, st.randoms(use_true_random=False))
def test_a_bucket_is_the_same_in_any_order_and_never_above_its_outcomes_one_by_one(
    failures: list[bool], chance: random.Random
) -> None:
    begun = Bank(scores=(2.0, 3.0, 1.0), evaluations=50)
    shuffled = chance.sample(failures, len(failures))
    bucket = cusum.step(begun, failures.count(False), failures.count(True))
    assert bucket == cusum.step(begun, shuffled.count(False), shuffled.count(True))
    capped = max(begun.scores) + failures.count(True) * max(cusum.GAINS) >= 2 * LIMIT  # long since told, either way
    if len(failures) < BATCH and not capped:  # nothing is learned in between
        alone = fed(begun, shuffled)
        assert all(sums <= one + 1e-9 for sums, one in zip(bucket.scores, alone.scores, strict=True))
        assert bucket.evaluations == alone.evaluations


@given(outcomes, outcomes)
@settings(max_examples=50)
def test_what_is_remembered_survives_being_written(first: list[bool], second: list[bool]) -> None:
    bank = fed(cusum.successor(taught(200, 10)), first)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(bank), type=Bank)
    assert fed(again, second) == fed(bank, second)
    assert len(msgspec.msgpack.encode(bank)) < 150


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_bound_is_a_rate_above_the_mean(failed: int, passed: int) -> None:
    a, b = failed + 1.0, passed + 19.0
    assert max(0.005, min(0.95, a / (a + b))) <= cusum.upper(a, b) <= 0.95


def test_a_tripled_rate_is_found_soon_and_a_steady_one_is_left_alone() -> None:
    """The benchmark has the exact figures: median 130, and half a false alarm in 43,200 evaluations."""
    delays, alarms = [], 0
    for trial in range(60):
        chance = random.Random(trial)
        bank = Bank()
        for _ in range(3000):
            bank = cusum.step(bank, *outcome(chance, 0.05))
            alarms += cusum.score(bank) >= LIMIT
            bank = msgspec.structs.replace(bank, scores=ZERO) if cusum.score(bank) >= LIMIT else bank
        delays.append(delay(bank, chance, 0.15))
    assert median(delays) < 200
    assert alarms < 8  # two expected of 60 keys x 3,000 evaluations


def outcome(chance: random.Random, rate: float) -> tuple[int, int]:
    failed = chance.random() < rate
    return int(not failed), int(failed)


def delay(bank: Bank, chance: random.Random, rate: float) -> float:
    for evaluations in range(1, 3000):
        bank = cusum.step(bank, *outcome(chance, rate))
        if cusum.score(bank) >= LIMIT:
            return evaluations
    return math.inf
