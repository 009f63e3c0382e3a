"""A budget that burns is seen in long and short windows together, whatever order things were counted in."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detect.methods import burn
from streams.detect.methods.burn import DAY, FAST, HOUR, MIDDLE, MINUTE, SLOW, Ring

NOW = 20_000 * DAY
BUDGET = 0.01
Count = tuple[int, int, int]


def filled(minutes: int, bad_of_hundred: int, until_s: int = NOW, ring: Ring | None = None) -> Ring:
    ring = ring or Ring()
    for minute in range(minutes):
        ring = burn.add(ring, until_s - minutes * MINUTE + minute * MINUTE, bad_of_hundred, 100)
    return ring


def pairs(ring: Ring, now_s: int = NOW, bad_min: int = 1) -> list[burn.Pair]:
    return [found.pair for found in burn.burning(ring, now_s, BUDGET, bad_min)]


def test_a_budget_within_its_due_does_not_burn() -> None:
    assert pairs(filled(4 * 24 * 60, 0)) == []
    assert burn.burning(filled(24 * 60, 1), NOW, 0.02) == ()


def test_a_fast_burn_is_seen_while_it_lasts_and_ends_soon_after() -> None:
    ring = filled(60, 20, ring=filled(6 * 60, 0, NOW - HOUR))
    assert FAST in pairs(ring)
    (found, *_) = burn.burning(ring, NOW, BUDGET)
    assert found.long == pytest.approx(20)
    assert found.short == pytest.approx(20)
    assert found.bad == 20 * 60
    calm = filled(6, 0, NOW + 6 * MINUTE, ring)
    assert FAST not in pairs(calm, NOW + 6 * MINUTE)
    assert burn.rate(*burn.window(calm, NOW + 6 * MINUTE, HOUR), BUDGET) > 14.4


def test_a_few_bad_minutes_in_a_good_hour_are_no_fast_burn() -> None:
    assert FAST not in pairs(filled(3, 30, ring=filled(60, 0, NOW - 3 * MINUTE)))


def test_slower_burns_have_longer_windows() -> None:
    assert pairs(filled(6 * 60, 7)) == [MIDDLE, SLOW]
    assert pairs(filled(3 * 24 * 60, 2)) == [SLOW]


def test_thin_traffic_needs_some_bad_ones() -> None:
    ring = burn.add(Ring(), NOW - 60, 1, 1)
    assert FAST in pairs(ring)
    assert pairs(ring, bad_min=5) == []


def test_a_budget_too_large_to_be_burned_so_fast_is_not_reported_by_the_fast_pair() -> None:
    found = burn.burning(filled(3 * 24 * 60, 100), NOW, 0.1)
    assert [one.pair for one in found] == [MIDDLE, SLOW]


def test_windows_count_whole_slots() -> None:
    ring = burn.add(burn.add(Ring(), NOW - 5 * MINUTE, 1, 1), NOW - 4 * MINUTE, 0, 1)
    assert burn.window(ring, NOW, 5 * MINUTE) == (1, 2)
    assert burn.window(ring, NOW + 1, 5 * MINUTE) == (0, 1)  # a slot that only ends inside does not count
    assert burn.window(ring, NOW + 2 * HOUR, 5 * MINUTE) == (0, 0)
    assert burn.window(ring, NOW + 2 * HOUR, 6 * HOUR) == (1, 2)


@given(
    st.lists(st.tuples(st.integers(0, 5 * DAY), st.integers(0, 5), st.integers(5, 9)), max_size=60),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_the_order_of_counting_does_not_matter(counts: list[Count], chance: random.Random) -> None:
    rings = []
    for order in (counts, chance.sample(counts, len(counts))):
        ring = Ring()
        for at, bad, n in order:
            ring = burn.add(ring, NOW + at, bad, n)
        rings.append(ring)
    assert rings[0] == rings[1]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(rings[0]), type=Ring) == rings[0]


@given(st.lists(st.integers(0, 10 * DAY), min_size=1, max_size=100))
@settings(deadline=None)
def test_sums_are_right_and_space_is_bounded(times: list[int]) -> None:
    ring = Ring()
    for at in times:
        ring = burn.add(ring, NOW + at, 1, 2)
    now = NOW + max(times)
    for length, width in ((HOUR, MINUTE), (6 * HOUR, 10 * MINUTE), (3 * DAY, HOUR)):
        oldest = -((length - now) // width) * width
        counted = sum(NOW + at >= oldest for at in times)
        assert burn.window(ring, now, length) == (counted, 2 * counted)
    assert len(ring.minutes) <= 61
    assert len(ring.tens) <= 37
    assert len(ring.hours) <= 73


def test_a_ring_that_ran_for_a_week_is_small() -> None:
    assert len(msgspec.msgpack.encode(filled(7 * 24 * 60, 3))) < 2500
