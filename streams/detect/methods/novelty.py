"""Record novelty: how far a value lies beyond everything seen so far, in units of the range seen so far."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

WARM_UP = 50
MATURE = 200  # values until a range counts half: young ranges are easily left
REST = 120  # updates of silence after a told record
BREAKS = 1.5  # times the told score: such a record is told all the same
SCORE_MAX = 1000.0
FLOOR = 0.01  # of the largest magnitude: what a range is at least, so that a constant may waver a little
HOURS = 168
FAST, SLOW, SHORT = 2 / 49, 2 / 289, 2 / 9  # of exponential averages: spans of 48, 288 and 8 values
PROFILE = 0.2
WEIGHTS = (1.0, 1.0, 0.5, 1.0)  # an hour's usual value is known from few values: half a record
Ends = tuple[float, ...]
Profile = tuple[float | None, ...]


class Rule(NamedTuple):
    """How many derived series are watched, how fast ranges are forgotten, which score is worth telling."""

    series: int
    shrink: float  # of the range, per update
    margin: float  # by NAB's prices: a false record costs a ninth of a hit


RANGE1 = Rule(series=1, shrink=0.0, margin=0.01)  # the value
RANGE2 = Rule(series=2, shrink=1e-4, margin=0.04)  # and the fast average minus the slow one
RANGE3 = Rule(series=3, shrink=3e-5, margin=0.035)  # and what the hour of the week does not explain
RANGE4 = Rule(series=4, shrink=3e-5, margin=0.035)  # and the roughness
USUAL = RANGE3  # the best of the four on NAB, and the one with which the generic metric is watched
CALM = 0.2  # a margin for many series that nobody sits in front of: about one false record in a month of each


class Reading(NamedTuple):
    score: float  # beyond the range, in ranges, in either direction
    upward: float  # the same for what is higher than ever


class Novelty(Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of one series."""

    n: int = 0
    lows: Ends = ()
    highs: Ends = ()
    fast: float = 0.0
    slow: float = 0.0
    short: float = 0.0
    roughness: float = 0.0
    explained: int = 0  # values for which the profile knew an hour
    profile: Profile = ()  # by hour of the week
    told_n: int = -REST
    told: float = 0.0


QUIET = Reading(0.0, 0.0)


def hour_of_week(at_s: float) -> int:
    """Monday 0:00 UTC is 0. The seasonal index of classical decomposition (Macaulay 1931)."""
    return (int(at_s // 3600) + 72) % HOURS  # the epoch was a Thursday


def step(memory: Novelty | None, value: float, hour: int, rule: Rule = USUAL) -> tuple[Novelty, Reading]:
    """Records of derived series (Chandler 1952: the n-th value is a record with probability 1/n, so they get rarer).

    The averages are exponential (Roberts 1959). What is no number is not counted.
    """
    if not math.isfinite(value):
        return memory or Novelty(), QUIET
    if memory is None or not memory.n:
        memory = Novelty(fast=value, slow=value, short=value)
    n = memory.n + 1
    fast = memory.fast + FAST * (value - memory.fast)
    slow = memory.slow + SLOW * (value - memory.slow)
    series: tuple[float, ...] = (value, fast - slow)
    short = roughness = 0.0
    explained, profile = 0, memory.profile
    if rule.series > 2:
        profile, residual, explained = _unexplained(memory, value, hour)
        short = memory.short + SHORT * (value - memory.short)
        roughness = memory.roughness + SHORT * (abs(value - short) - memory.roughness)
        series = (value, fast - slow, residual, roughness)
    lows, highs, reading = _compared(memory, series[: rule.series], rule.shrink / 2)
    after = Novelty(n, lows, highs, fast, slow, short, roughness, explained, profile, memory.told_n, memory.told)
    return after, reading if n > WARM_UP else QUIET


def tell(memory: Novelty, score: float, margin: float) -> tuple[Novelty, bool]:
    """Whether to say it: above the margin, and not within the rest after a record unless it is 1.5 times that one.

    The rest period of CAD OSE (Smirnov 2016).
    """
    if score < margin or (memory.n - memory.told_n < REST and score < BREAKS * memory.told):
        return memory, False
    return replace(memory, told_n=memory.n, told=score), True


def _unexplained(memory: Novelty, value: float, hour: int) -> tuple[Profile, float, int]:
    """The profile with this value in it, what it did not explain, and how often it knew the hour."""
    profile = memory.profile or (None,) * HOURS
    usual = profile[hour]
    residual = 0.0 if usual is None else value - usual
    learned = value if usual is None else usual + PROFILE * residual
    known = memory.explained + (usual is not None)
    return (*profile[:hour], learned, *profile[hour + 1 :]), residual, known


def _compared(memory: Novelty, series: tuple[float, ...], shrink: float) -> tuple[Ends, Ends, Reading]:
    """The ranges with the new values in them, and how far these were beyond."""
    if not memory.lows:
        return series, series, QUIET
    least = FLOOR * max(abs(memory.lows[0]), abs(memory.highs[0]))
    score = upward = 0.0
    lows, highs = [], []
    for place, (new, low, high) in enumerate(zip(series, memory.lows, memory.highs, strict=False)):
        width = high - low
        given = shrink * width
        lows.append(min(new, low + given))
        highs.append(max(new, high - given))
        if low <= new <= high:
            continue
        seen = memory.explained if place == 2 else memory.n
        trust = WEIGHTS[place] * seen / (seen + MATURE) if seen >= WARM_UP else 0.0
        beyond = trust * _ranges(max(new - high, low - new), max(width, least))
        score = max(score, beyond)
        if new > high and place < 3:  # roughness has no direction: a fall is rough as well
            upward = max(upward, beyond)
    return tuple(lows), tuple(highs), Reading(score, upward)


def _ranges(beyond: float, width: float) -> float:
    return min(SCORE_MAX, beyond / width) if width > 0 else SCORE_MAX
