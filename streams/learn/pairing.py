"""Which releases are compared with which, and the counts of two that ran at the same time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ..records import GateCell, GateComparison, GateServing

CANDIDATES_MAX = 3  # of an agent in an environment: its newest releases; others are counted once somebody asks
PAIRS_MAX = 500
STEPS = 20  # shares whose odds differ by less than a twentieth are one cell, at their mean
DENSE = 20  # sessions of a window, for the share of one arm in it to say something
WIDTHS = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
LATELY = timedelta(hours=1)
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


def width(sessions: int, minutes: int) -> timedelta:
    """The shorter the better: the share of an arm is that of the moment. With little traffic a minute has only one arm."""
    per_minute = sessions / max(1, minutes)
    return next((one for one in WIDTHS[:-1] if per_minute * (one / WIDTHS[0]) >= DENSE), WIDTHS[-1])


def compared(pair: Pair, candidate: Minutes, baseline: Minutes) -> GateComparison:
    """What comparing.py has the database count, of minutes at hand."""
    first = min((at for at, counts in candidate.items() if counts.sessions), default=None)
    if first is None:
        return GateComparison(**pair._asdict())
    minutes = {at for some in (candidate, baseline) for at in some if at >= first}
    span = width(sum(_at(some, at).sessions for some in (candidate, baseline) for at in minutes), len(minutes))
    windows: dict[int, list[int]] = {}
    for at in minutes:
        mine, theirs = _at(candidate, at), _at(baseline, at)
        window = windows.setdefault((at - BEGIN) // span, [0, 0, 0, 0])
        window[:] = [sum(both) for both in zip(window, (*mine, *theirs), strict=True)]
    both = [one for one in windows.values() if one[0] and one[2]]
    sums = [sum(column) for column in zip(*both, strict=True)] or [0, 0, 0, 0]
    newest = max(candidate)
    begun = max(first, newest - LATELY + WIDTHS[0])
    lately = sum(counts.sessions for at, counts in candidate.items() if at >= begun)
    return GateComparison(
        **pair._asdict(),
        sessions=sums[0],
        bad=sums[1],
        baseline_sessions=sums[2],
        baseline_bad=sums[3],
        cells=_cells(both),
        per_minute=lately / ((newest - begun) / WIDTHS[0] + 1),
    )


def _at(minutes: Minutes, at: datetime) -> Counts:
    return minutes.get(at, Counts(0, 0))


def _cells(windows: Iterable[Sequence[int]]) -> tuple[GateCell, ...]:
    """Windows with a bad session, those of almost the same share together."""
    found: dict[int, list[float]] = {}
    for mine, bad, theirs, their_bad in windows:
        if bad + their_bad:
            cell = found.setdefault(round(STEPS * math.log(mine / theirs)), [0.0, 0, 0])
            cell[0] += mine / (mine + theirs) * (bad + their_bad)
            cell[1] += bad
            cell[2] += their_bad
    return tuple(
        GateCell(round(share / (bad + their_bad), 6), int(bad), int(their_bad))
        for _, (share, bad, their_bad) in sorted(found.items())
    )
