"""Whether an agent's sessions are still looked at: what each evaluator said beside how many sessions ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from ..methods.proportions import exceeds
from .bucketed import Bucket

HOUR_S, DAY_S = 3600, 86400
ENDED = "ended"
BY = "by:"  # before the evaluator's name
EVALUATORS_MAX = 50  # of one agent; those not seen for longest are forgotten
SEEN_MIN = 20  # evaluations before an evaluator is missed
GONE_S = 7 * DAY_S  # then it was taken away on purpose
GAP_MAX = 24
STEADY = 6  # hours with sessions and without evaluations: whoever pauses longer evaluates in batches
KEPT = 2000  # sessions of what was before; then half of everything is forgotten
SURE = 1e-4
EXPECTED = 10.0  # evaluations that would have come by now: silence is no chance


class Seen(Struct, frozen=True, array_like=True, gc=False):
    """One evaluator."""

    first_s: int
    last_s: int
    n: int
    idle: int = 0  # hours with sessions since then
    gap: int = 0  # the most of these before
    ended: int = 0  # sessions since then


Hour = tuple[int, dict[str, int]]


class Coverage(Struct, frozen=True, array_like=True, gc=False):
    hours: tuple[Hour, ...] = ()  # of the last day
    before: dict[str, int] = {}
    seen: dict[str, Seen] = {}


class Limits(NamedTuple):
    silent_s: int
    sessions: int
    skipped: float  # of the share before


class Missing(NamedTuple):
    evaluator: str
    what: str  # silent, skips
    observed: str
    expected: str


def counted(coverage: Coverage, bucket: Bucket) -> Coverage:
    """After an hour."""
    seen = dict(coverage.seen)
    said = {name[len(BY) :]: n for name, n in bucket.sums.items() if name.startswith(BY)}
    for name in sorted(said):
        known = seen.get(name) or Seen(bucket.at_s, bucket.at_s, 0)
        seen[name] = Seen(
            known.first_s, bucket.at_s, known.n + said[name], 0, min(GAP_MAX, max(known.idle, known.gap - 1))
        )
    if ended := bucket.sums.get(ENDED):
        idle = {name: one for name, one in seen.items() if name not in said}
        seen |= {
            name: Seen(one.first_s, one.last_s, one.n, one.idle + 1, one.gap, one.ended + ended)
            for name, one in idle.items()
        }
    seen = {name: one for name, one in seen.items() if bucket.at_s - one.last_s < GONE_S}
    if len(seen) > EVALUATORS_MAX:
        seen = dict(sorted(seen.items(), key=lambda item: (-item[1].last_s, item[0]))[:EVALUATORS_MAX])
    hours = (*coverage.hours, (bucket.at_s, _known(bucket.sums, seen)))
    old = sum(1 for at_s, _ in hours if at_s <= bucket.at_s - DAY_S)
    before = _sum((coverage.before, *(sums for _, sums in hours[:old])))
    return Coverage(hours[old:], _forgetting(_known(before, seen)), seen)


def missing(coverage: Coverage, at_s: int, limits: Limits) -> Iterator[Missing]:
    """Evaluators that went silent, or look at fewer sessions than they did."""
    now = _sum(sums for _, sums in coverage.hours)
    for name, one in sorted(coverage.seen.items()):
        if one.n < SEEN_MIN or one.last_s - one.first_s < DAY_S:
            continue
        sums = (now, coverage.before)
        found = _silent(name, one, sums, at_s, limits) or _skipping(name, one, sums, limits)
        if found:
            yield found


Sums = tuple[dict[str, int], dict[str, int]]  # of the last day, and before


def _silent(name: str, one: Seen, sums: Sums, at_s: int, limits: Limits) -> Missing | None:
    since_s = at_s - one.last_s - HOUR_S  # the end of the hour in which it was seen
    looked, ended = (sum(part.get(what, 0) for part in sums) for what in (BY + name, ENDED))
    usual = min(1.0, looked / max(1, ended - one.ended))
    if since_s < limits.silent_s or one.idle < max(1, 2 * one.gap) or usual * one.ended < EXPECTED:
        return None
    observed = f"no evaluation for {since_s // HOUR_S} hours, in which {one.ended} sessions ended"
    return Missing(
        name, "is silent", observed, f"{usual:.0%} of the sessions, and never a pause of {2 * one.gap} hours"
    )


def _skipping(name: str, one: Seen, sums: Sums, limits: Limits) -> Missing | None:
    now, before = sums
    ended, ended_before = now.get(ENDED, 0), before.get(ENDED, 0)
    n, n_before = now.get(BY + name, 0), before.get(BY + name, 0)
    if min(ended, ended_before) < limits.sessions or one.gap > STEADY or not n or n_before < SEEN_MIN:
        return None
    usual = n_before / ended_before
    if n / ended > limits.skipped * usual:
        return None
    each = max(1.0, usual)  # several evaluations of a session are one session looked at
    looked, looked_before = min(ended, round(n / each)), min(ended_before, round(n_before / each))
    if exceeds(ended - looked, ended, ended_before - looked_before, ended_before) >= SURE:
        return None
    return Missing(
        name,
        "skips sessions",
        f"{n} evaluations of {ended} sessions in a day ({n / ended:.0%})",
        f"{usual:.0%}, as before",
    )


def _known(sums: Mapping[str, int], seen: Mapping[str, Seen]) -> dict[str, int]:
    return {name: n for name, n in sums.items() if name == ENDED or name[len(BY) :] in seen}


def _sum(parts: Iterator[Mapping[str, int]] | tuple[Mapping[str, int], ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, n in part.items():
            found[name] = found.get(name, 0) + n
    return found


def _forgetting(sums: dict[str, int]) -> dict[str, int]:
    while sums.get(ENDED, 0) > KEPT:
        sums = {name: n // 2 for name, n in sums.items() if n > 1}
    return sums
