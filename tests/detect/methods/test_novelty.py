"""A value beyond everything seen so far is a record; what was there before, and small steps beyond it, are not."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detect.methods import novelty
from streams.detect.methods.novelty import RANGE1, RANGE2, RANGE3, RANGE4, REST, Novelty, Reading, Rule

RULES = [RANGE1, RANGE2, RANGE3, RANGE4]
HOUR = 12  # values an hour
numbers = st.floats(-1e12, 1e12)


def fed(values: list[float], rule: Rule, memory: Novelty | None = None) -> tuple[Novelty, list[Reading]]:
    readings = []
    begun = memory.n if memory else 0
    for at, value in enumerate(values, begun):
        memory, reading = novelty.step(memory, value, at // HOUR % novelty.HOURS, rule)
        readings.append(reading)
    assert memory
    return memory, readings


def noise(n: int, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(100, 5) for _ in range(n)]


@pytest.mark.parametrize("rule", RULES)
def test_a_value_far_beyond_the_range_is_told_by_its_distance_in_ranges(rule: Rule) -> None:
    memory, _ = fed(noise(2000), rule)
    width = memory.highs[0] - memory.lows[0]
    _, reading = novelty.step(memory, memory.highs[0] + 2 * width, 0, rule)
    assert reading.score == pytest.approx(2 * 2000 / 2200, rel=0.35)
    assert reading.upward == reading.score
    _, reading = novelty.step(memory, memory.lows[0] - 2 * width, 0, rule)
    assert reading.score > 1
    assert reading.upward < 0.5 * reading.score


@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_a_record_in_the_first_fifty(rule: Rule) -> None:
    _, readings = fed([1.0] * 20 + [1e9] + [1.0] * 20 + [-1e9], rule)
    assert all(reading.score == 0 for reading in readings)


def test_a_young_range_counts_less_than_an_old_one() -> None:
    young, _ = fed(noise(60), RANGE1)
    old, _ = fed(noise(60) * 40, RANGE1)
    assert young.highs == old.highs
    scores = [novelty.step(memory, 200, 0, RANGE1)[1].score for memory in (young, old)]
    assert scores[0] < 0.3 * scores[1]


@pytest.mark.parametrize("rule", RULES)
def test_records_of_a_steady_series_get_rarer(rule: Rule) -> None:
    """At the calm margin at most one in a month of 5-minute buckets, the first days aside."""
    _, readings = fed(noise(8640), rule)
    halves = [sum(reading.score > 0 for reading in half) for half in (readings[:4320], readings[4320:])]
    assert halves[1] < halves[0]
    assert sum(reading.score >= novelty.CALM for reading in readings[1000:]) <= 1


def test_a_slow_climb_inside_the_range_is_seen_by_the_averages() -> None:
    calm = [100 + 10 * (-1) ** n for n in range(1500)]
    climb = [100 + 9.5 * (-1 if n % 8 == 0 else 1) for n in range(60)]  # never beyond 90..110
    _, alone = fed([*calm, *climb], RANGE1)
    _, both = fed([*calm, *climb], RANGE2)
    assert max(reading.score for reading in alone[1500:]) == 0
    assert max(reading.score for reading in both[1500:]) > RANGE2.margin


def test_a_peak_at_the_wrong_hour_is_seen_by_the_profile() -> None:
    week = [100.0 if at // HOUR % 24 == 12 else 10.0 for at in range(HOUR * 168)]
    chance = random.Random(3)
    calm = [value + chance.gauss(0, 1) for value in week * 3]
    wrong = [100.0] * HOUR  # Monday 0:00
    _, without = fed([*calm, *wrong], RANGE2)
    _, readings = fed([*calm, *wrong], RANGE3)
    assert max(reading.score for reading in without[len(calm) :]) < 0.1
    assert max(reading.score for reading in readings[len(calm) :]) > 0.3


def test_a_constant_may_waver_a_little_but_not_jump() -> None:
    memory, _ = fed([50.0] * 300, RANGE1)
    assert novelty.step(memory, 50.004, 0, RANGE1)[1].score < RANGE1.margin
    assert novelty.step(memory, 55.0, 0, RANGE1)[1].score > 1


def test_of_a_series_of_zeroes_anything_is_news() -> None:
    memory, _ = fed([0.0] * 300, RANGE2)
    assert novelty.step(memory, 0.001, 0, RANGE2)[1].score > 100


def test_an_old_extreme_is_forgotten_slowly() -> None:
    memory, _ = fed([*noise(100), 1e6, *noise(20_000)], RANGE2)
    assert memory.highs[0] < 0.4e6


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_counted(strange: float) -> None:
    memory, _ = fed(noise(100), RANGE4)
    assert novelty.step(memory, strange, 0, RANGE4) == (memory, Reading(0.0, 0.0))


def test_after_a_told_record_there_is_rest_unless_it_gets_much_worse() -> None:
    memory, said = novelty.tell(Novelty(n=1000), 0.5, 0.1)
    assert said
    soon = msgspec.structs.replace(memory, n=1000 + REST - 1)
    assert not novelty.tell(soon, 0.7, 0.1)[1]
    assert novelty.tell(soon, 0.75, 0.1)[1]
    assert novelty.tell(msgspec.structs.replace(memory, n=1000 + REST), 0.2, 0.1)[1]
    assert not novelty.tell(Novelty(n=1000), 0.09, 0.1)[1]


def test_the_week_begins_on_monday() -> None:
    assert novelty.hour_of_week(0) == 72  # 1 January 1970 was a Thursday
    assert novelty.hour_of_week(4 * 86400) == 0
    assert novelty.hour_of_week(4 * 86400 - 1) == 167


@given(st.lists(numbers, min_size=1, max_size=120), st.lists(numbers, max_size=20), st.sampled_from(RULES))
@settings(max_examples=60, deadline=None)
def test_what_is_remembered_survives_being_written(first: list[float], second: list[float], rule: Rule) -> None:
    memory, _ = fed(first, rule)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Novelty)
    if second:
        assert fed(second, rule, again) == fed(second, rule, memory)
    assert len(msgspec.msgpack.encode(memory)) < 1800


@given(st.lists(numbers, min_size=60, max_size=120), st.sampled_from([RANGE1, RANGE2]))
@settings(max_examples=60, deadline=None)
def test_what_was_there_before_is_no_record(values: list[float], rule: Rule) -> None:
    """Every score is between nothing and the cap, and the value's own range holds everything but what was forgotten."""
    memory, readings = fed(values, rule)
    assert all(0 <= reading.upward <= reading.score <= novelty.SCORE_MAX for reading in readings)
    kept = (1 - rule.shrink) ** len(values)
    assert memory.highs[0] - memory.lows[0] >= kept * (max(values) - min(values)) * (1 - 1e-9)
