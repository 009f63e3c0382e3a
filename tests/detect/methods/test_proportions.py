"""Worse than before, beyond chance: shares and distributions."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.methods import sketch
from streams.detect.methods.proportions import exceeds, higher, wilson
from streams.detect.methods.sketch import Sketch

counts = st.tuples(st.integers(0, 300), st.integers(1, 300)).map(lambda pair: (min(pair), max(pair)))


def of(values: list[float]) -> Sketch:
    return sketch.add(Sketch(), Counter(map(sketch.index, values)), 10**9)


def lognormal(seed: int, n: int, shift: float = 0.0) -> list[float]:
    chance = random.Random(seed)
    return [chance.lognormvariate(shift, 0.7) for _ in range(n)]


def test_a_share_by_hand() -> None:
    """15 of 100 against 5 of 100: pooled 0.1, z = 0.1 / sqrt(0.09 x 0.02) = 2.357."""
    assert exceeds(15, 100, 5, 100) == pytest.approx(0.00921, abs=1e-4)


@given(counts, counts)
def test_one_side_only(new: tuple[int, int], old: tuple[int, int]) -> None:
    p = exceeds(*new, *old)
    assert 0 <= p <= 1
    if new[0] / new[1] < old[0] / old[1]:
        assert p > 0.5


def test_without_a_sample_nothing_exceeds() -> None:
    assert exceeds(0, 0, 1, 10) == exceeds(5, 5, 0, 0) == exceeds(0, 10, 0, 10) == 1


def test_wilson_by_hand() -> None:
    assert wilson(5, 50) == (pytest.approx(0.0435, abs=1e-4), pytest.approx(0.2136, abs=1e-4))
    assert wilson(0, 0) == (0.0, 1.0)


@given(counts, st.floats(0.5, 4))
def test_wilson_holds_the_share_and_stays_between_nothing_and_all(share: tuple[int, int], z: float) -> None:
    low, high = wilson(*share, z)
    assert 0 <= low <= share[0] / share[1] + 1e-9
    assert share[0] / share[1] - 1e-9 <= high <= 1


def test_a_slower_release_is_found_and_an_equal_one_is_not() -> None:
    before = of(lognormal(1, 200))
    slower, same = higher(of(lognormal(2, 100, 0.5)), before), higher(of(lognormal(3, 100)), before)
    assert slower.p < 0.001
    assert slower.above > 0.6
    assert slower.ratio > 1.3
    assert same.p > 0.05
    assert same.ratio == pytest.approx(1, abs=0.25)


def test_equal_releases_are_called_slower_about_as_often_as_said() -> None:
    chance = random.Random(5)
    falsely = sum(
        higher(of(lognormal(chance.randrange(10**9), 60)), of(lognormal(chance.randrange(10**9), 60))).p < 0.05
        for _ in range(300)
    )
    assert 3 <= falsely <= 28  # 15 expected


def test_ranks_by_hand() -> None:
    """Of the nine pairs of {2, 3, 4} and {1, 2, 3}, six are won and two tied."""
    assert higher(of([2.0, 3.0, 4.0]), of([1.0, 2.0, 3.0])).above == pytest.approx(7 / 9)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30), st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_the_two_sides_share_one_chance(one: list[float], other: list[float]) -> None:
    assert higher(of(one), of(other)).above + higher(of(other), of(one)).above == pytest.approx(1)


def test_of_nothing_nothing_is_known() -> None:
    assert higher(Sketch(), of([1.0])) == higher(of([1.0]), Sketch()) == (1.0, 0.5, 1.0)
    assert higher(of([5.0]), of([0.0])).ratio == 1
