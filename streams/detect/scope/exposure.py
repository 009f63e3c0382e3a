"""Sessions, bad sessions, calls and what they ran with, per agent, release and environment, once per closed minute."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import Exposure, Fact, Measure, Tick
from ...step import Order, Step
from ..facts import shelf_of
from ..methods.sketch import value
from ..shelf import added, hashed, holds, moment
from .bucketed import fits
from .sampling import Judgings, judged, together

MINUTE_S = 60
MINUTES_MAX = 4096  # open ones; those furthest ahead of the clock are summed up in the last
CONFIG_MAX = 64  # minutes in which sessions began that were not counted
CONFIG = ("prompt", "model", "tools")
MARKS_MAX = 4096  # bad once per user, failure group and day; the oldest are forgotten
TOOLS_MAX = 50  # that are said: those called most
TOOLS_KEPT = 500
REST = "…"  # all other tools
# Family of a session's sums -> the measure, what a unit of the sum is in its own unit, and the highest that counts:
# a session that ran away is no more evidence than one at the bound. Units are small, so that 1 + x is about x.
MEASURES = {
    "cost": ("cost", 1e6, 1e10),  # millionths of the currency; ten thousand
    "steps": ("steps", 1.0, 1e4),
    "ms": ("duration", 1.0, 86_400_000.0),  # milliseconds; a day
}


class Open(Struct, frozen=True, array_like=True, gc=False):
    """A minute that goes on."""

    sessions: int = 0
    bad: int = 0
    ended: int = 0
    evaluated: int = 0
    calls: dict[str, int] = {}
    spread: dict[str, int] = {}  # cost#, steps#, ms#: see facts.py
    judged: Judgings = {}


NOTHING = Open()


class Minutes(Struct, frozen=True, array_like=True, gc=False):
    subject: tuple[str, ...]
    open: dict[float, Open] = {}
    closed_s: float = 0.0
    marks: bytes = b""  # hashes
    config: dict[float, dict[str, tuple[float, str]]] = {}  # minute -> part -> when, and what it was


class ExposureMinutes:
    name, version, memory = "exposure", 1, Minutes
    gathered = True
    reads: tuple[type, ...] = (Fact,)
    kinds = ("exposure", "config", "tool", "judged")
    order: Order = "bucketed"

    def __init__(self, minute_s: int = MINUTE_S) -> None:
        self.minute_s = minute_s

    def key(self, record: Any) -> str | None:
        return shelf_of((self.name, *record.subject[:3])) if record.kind in self.kinds else None

    def step(self, memory: Minutes | None, record: Fact | Tick) -> Step[Minutes]:
        if not isinstance(record, Fact):
            return self._closed(memory, record) if memory else Step(None)
        minutes = memory or Minutes(record.subject[:3])
        return self._configured(minutes, record) if record.kind == "config" else self._added(minutes, record)

    def _minute(self, minutes: Minutes, fact: Fact) -> float:
        return max(math.floor(fact.bucket.timestamp() / self.minute_s) * self.minute_s, minutes.closed_s)

    def _configured(self, minutes: Minutes, fact: Fact) -> Step[Minutes]:
        """The last bucket says what it was, the last in order where several say it: their own order is chance."""
        at_s, bucket_s = self._minute(minutes, fact), fact.bucket.timestamp()
        known = minutes.config.get(at_s, {})
        found = dict(known)
        for part, _, what in (mark.partition(":") for mark in fact.marks):
            if part in CONFIG:
                found[part] = max(found.get(part, (0.0, "")), (bucket_s, what))
        wake = moment(min(minutes.open) + self.minute_s) if minutes.open else None
        if found == known:
            return Step(minutes, (), wake)
        kept = dict(sorted({**minutes.config, at_s: found}.items())[-CONFIG_MAX:])
        return Step(replace(minutes, config=kept), (), wake)

    def _added(self, minutes: Minutes, fact: Fact) -> Step[Minutes]:
        at_s = self._minute(minutes, fact)
        known = minutes.open.get(at_s, NOTHING)
        marks = minutes.marks
        if fact.kind == "tool":
            calls = _called(known.calls, {fact.subject[3]: fact.sums.get("calls", 0)})
            more = replace(known, calls=calls)
        elif fact.kind == "judged":
            more = replace(known, judged=judged(known.judged, fact))
        else:
            bad = known.bad
            for mark in map(hashed, fact.marks):
                if not holds(marks, mark):
                    marks, bad = added(marks, mark, MARKS_MAX), bad + 1
            more = _counted(known, fact.sums, bad)
        opened = {**minutes.open, at_s: more}
        if len(opened) > MINUTES_MAX:
            *_, last, extra = sorted(opened)
            opened[last] = _together(opened[last], opened.pop(extra))
        after = Minutes(minutes.subject, opened, minutes.closed_s, marks, minutes.config)
        return Step(after, (), moment(min(opened) + self.minute_s))

    def _closed(self, minutes: Minutes, tick: Tick) -> Step[Minutes]:
        at_s = tick.at.timestamp()
        closing = sorted(start for start in minutes.open if start + self.minute_s <= at_s)
        said = tuple(_said(minutes, start) for start in closing)
        waiting = {start: counts for start, counts in minutes.open.items() if start not in closing}
        closed_s = max(minutes.closed_s, math.floor(at_s / self.minute_s) * self.minute_s)
        wake = moment(min(waiting) + self.minute_s) if waiting else None
        config = {start: parts for start, parts in minutes.config.items() if start >= closed_s}
        return Step(replace(minutes, open=waiting, closed_s=closed_s, config=config), said, wake)


def _counted(known: Open, sums: Mapping[str, int], bad: int) -> Open:
    spread = known.spread
    if "ended" in sums:
        spread = dict(spread)
        for name in sums:
            if name.partition("#")[0] in MEASURES:
                spread[name] = spread.get(name, 0) + sums[name]
    return Open(
        known.sessions + sums.get("sessions", 0),
        bad,
        known.ended + sums.get("ended", 0),
        known.evaluated + sums.get("evaluated", 0),
        known.calls,
        spread,
        known.judged,
    )


def _called(known: Mapping[str, int], calls: Mapping[str, int]) -> dict[str, int]:
    found = dict(known)
    for tool, n in calls.items():
        name = tool if tool in found or fits(found, TOOLS_KEPT) else REST
        found[name] = found.get(name, 0) + n
    return found


def _together(one: Open, other: Open) -> Open:
    spread = {name: one.spread.get(name, 0) + other.spread.get(name, 0) for name in {**one.spread, **other.spread}}
    return Open(
        one.sessions + other.sessions,
        one.bad + other.bad,
        one.ended + other.ended,
        one.evaluated + other.evaluated,
        _called(one.calls, other.calls),
        spread,
        together(one.judged, other.judged),
    )


def _said(minutes: Minutes, start: float) -> Exposure:
    agent, release, environment = minutes.subject
    one = minutes.open[start]
    return Exposure(
        agent,
        release,
        environment,
        moment(start),
        one.sessions,
        one.bad,
        config={part: what for part, (_, what) in sorted(minutes.config.get(start, {}).items())},
        evaluated=one.evaluated,
        ended=one.ended,
        calls=_most(one.calls),
        judged=dict(sorted(one.judged.items())),
        measures=_measures(one.spread),
    )


def _most(calls: Mapping[str, int]) -> dict[str, int]:
    """Those called most, and the rest together."""
    ordered = sorted((tool for tool in calls if tool != REST), key=lambda tool: (-calls[tool], tool))
    rest = calls.get(REST, 0) + sum(calls[tool] for tool in ordered[TOOLS_MAX:])
    return {tool: calls[tool] for tool in sorted(ordered[:TOOLS_MAX])} | ({REST: rest} if rest else {})


def _measures(spread: Mapping[str, int]) -> dict[str, Measure]:
    """From how often each logarithm was seen, known to 2.5 %: the same sums in whatever order sessions ended."""
    found: dict[str, Measure] = {}
    places = sorted((name.partition("#")[0], int(name.partition("#")[2]), n) for name, n in spread.items())
    for family, place, n in places:
        name, units, most = MEASURES[family]
        x = math.log1p(min(value(place) * units, most))
        known = found.get(name, Measure(0, 0.0, 0.0))
        found[name] = Measure(known.count + n, known.total + n * x, known.squares + n * x * x)
    return {name: Measure(one.count, round(one.total, 6), round(one.squares, 6)) for name, one in sorted(found.items())}
