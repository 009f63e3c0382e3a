"""Sessions and bad sessions per agent, release and environment, said once per closed minute."""

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
MARKS_MAX = 4096  # bad once per user, failure group and day; the oldest are forgotten


class Minutes(Struct, frozen=True, array_like=True, gc=False):
    subject: tuple[str, ...]
    open: dict[float, tuple[int, int]] = {}  # minute -> sessions, bad
    closed_s: float = 0.0
    marks: bytes = b""  # hashes


class ExposureMinutes:
    name, version, memory = "exposure", 1, Minutes
    gathered = True
    reads: tuple[type, ...] = (Fact,)
    order: Order = "bucketed"

    def __init__(self, minute_s: int = MINUTE_S) -> None:
        self.minute_s = minute_s

    def key(self, record: Any) -> str | None:
        return shelf_of((self.name, *record.subject)) if record.kind == "exposure" else None

    def step(self, memory: Minutes | None, record: Fact | Tick) -> Step[Minutes]:
        if isinstance(record, Fact):
            return self._added(memory or Minutes(record.subject), record)
        return self._closed(memory, record) if memory else Step(None)

    def _added(self, minutes: Minutes, fact: Fact) -> Step[Minutes]:
        at_s = max(math.floor(fact.bucket.timestamp() / self.minute_s) * self.minute_s, minutes.closed_s)
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
        agent, release, environment = minutes.subject
        said = tuple(Exposure(agent, release, environment, moment(start), *minutes.open[start]) for start in closing)
        waiting = {start: counts for start, counts in minutes.open.items() if start not in closing}
        closed_s = max(minutes.closed_s, math.floor(at_s / self.minute_s) * self.minute_s)
        wake = moment(min(waiting) + self.minute_s) if waiting else None
        return Step(replace(minutes, open=waiting, closed_s=closed_s), said, wake)
