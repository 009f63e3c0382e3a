"""Record novelty: how far a value lies beyond everything seen so far, in units of the range seen so far."""

from __future__ import annotations

import math
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

WARM_UP = 50
REST = 120  # updates of silence after a told record
BREAKS = 1.5  # times the told score: such a record is told all the same
SCORE_MAX = 1000.0
FLOOR = 0.01  # of the largest magnitude: what a range is at least, so that a constant may waver a little
HOURS = 168
FAST, SLOW, SHORT = 2 / 33, 2 / 289, 2 / 9
PROFILE = 0.2
Ends = tuple[float, ...]
Profile = tuple[float | None, ...]


class Rule(NamedTuple):
    """Which derived series are watched, how fast ranges are forgotten, what is worth telling."""

    series: int
    shrink: float
    margin: float


RANGE1 = Rule(series=1, shrink=0.0, margin=0.05)  # the value
RANGE2 = Rule(series=2, shrink=1e-4, margin=0.02)  # and the fast average minus the slow one
RANGE4 = Rule(series=4, shrink=3e-5, margin=0.05)  # and the roughness, and what the hour of the week does not explain


class Reading(NamedTuple):
    score: float  # beyond the range, in ranges, in either direction
    upward: float  # the same for what is higher than ever


class Novelty(Struct, frozen=True, array_like=True):
    """What is remembered of one series."""

    n: int = 0
    lows: Ends = ()
    highs: Ends = ()
    fast: float = 0.0
    slow: float = 0.0
    short: float = 0.0
    roughness: float = 0.0
    profile: Profile = ()  # by hour of the week
    told_n: int = -REST
    told: float = 0.0


QUIET = Reading(0.0, 0.0)


def hour_of_week(at_s: float) -> int:
    """Monday 0:00 UTC is 0. The seasonal index of classical decomposition (Macaulay 1931)."""
    return (int(at_s // 3600) + 72) % HOURS  # the epoch was a Thursday


def step(memory: Novelty | None, value: float, hour: int, rule: Rule = RANGE2) -> tuple[Novelty, Reading]:
    """Records of derived series (Chandler 1952: the n-th value is a record with probability 1/n, so they get rarer).

    The averages are exponential (Roberts 1959). What is no number is not counted.
    """
    if not math.isfinite(value):
        return memory or Novelty(), QUIET
    if memory is None or not memory.n:
        memory = Novelty(fast=value, slow=value, short=value)
    fast = memory.fast + FAST * (value - memory.fast)
    slow = memory.slow + SLOW * (value - memory.slow)
    short = memory.short + SHORT * (value - memory.short)
    roughness = memory.roughness + SHORT * (abs(value - short) - memory.roughness)
    profile, residual = _unexplained(memory.profile, value, hour) if rule.series > 3 else ((), 0.0)
    series = (value, fast - slow, roughness, residual)[: rule.series]
    lows, highs, reading = _compared(memory, series, rule.shrink)
    n = memory.n + 1
    after = Novelty(n, lows, highs, fast, slow, short, roughness, profile, memory.told_n, memory.told)
    return after, reading if n > WARM_UP else QUIET


def tell(memory: Novelty, score: float, margin: float) -> tuple[Novelty, bool]:
    """Whether to say it: above the margin, and not within the rest after a record unless it is 1.5 times that one.

    The rest period of CAD OSE (Smirnov 2016).
    """
    if score < margin or (memory.n - memory.told_n < REST and score < BREAKS * memory.told):
        return memory, False
    return replace(memory, told_n=memory.n, told=score), True


def _unexplained(profile: Profile, value: float, hour: int) -> tuple[Profile, float]:
    """What the hour of the week does not explain, and the profile with this value in it."""
    profile = profile or (None,) * HOURS
    usual = profile[hour]
    residual = 0.0 if usual is None else value - usual
    learned = value if usual is None else usual + PROFILE * residual
    return (*profile[:hour], learned, *profile[hour + 1 :]), residual


def _compared(memory: Novelty, series: tuple[float, ...], shrink: float) -> tuple[Ends, Ends, Reading]:
    """The ranges with the new values in them, and how far these were beyond."""
    if not memory.lows:
        return series, series, QUIET
    least = FLOOR * max(abs(memory.lows[0]), abs(memory.highs[0]))
    below = above = 0.0
    lows, highs = [], []
    for new, low, high in zip(series, memory.lows, memory.highs, strict=False):
        width = max(high - low, least)
        if new > high:
            above = max(above, (new - high) / width if width else SCORE_MAX)
        elif new < low:
            below = max(below, (low - new) / width if width else SCORE_MAX)
        given = shrink * (high - low)
        lows.append(min(new, low + given))
        highs.append(max(new, high - given))
    above = min(above, SCORE_MAX)
    return tuple(lows), tuple(highs), Reading(max(above, min(below, SCORE_MAX)), above)
