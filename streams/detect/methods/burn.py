"""How fast an objective's error budget burns, over long and short windows of event time together."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from msgspec import Struct

MINUTE, HOUR, DAY = 60, 3600, 86400


class Pair(NamedTuple):
    """Both windows must burn at this rate: the long one for significance, the short one so that it ends."""

    long_s: int
    short_s: int
    rate: float


FAST = Pair(HOUR, 5 * MINUTE, 14.4)
MIDDLE = Pair(6 * HOUR, 30 * MINUTE, 6.0)
SLOW = Pair(3 * DAY, 6 * HOUR, 1.0)
PAIRS = (FAST, MIDDLE, SLOW)


class Slot(Struct, frozen=True, array_like=True, gc=False):
    at: int  # number of the slot since the epoch
    bad: int = 0
    n: int = 0


Slots = tuple[Slot, ...]


class Ring(Struct, frozen=True, array_like=True, gc=False):
    """Sums by event time, three times: minutes of an hour, ten minutes of six hours, hours of three days."""

    minutes: Slots = ()
    tens: Slots = ()
    hours: Slots = ()


LEVELS = ((MINUTE, HOUR), (10 * MINUTE, 6 * HOUR), (HOUR, 3 * DAY))  # width of a slot, what is kept


class Burn(NamedTuple):
    pair: Pair
    long: float  # budgets spent per budget's due
    short: float
    bad: int  # in the long window


def add(ring: Ring, at_s: float, bad: int, n: int) -> Ring:
    """The ring with `bad` of `n` at a moment; in any order, the result is the same. Sums by slot (SRE Workbook, 2018)."""
    kept = (ring.minutes, ring.tens, ring.hours)
    return Ring(*(_added(slots, level, at_s, Slot(0, bad, n)) for slots, level in zip(kept, LEVELS, strict=True)))


def burning(ring: Ring, now_s: float, budget: float, bad_min: int = 1) -> tuple[Burn, ...]:
    """Which pairs burn now: multiwindow, multi-burn-rate (The Site Reliability Workbook, chapter 5, 2018).

    `budget`: the share that may be bad, 0.01 of a 99 % objective. A rate that cannot be reached (budget above 1/14.4)
    is never reported: such objectives need the CUSUM bank.
    """
    found = []
    for pair in PAIRS:
        bad, n = window(ring, now_s, pair.long_s)
        short_bad, short_n = window(ring, now_s, pair.short_s)
        long, short = rate(bad, n, budget), rate(short_bad, short_n, budget)
        if bad >= bad_min and long >= pair.rate and short >= pair.rate:
            found.append(Burn(pair, long, short, bad))
    return tuple(found)


def rate(bad: int, n: int, budget: float) -> float:
    """Burn rate: the bad share in budgets (SRE Workbook, 2018); 0 when nothing was counted."""
    return bad / n / budget if n and budget > 0 else 0.0


def window(ring: Ring, now_s: float, length_s: int) -> tuple[int, int]:
    """Bad and all in the slots that begin no longer than `length_s` before now, and in later ones (SRE Workbook, 2018)."""
    slots, width = _level(ring, length_s)
    oldest = -int((length_s - now_s) // width)
    inside = slots[bisect_left(slots, oldest, key=_at) :]
    return sum(slot.bad for slot in inside), sum(slot.n for slot in inside)


def _level(ring: Ring, length_s: int) -> tuple[Slots, int]:
    if length_s <= HOUR:
        return ring.minutes, MINUTE
    return (ring.tens, 10 * MINUTE) if length_s <= 6 * HOUR else (ring.hours, HOUR)


def _at(slot: Slot) -> int:
    return slot.at


def _added(slots: Slots, level: tuple[int, int], at_s: float, given: Slot) -> Slots:
    width, kept_s = level
    at = int(at_s // width)
    where = bisect_left(slots, at, key=_at)
    known = slots[where] if where < len(slots) and slots[where].at == at else None
    slot = Slot(at, given.bad + (known.bad if known else 0), given.n + (known.n if known else 0))
    after = (*slots[:where], slot, *slots[where + (known is not None) :])
    oldest = after[-1].at - kept_s // width  # one more than the window: it also counts from the middle of a slot
    return after[bisect_left(after, oldest, key=_at) :] if after[0].at < oldest else after
