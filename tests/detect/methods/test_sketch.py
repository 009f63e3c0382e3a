"""A sketch knows quantiles to a few percent, whatever order and portions its values came in, in bounded space."""

from __future__ import annotations

import math
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.detect.methods import sketch
from streams.detect.methods.sketch import BUCKETS_MAX, NOTHING, Sketch

positive = st.floats(1e-9, 1e12)
EVERYTHING = 10**9


def of(values: list[float], kept: int = EVERYTHING) -> Sketch:
    return sketch.add(Sketch(), Counter(map(sketch.index, values)), kept)


@given(positive)
def test_a_value_comes_back_to_within_three_percent(value: float) -> None:
    assert sketch.value(sketch.index(value)) == pytest.approx(value, rel=0.03)


@given(positive, positive)
def test_indexes_are_in_the_order_of_values(one: float, other: float) -> None:
    if one <= other:
        assert sketch.index(one) <= sketch.index(other)


@given(st.lists(positive, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values_around_its_rank(values: list[float], q: float) -> None:
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    assert sketch.quantile(of(values), q) == pytest.approx(exact, rel=0.03)


@given(st.lists(positive, max_size=60), st.lists(positive, max_size=60))
def test_portions_and_order_do_not_matter(one: list[float], other: list[float]) -> None:
    apart = sketch.add(of(one), of(other).counts, EVERYTHING)
    assert apart == sketch.add(of(other), of(one).counts, EVERYTHING) == of(one + other)


def test_zero_and_absurd_values_have_a_place() -> None:
    assert [sketch.value(sketch.index(value)) for value in (0.0, -5.0, math.nan)] == [0.0] * 3
    assert sketch.index(math.inf) == sketch.INDEX_MAX
    assert sketch.index(1e-300) == -sketch.INDEX_MAX > NOTHING


@given(st.dictionaries(st.integers(-900, 900), st.integers(-3, 10**9), max_size=600))
def test_there_are_never_too_many_buckets_and_nothing_is_lost_on_the_way(counts: dict[int, int]) -> None:
    after = sketch.add(Sketch(), counts, 10**15)
    assert len(after.counts) <= BUCKETS_MAX
    assert after.total == sum(after.counts.values()) == sum(n for n in counts.values() if n > 0)
    highest = [at for at, n in counts.items() if n > 0]
    assert not highest or max(after.counts) == min(max(highest), sketch.INDEX_MAX) or max(highest) < NOTHING


@given(st.dictionaries(st.integers(-50, 50), st.integers(1, 50), min_size=1, max_size=60))
def test_a_half_has_half_the_total_and_the_same_quantiles(counts: dict[int, int]) -> None:
    whole = Sketch(counts, sum(counts.values()))
    half = sketch.halved(whole)
    assert half.total == whole.total // 2 == sum(half.counts.values())
    assert all(0 < n <= counts[at] for at, n in half.counts.items())
    above = 0
    for at in sorted(counts, reverse=True):  # of every upper tail, half
        above += counts[at]
        assert sum(n for other, n in half.counts.items() if other >= at) == above // 2


def test_what_is_old_is_outnumbered() -> None:
    old = of([10.0] * 2000, kept=2000)
    after = old
    for _ in range(5):
        after = sketch.add(after, {sketch.index(1000.0): 500}, 2000)
    assert after.total <= 2000
    assert sketch.quantile(after, 0.5) == pytest.approx(1000, rel=0.03)


def test_one_absurd_value_is_forgotten() -> None:
    after = sketch.add(of([1.0] * 1999), {sketch.index(1e9): 1}, 2000)
    assert max(after.counts) == sketch.index(1e9)
    after = sketch.add(after, {sketch.index(1.0): 1500}, 2000)
    assert max(after.counts) == sketch.index(1.0)


def test_spread_and_mean_of_a_known_distribution() -> None:
    chance = random.Random(2)
    values = [chance.lognormvariate(1, 0.8) for _ in range(5000)]
    known = of(values)
    assert sketch.spread(known) == pytest.approx(0.8, rel=0.08)
    assert sketch.mean(known) == pytest.approx(sum(values) / len(values), rel=0.02)


def test_a_session_is_outlying_beyond_three_times_the_p99_or_four_sigma() -> None:
    alike = of([1.0] * 100)
    assert sketch.outlying(alike) == pytest.approx(3, rel=0.03)
    assert sketch.outlying(alike, floor=10.0) == 10.0
    chance = random.Random(2)
    wide = [chance.lognormvariate(0, 1) for _ in range(1000)]
    assert sketch.outlying(of(wide)) == pytest.approx(math.exp(4), rel=0.25)


def test_few_false_alarms_among_peers() -> None:
    """The published rule of thumb, mean and four deviations, gives a hundred and more of ten thousand."""
    chance = random.Random(4)
    alarms = 0
    for _ in range(10):
        level = sketch.outlying(of([chance.lognormvariate(0, 1.2) for _ in range(200)]))
        alarms += sum(chance.lognormvariate(0, 1.2) > level for _ in range(5000))
    assert alarms <= 20  # of 50,000; about 4 are expected


def test_an_empty_sketch_knows_nothing() -> None:
    assert sketch.quantile(Sketch(), 0.5) == sketch.mean(Sketch()) == sketch.spread(Sketch()) == 0
    assert sketch.spread(of([0.0, 0.0])) == 0


@given(st.lists(positive, max_size=100))
def test_what_is_remembered_survives_being_written(values: list[float]) -> None:
    known = of(values)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=Sketch) == known
