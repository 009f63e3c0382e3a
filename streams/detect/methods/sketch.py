"""A distribution in a few hundred integers: counts by logarithm, so that sums of facts make the same sketch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

GROWTH = 1.05  # a value is known to about 2.5 %
LOG = math.log(GROWTH)
BUCKETS_MAX = 256
INDEX_MAX = 700  # about 7e14; and as far below 1
NOTHING = -INDEX_MAX - 1  # zero and below
KEPT = 2000
SIGMA_PER_IQR = 1 / 1.349  # of a normal distribution
Ordered = list[tuple[int, int]]  # counts by index


class Sketch(Struct, frozen=True, array_like=True, gc=False):
    counts: dict[int, int] = {}
    total: int = 0


def index(value: float) -> int:
    """The bucket of a value: the logarithmic mapping of DDSketch (Masson, Rim, Lee 2019)."""
    if not value > 0:
        return NOTHING
    return math.ceil(max(-INDEX_MAX, min(INDEX_MAX, math.log(min(value, 1e300)) / LOG)))


def value(index: int) -> float:
    """The geometric middle of a bucket (DDSketch, Masson, Rim, Lee 2019)."""
    return 0.0 if index <= NOTHING else math.exp((index - 0.5) * LOG)


def add(sketch: Sketch, counts: Mapping[int, int], kept: int = KEPT) -> Sketch:
    """The sketch with more in it: merging is addition (DDSketch, 2019). Above `kept`, everything counts half.

    Too many buckets: the lowest become one, since it is the upper end that is asked for (the same paper).
    """
    merged = dict(sketch.counts)
    for at, n in counts.items():
        if n > 0:
            at = max(NOTHING, min(INDEX_MAX, at))
            merged[at] = merged.get(at, 0) + n
    if len(merged) > BUCKETS_MAX:
        merged = _collapsed(merged)
    after = Sketch(merged, sum(merged.values()))
    while after.total > kept:
        after = halved(after)
    return after


def halved(sketch: Sketch) -> Sketch:
    """Half of everything (exponential forgetting, as in Cormode et al., Forward Decay, 2009), the total exactly halved.

    Rounded on running totals from above: rounding each count alone would lose the tail or keep it for ever.
    """
    counts = {}
    seen = given = 0
    for at in sorted(sketch.counts, reverse=True):
        seen += sketch.counts[at]
        if seen // 2 > given:
            counts[at] = seen // 2 - given
            given = seen // 2
    return Sketch(counts, given)


def quantile(sketch: Sketch, q: float) -> float:
    """The value below which a share `q` lies, to about 2.5 % (DDSketch, 2019); 0 of an empty sketch."""
    return _at(sorted(sketch.counts.items()), sketch.total, q)


def spread(sketch: Sketch) -> float:
    """Sigma of the logarithms from their interquartile range (robust statistics, Tukey 1977); zeroes are left out."""
    return _spread(sorted(sketch.counts.items()), sketch.total)


def mean(sketch: Sketch) -> float:
    """The mean, to about 2.5 % (from the buckets of DDSketch, 2019); 0 of an empty sketch."""
    return sum(value(at) * n for at, n in sketch.counts.items()) / sketch.total if sketch.total else 0.0


def outlying(sketch: Sketch, floor: float = 0.0) -> float:
    """From where on a value is strange among its peers: the highest of the floor, 3 x p99, and the log-median + 4 sigma.

    Tukey's fences (1977) on logarithms; p99 guards against a heavy tail that the quartiles do not see.
    """
    ordered = sorted(sketch.counts.items())
    fence = _at(ordered, sketch.total, 0.5) * math.exp(min(4 * _spread(ordered, sketch.total), 50.0))
    return max(floor, 3 * _at(ordered, sketch.total, 0.99), fence)


def _spread(ordered: Ordered, total: int) -> float:
    if ordered and ordered[0][0] <= NOTHING:
        total -= ordered[0][1]
        ordered = ordered[1:]
    low, high = _at(ordered, total, 0.25), _at(ordered, total, 0.75)
    return math.log(high / low) * SIGMA_PER_IQR if low > 0 else 0.0


def _at(ordered: Ordered, total: int, q: float) -> float:
    rank = q * (total - 1)
    seen = 0
    for at, n in ordered:
        seen += n
        if seen > rank:
            return value(at)
    return 0.0


def _collapsed(counts: dict[int, int]) -> dict[int, int]:
    ordered = sorted(counts)
    lowest = ordered[-BUCKETS_MAX]
    kept = {at: counts[at] for at in ordered[-BUCKETS_MAX:]}
    kept[lowest] += sum(counts[at] for at in ordered[:-BUCKETS_MAX])
    return kept
