"""Sessions, bad sessions and what they ran with, per agent, release and environment, said once per closed minute."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import Exposure, Fact, Tick
from ...step import Order, Step
from ..facts import shelf_of
from ..shelf import added, hashed, holds, moment

MINUTE_S = 60
MINUTES_MAX = 4096  # open ones; those furthest ahead of the clock are summed up in the last
CONFIG_MAX = 64  # minutes in which sessions began that were not counted
CONFIG = ("prompt", "model", "tools")
MARKS_MAX = 4096  # bad once per user, failure group and day; the oldest are forgotten


class Minutes(Struct, frozen=True, array_like=True, gc=False):
    subject: tuple[str, ...]
    open: dict[float, tuple[int, int]] = {}  # minute -> sessions, bad
    closed_s: float = 0.0
    marks: bytes = b""  # hashes
    config: dict[float, dict[str, tuple[float, str]]] = {}  # minute -> part -> when, and what it was


class ExposureMinutes:
    name, version, memory = "exposure", 1, Minutes
    gathered = True
    reads: tuple[type, ...] = (Fact,)
    kinds = ("exposure", "config")
    order: Order = "bucketed"

    def __init__(self, minute_s: int = MINUTE_S) -> None:
        self.minute_s = minute_s

    def key(self, record: Any) -> str | None:
        return shelf_of((self.name, *record.subject)) if record.kind in self.kinds else None

    def step(self, memory: Minutes | None, record: Fact | Tick) -> Step[Minutes]:
        if not isinstance(record, Fact):
            return self._closed(memory, record) if memory else Step(None)
        minutes = memory or Minutes(record.subject)
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
        sessions, bad = minutes.open.get(at_s, (0, 0))
        marks = minutes.marks
        for mark in map(hashed, fact.marks):
            if not holds(marks, mark):
                marks, bad = added(marks, mark, MARKS_MAX), bad + 1
        opened = {**minutes.open, at_s: (sessions + fact.sums.get("sessions", 0), bad)}
        if len(opened) > MINUTES_MAX:
            *_, last, extra = sorted(opened)
            more = opened.pop(extra)
            opened[last] = (opened[last][0] + more[0], opened[last][1] + more[1])
        return Step(replace(minutes, open=opened, marks=marks), (), moment(min(opened) + self.minute_s))

    def _closed(self, minutes: Minutes, tick: Tick) -> Step[Minutes]:
        at_s = tick.at.timestamp()
        closing = sorted(start for start in minutes.open if start + self.minute_s <= at_s)
        said = tuple(_said(minutes, start) for start in closing)
        waiting = {start: counts for start, counts in minutes.open.items() if start not in closing}
        closed_s = max(minutes.closed_s, math.floor(at_s / self.minute_s) * self.minute_s)
        wake = moment(min(waiting) + self.minute_s) if waiting else None
        config = {start: parts for start, parts in minutes.config.items() if start >= closed_s}
        return Step(replace(minutes, open=waiting, closed_s=closed_s, config=config), said, wake)


def _said(minutes: Minutes, start: float) -> Exposure:
    agent, release, environment = minutes.subject
    config = {part: what for part, (_, what) in sorted(minutes.config.get(start, {}).items())}
    return Exposure(agent, release, environment, moment(start), *minutes.open[start], config)
