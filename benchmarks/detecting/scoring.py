"""NAB's score (Lavin and Ahmad 2015, and the sweeper of NAB 1.1), from the rule, not from its code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

PROBATION, PROBATION_MAX = 0.15, 750  # of the rows; nothing is scored there


class Profile(NamedTuple):
    name: str
    hit: float
    false: float
    missed: float


STANDARD = Profile("standard", 1.0, 0.11, 1.0)
LOW_FP = Profile("low FP", 1.0, 0.22, 1.0)
LOW_FN = Profile("low FN", 1.0, 0.11, 2.0)
PROFILES = (STANDARD, LOW_FP, LOW_FN)


class Window(NamedTuple):
    """Rows of a labelled anomaly, both ends belong to it."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        return self.last - self.first + 1


class Points(NamedTuple):
    """What detections in one file are worth, before weights."""

    hits: tuple[float, ...]  # per window that was hit: 1 at its beginning, falling to 0 at its end
    false: float  # negative: each detection outside
    windows: int


def sigmoid(position: float) -> float:
    """From +1 long before the window's end, through 0 at it, to -1 long after."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def probation(rows: int) -> int:
    return min(math.floor(PROBATION * rows), PROBATION_MAX)


def points(detections: Sequence[int], windows: Sequence[Window], rows: int) -> Points:
    """Of ascending rows at which something was detected."""
    hits: dict[Window, float] = {}
    false = 0.0
    for row in detections:
        if row < probation(rows):
            continue
        inside = next((window for window in windows if window.first <= row <= window.last), None)
        if inside:
            position = -(inside.last - row + 1) / inside.rows
            hits.setdefault(inside, sigmoid(position) / sigmoid(-1))  # the first one counts
        else:
            false += _false(row, windows)
    return Points(tuple(hits.values()), false, len(windows))


def normalised(parts: Sequence[Points], profile: Profile) -> float:
    """100 is every window at its first row and nothing else, 0 is a detector that never says anything."""
    windows = sum(part.windows for part in parts)
    null = -profile.missed * windows
    return 100 * (sum(weighted(part, profile) for part in parts) - null) / (profile.hit * windows - null)


def weighted(part: Points, profile: Profile) -> float:
    missed = part.windows - len(part.hits)
    return profile.hit * sum(part.hits) + profile.false * part.false - profile.missed * missed


def _false(row: int, windows: Sequence[Window]) -> float:
    """A detection shortly after a window costs less than one out of nowhere."""
    before = [window for window in windows if window.last < row]
    if not before:
        return -1.0
    return sigmoid((row - before[-1].last) / max(1, before[-1].rows - 1))
