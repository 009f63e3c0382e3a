"""Two mixes: alike, somewhat different, nothing in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.methods.divergence import jensen_shannon

mixes = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 1000), min_size=1)


def test_by_hand() -> None:
    """Half and half against one only: 1/2 log2(4/3) + 1/2 (1/2 log2(2/3) + 1/2 log2 2) = 0.3113."""
    assert jensen_shannon({"a": 1}, {"a": 5, "b": 5}) == pytest.approx(0.311278, abs=1e-6)


@given(mixes, mixes)
def test_it_is_a_symmetric_share_of_one_bit(one: dict[str, int], other: dict[str, int]) -> None:
    assert 0 <= jensen_shannon(one, other) == jensen_shannon(other, one) <= 1


@given(mixes, st.integers(1, 50))
def test_the_same_mix_in_another_size_is_the_same(mix: dict[str, int], times: int) -> None:
    assert jensen_shannon(mix, {name: n * times for name, n in mix.items()}) == pytest.approx(0, abs=1e-9)


@given(mixes)
def test_nothing_in_common_is_one(mix: dict[str, int]) -> None:
    assert jensen_shannon(mix, {name.upper(): n for name, n in mix.items()}) == pytest.approx(1)


def test_of_nothing_nothing_is_known() -> None:
    assert jensen_shannon({}, {"a": 1}) == jensen_shannon({"a": 0}, {"a": 1}) == 0
