"""Which releases are compared with which, and the counts of two that ran at the same time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from ...records import GateCell, GateComparison, GateServing

CANDIDATES_MAX = 3  # of an agent in an environment: its newest releases; others are counted once somebody asks
PAIRS_MAX = 500
STEPS = 20  # shares whose odds differ by less than a twentieth are one cell, at their mean
THIN = 10  # sessions of the smaller arm, from which on its share of a window says something
SPAN = timedelta(hours=6)  # no window is longer: shares and troubles change
MINUTE, LATELY = timedelta(minutes=1), timedelta(hours=1)
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)

Address = tuple[str, str, str]  # agent, release, environment


class Pair(NamedTuple):
    agent: str
    release: str
    environment: str
    baseline: str


class Counts(NamedTuple):
    sessions: int
    bad: int


Minutes = Mapping[datetime, Counts]


def baseline_of(serving: Sequence[str], release: str) -> str | None:
    """What serves, and where that is the candidate itself, what served before."""
    return next((one for one in serving if one != release), None)


def pairs(
    serving: Iterable[GateServing], newest: Mapping[str, Sequence[str]], ran: Iterable[Address], asked: Iterable[Pair]
) -> list[Pair]:
    """What is counted although nobody has asked yet, and what somebody asked for lately. `newest`: of each agent."""
    there = set(ran)
    found = dict.fromkeys(asked)
    for one in serving:
        lately = [name for name in newest.get(one.agent, ()) if (one.agent, name, one.environment) in there]
        for release in lately[:CANDIDATES_MAX]:
            if baseline := baseline_of(one.releases, release):
                found[Pair(one.agent, release, one.environment, baseline)] = None
    return list(found)[:PAIRS_MAX]


class Window(Struct):
    """Minutes taken together, until both arms have had some sessions. Bad ones have no say in where it ends."""

    bin: int
    place: int
    sessions: int = 0
    bad: int = 0
    baseline_sessions: int = 0
    baseline_bad: int = 0


class Windowing:
    """Makes windows of minutes in their order."""

    def __init__(self) -> None:
        self._bin, self._candidate, self._baseline = -1, 0, 0
        self.now = Window(-1, -1)

    def add(self, at: datetime, candidate: Counts, baseline: Counts) -> Window | None:
        """The window that this minute ends by beginning another; None: it goes on."""
        span = (at - BEGIN) // SPAN
        if span != self._bin:
            self._bin, self._candidate, self._baseline = span, 0, 0
        place = min(self._candidate, self._baseline) // THIN
        ended = None
        if (span, place) != (self.now.bin, self.now.place):
            ended, self.now = self.now, Window(span, place)
        self._candidate += candidate.sessions
        self._baseline += baseline.sessions
        self.now.sessions += candidate.sessions
        self.now.bad += candidate.bad
        self.now.baseline_sessions += baseline.sessions
        self.now.baseline_bad += baseline.bad
        return ended


def compared(pair: Pair, candidate: Minutes, baseline: Minutes) -> GateComparison:
    """What comparing.py has the database count, of minutes at hand."""
    first = min((at for at, counts in candidate.items() if counts.sessions), default=None)
    if first is None:
        return GateComparison(**pair._asdict())
    windowing = Windowing()
    minutes = sorted({at for some in (candidate, baseline) for at in some if at >= first})
    windows = [windowing.add(at, _at(candidate, at), _at(baseline, at)) for at in minutes]
    both = [one for one in (*windows, windowing.now) if one and one.sessions and one.baseline_sessions]
    newest = max(candidate)
    begun = max(first, newest - LATELY + MINUTE)
    lately = sum(counts.sessions for at, counts in candidate.items() if at >= begun)
    return GateComparison(
        **pair._asdict(),
        sessions=sum(one.sessions for one in both),
        bad=sum(one.bad for one in both),
        baseline_sessions=sum(one.baseline_sessions for one in both),
        baseline_bad=sum(one.baseline_bad for one in both),
        cells=_cells(both),
        per_minute=lately / ((newest - begun) / MINUTE + 1),
    )


def _at(minutes: Minutes, at: datetime) -> Counts:
    return minutes.get(at, Counts(0, 0))


def _cells(windows: Iterable[Window]) -> tuple[GateCell, ...]:
    """Windows with a bad session, those of almost the same share together."""
    found: dict[int, list[float]] = {}
    for one in windows:
        both = one.bad + one.baseline_bad
        if both:
            odds = one.sessions / one.baseline_sessions
            cell = found.setdefault(round(STEPS * math.log(odds)), [0.0, 0, 0])
            cell[0] += one.sessions / (one.sessions + one.baseline_sessions) * both
            cell[1] += one.bad
            cell[2] += one.baseline_bad
    return tuple(
        GateCell(round(share / (bad + their_bad), 6), int(bad), int(their_bad))
        for _, (share, bad, their_bad) in sorted(found.items())
    )
