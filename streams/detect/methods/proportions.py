"""Whether one side is worse than the other: two shares, or two distributions."""

from __future__ import annotations

import math
from typing import NamedTuple

from .sketch import Sketch, mean


def exceeds(failed: int, n: int, failed_before: int, n_before: int) -> float:
    """p of the one-sided two-proportion z test, pooled variance (Pearson 1900; Fleiss, Rates and Proportions).

    Small: the first share is higher. 1 when either side is empty.
    """
    if n <= 0 or n_before <= 0:
        return 1.0
    pooled = (failed + failed_before) / (n + n_before)
    variance = pooled * (1 - pooled) * (1 / n + 1 / n_before)
    if variance <= 0:
        return 1.0
    return _upper_tail((failed / n - failed_before / n_before) / math.sqrt(variance))


def wilson(failed: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share; everything is possible of nothing."""
    if n <= 0:
        return 0.0, 1.0
    share, square = failed / n, z * z
    middle = share + square / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    scale = 1 + square / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


class Compared(NamedTuple):
    p: float  # one-sided: small when the new values are higher
    above: float  # chance that a new value is above an old one, ties half: 0.5 is no difference
    ratio: float  # of the means; 1 when the old one is 0


def higher(new: Sketch, old: Sketch) -> Compared:
    """Mann and Whitney's rank test (1947) with ties, on sketches, and the ratio of means: the test without the size of
    the effect calls every large sample different (Kayenta gates on both)."""
    n, m = new.total, old.total
    if not n or not m:
        return Compared(1.0, 0.5, 1.0)
    wins = ties = 0.0
    below = 0
    for at in sorted(new.counts.keys() | old.counts.keys()):
        mine, theirs = new.counts.get(at, 0), old.counts.get(at, 0)
        wins += mine * (below + theirs / 2)
        both = mine + theirs
        ties += both**3 - both
        below += theirs
    every = n + m
    variance = n * m / 12 * (every + 1 - ties / (every * (every - 1)))
    p = _upper_tail((wins - n * m / 2 - 0.5) / math.sqrt(variance)) if variance > 0 else 1.0
    usual = mean(old)
    return Compared(p, wins / (n * m), mean(new) / usual if usual > 0 else 1.0)


def _upper_tail(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2
