"""Twice the cost is found within the hour, the weekly rhythm is not, and pennies are not worth a word."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detect.methods import seasonal
from streams.detect.methods.seasonal import Limits, Reading, Seasonal

MONDAY_S = 4 * 86400.0
DAY, WEEK = 288, 2016


def rhythm(at: int) -> float:
    """Three times as much at noon as at night, half at weekends."""
    return (1 + 0.5 * math.cos(2 * math.pi * (at % DAY / DAY - 0.5))) * (0.5 if at // DAY % 7 >= 5 else 1)


def costs(weeks: int, mean: float = 2.0, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [mean * rhythm(at) * chance.lognormvariate(0, 0.35) for at in range(weeks * WEEK)]


def fed(
    amounts: list[float], memory: Seasonal | None = None, limits: Limits = seasonal.USUAL
) -> tuple[Seasonal, list[Reading]]:
    readings = []
    begun = memory.n if memory else 0
    for at, amount in enumerate(amounts, begun):
        memory, reading = seasonal.step(memory, amount, MONDAY_S + at * 300, limits)
        readings.append(reading)
    assert memory
    return memory, readings


@pytest.fixture(scope="module")
def known() -> Seasonal:
    return fed(costs(3))[0]


def first(readings: list[Reading]) -> int | None:
    return next((at for at, reading in enumerate(readings, 1) if reading.high), None)


def test_the_rhythm_of_days_and_weeks_is_no_trouble() -> None:
    _, readings = fed(costs(4))
    assert sum(reading.high for reading in readings[2 * WEEK :]) == 0


@pytest.mark.parametrize(("factor", "buckets"), [(2, 16), (3, 9), (10, 4)])
def test_a_rise_is_found_soon(known: Seasonal, factor: float, buckets: int) -> None:
    _, readings = fed([factor * amount for amount in costs(4)[3 * WEEK :][:48]], known)
    found = first(readings)
    assert found
    assert found <= buckets


def test_a_single_bucket_far_beyond_all_others_is_enough(known: Seasonal) -> None:
    _, reading = seasonal.step(known, 60.0, MONDAY_S + known.n * 300)
    assert reading.high
    assert reading.score < Limits().limit
    assert reading.record >= 1


def test_what_it_expects_follows_the_hour(known: Seasonal) -> None:
    night = seasonal.step(known, 1.0, MONDAY_S)[1].expected
    noon = seasonal.step(known, 1.0, MONDAY_S + 43200)[1].expected
    assert noon == pytest.approx(3 * night, rel=0.25)


def test_pennies_are_not_worth_a_word() -> None:
    small = [amount / 1000 for amount in costs(3)]
    memory, _ = fed(small)
    _, readings = fed([0.02] * 24, memory)
    assert first(readings) is None
    assert first(fed([0.02] * 24, memory, Limits(floor=0.1))[1]) is not None


def test_who_spends_much_is_told_from_a_share_of_an_ordinary_hour(known: Seasonal) -> None:
    hour = 12 * known.level
    assert seasonal.least(known) == pytest.approx(max(1.0, 0.1 * hour))
    assert seasonal.least(known, Limits(share=2.0)) == pytest.approx(2 * hour)


def test_nothing_is_said_of_the_first_hundred_buckets() -> None:
    _, readings = fed([1.0] * 99 + [1000.0])
    assert first(readings) is None


def test_less_than_usual_is_never_trouble(known: Seasonal) -> None:
    _, readings = fed([0.0] * DAY, known)
    assert first(readings) is None


def test_a_higher_level_that_stays_is_learned_in_the_end(known: Seasonal) -> None:
    """Learning is clipped, never frozen."""
    amounts = [3 * amount for amount in costs(10)]
    _, readings = fed(amounts, known)
    assert first(readings)
    assert sum(reading.high for reading in readings[-WEEK:]) < WEEK // 50


def test_the_first_cost_after_a_long_time_of_none_is_learned_as_well() -> None:
    memory, _ = fed([0.0] * 500)
    memory, readings = fed(costs(6), memory)
    assert first(readings)
    assert first(readings[-WEEK:]) is None


@pytest.mark.parametrize("strange", [math.nan, math.inf, -5.0])
def test_absurd_amounts_count_as_nothing(known: Seasonal, strange: float) -> None:
    at_s = MONDAY_S + known.n * 300
    assert seasonal.step(known, strange, at_s) == seasonal.step(known, 0.0, at_s)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=150), st.lists(st.floats(0, 1e12), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_what_is_remembered_survives_being_written(before: list[float], after: list[float]) -> None:
    memory, _ = fed(before)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Seasonal)
    assert fed(after, again) == fed(after, memory)
    assert len(msgspec.msgpack.encode(memory)) < 2500
