"""How surprising a count is: exact where it can be summed, close to it where it cannot."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.methods.surprise import surprise


def summed(n: int, expected: float) -> float:
    """The upper tail, term by term, in logarithms."""
    logs = [k * math.log(expected) - expected - math.lgamma(k + 1) for k in range(n, n + 4000 + int(2 * expected))]
    most = max(logs)
    return -(most + math.log(math.fsum(math.exp(one - most) for one in logs))) / math.log(10)


@given(st.integers(1, 120), st.floats(0.01, 100))
def test_small_counts_are_exact(n: int, expected: float) -> None:
    assert surprise(n, expected) == pytest.approx(max(0.0, summed(n, expected)), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "expected"), [(1001, 900.0), (1001, 1000.4), (1001, 1000.5), (5000, 3000.0), (5000, 5100.0), (1200, 2.0)]
)
def test_large_counts_are_close(n: int, expected: float) -> None:
    assert surprise(n, expected) == pytest.approx(summed(n, expected), rel=1e-3, abs=3e-3)


def test_by_hand() -> None:
    assert surprise(1, math.log(2)) == pytest.approx(math.log10(2))  # one or more: even odds
    assert surprise(2, 1.0) == pytest.approx(-math.log10(1 - 2 / math.e))


@given(st.integers(0, 10**9), st.floats(0, 1e9))
def test_it_is_never_negative_nor_infinite(n: int, expected: float) -> None:
    assert 0 <= surprise(n, expected) <= 1e6


@given(st.integers(1, 5000), st.floats(0.01, 5000))
def test_more_is_more_surprising(n: int, expected: float) -> None:
    assert surprise(n + 1, expected) >= surprise(n, expected) - 1e-3  # where the sum ends and the formula begins


def test_nothing_is_no_surprise_and_something_out_of_nothing_is_a_large_one() -> None:
    assert surprise(0, 5.0) == 0
    assert surprise(3, 0.0) == 1e6
    assert surprise(3, math.nan) == 1e6
    assert surprise(10**6, 1.0) == 1e6
    assert surprise(5, math.inf) == 0
