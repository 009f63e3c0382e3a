"""A rate that left its week: hour-of-week profile, log ratio, winsorised CUSUM; or a record; and enough money."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from . import novelty
from .novelty import HOURS, Novelty

HOUR_S = 3600.0
BIN_MIN = 6  # buckets before an hour's mean is believed
BIN_MAX = 36  # then the mean forgets
LEVEL = 2 / 2017  # span: a week of 5-minute buckets
NORMAL = 0.002  # of the log ratio's mean and variance
OFFSET = 0.25  # levels: nothing to divide by zero, and a night's pennies do not count double
SIGMA_MIN = 0.05  # 5 %: a series that never varied
TINY = 1e-9


class Limits(NamedTuple):
    slack: float = 0.5
    limit: float = 8.0
    cap: float = 4.0
    record: float = 1.0  # ranges beyond the highest ever
    floor: float = 1.0  # of excess
    share: float = 0.1  # of an ordinary hour: the floor of those who spend much
    warm_up: int = 100
    bucket_s: int = 300


class Seasonal(Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of one rate."""

    n: int = 0
    means: tuple[float, ...] = (0.0,) * HOURS
    counts: tuple[int, ...] = (0,) * HOURS
    level: float = 0.0
    mean: float = 0.0  # of the log ratio
    variance: float = 0.0
    score: float = 0.0
    excess: float = 0.0  # over the expected, since the score left zero
    records: Novelty = Novelty()


class Reading(NamedTuple):
    expected: float
    score: float
    record: float  # ranges above the highest ever
    excess: float
    high: bool


USUAL = Limits()


def step(memory: Seasonal | None, amount: float, at_s: float, limits: Limits = USUAL) -> tuple[Seasonal, Reading]:
    """One closed bucket that began at `at_s`, also an empty one: the sum of what it cost.

    Seasonal profile (Macaulay 1931), log ratio, one-sided CUSUM (Page 1954) on a score winsorised as in Lucas and
    Crosier's robust CUSUM (1982); or a record (Chandler 1952). Learning never stops, what is learned is clipped: a
    baseline that freezes while something is suspicious may stay frozen for ever.
    """
    amount = amount if 0 <= amount < math.inf else 0.0
    memory = memory or Seasonal(level=amount)
    expected = _expected(memory, at_s, limits)
    offset = max(OFFSET * memory.level, limits.floor / 100, TINY)
    y = math.log((amount + offset) / (expected + offset))
    sigma = max(SIGMA_MIN, math.sqrt(memory.variance))
    z = max(-limits.cap, min(limits.cap, (y - memory.mean) / sigma))
    warm = memory.n >= limits.warm_up
    score = min(2 * limits.limit, max(0.0, memory.score + z - limits.slack)) if warm else 0.0
    records, record = novelty.step(memory.records, amount, 0, novelty.RANGE2)
    beyond = warm and record.upward >= limits.record
    excess = amount - expected + (memory.excess if memory.score > 0 else 0.0) if score > 0 or beyond else 0.0
    high = (score >= limits.limit or beyond) and excess >= least(memory, limits)
    deviation = z * sigma if warm else y - memory.mean
    most = max(4 * expected + memory.level, limits.floor) if memory.level else amount
    after = _learned(memory, min(amount, most), deviation, at_s)
    after = replace(after, score=score, excess=excess, records=records)
    return after, Reading(expected, score, record.upward, excess, high)


def least(memory: Seasonal, limits: Limits = USUAL) -> float:
    """The excess that is worth telling: a floor, or a share of an ordinary hour (the three-way gate of moneypenny)."""
    return max(limits.floor, limits.share * memory.level * HOUR_S / limits.bucket_s)


def _expected(memory: Seasonal, at_s: float, limits: Limits) -> float:
    """The hour's mean, between the middles of hours a mix of two; the level as long as the hour is little known."""
    hour = novelty.hour_of_week(at_s)
    if memory.counts[hour] < BIN_MIN:
        return memory.level
    apart = ((at_s + limits.bucket_s / 2) % HOUR_S) / HOUR_S - 0.5
    neighbour = (hour + (1 if apart > 0 else -1)) % HOURS
    if memory.counts[neighbour] < BIN_MIN:
        return memory.means[hour]
    return memory.means[hour] + abs(apart) * (memory.means[neighbour] - memory.means[hour])


def _learned(memory: Seasonal, amount: float, deviation: float, at_s: float) -> Seasonal:
    hour, n = novelty.hour_of_week(at_s), memory.n + 1
    count = min(BIN_MAX, memory.counts[hour] + 1)
    learned = memory.means[hour] + (amount - memory.means[hour]) / count
    rate = max(NORMAL, 1 / n)
    return Seasonal(
        n=n,
        means=(*memory.means[:hour], learned, *memory.means[hour + 1 :]),
        counts=(*memory.counts[:hour], count, *memory.counts[hour + 1 :]),
        level=memory.level + max(LEVEL, 1 / n) * (amount - memory.level),
        mean=memory.mean + rate * deviation,
        variance=(1 - rate) * (memory.variance + rate * deviation * deviation),
    )
