"""Work that says it is alive and does nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import (
    Finding,
    Heartbeat,
    SessionEnded,
    Severity,
    Tick,
)
from ...step import Order, Step
from ..detector import SessionDetector
from .arrival import SIGNS_OF_LIFE, minutes, seen

AGAIN = timedelta(minutes=5)
STEP = timedelta(minutes=1)  # progress is remembered to the minute: most calls change nothing
BEATS = 3  # intervals without a heartbeat, and it is not alive but `session.stuck`
FRESH = timedelta(seconds=60)
RUNNING = "running"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    progress_s: Annotated[float, Meta(gt=0, le=1e9)] = 900.0  # without an event that is no heartbeat


class Pulse(Struct, frozen=True, array_like=True, gc=False):
    moved: datetime | None = None  # the end of the minute of the newest progress
    beat: datetime | None = None
    interval_s: float = 0.0
    agent: str = ""  # whose heartbeat it was
    due: datetime | None = None
    ended: bool = False


ENDED = Pulse(ended=True)


class LivenessOnly(SessionDetector[Thresholds]):
    """Subject: the agent that beats. To say that it waits counts as progress: waits have limits of their own.

    A root session and its subagents are one, as for `session.stuck`.
    """

    name, version, memory = "session.liveness_only", 1, Pulse
    reads = SIGNS_OF_LIFE
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Read the stack of the process: its heartbeat runs beside the work, the work hangs.\n"
        "If it waits for something, let its heartbeat say for what, or that it is idle.\n"
        "End the session, and start the work again if somebody waits for it."
    )
    limits = Thresholds
    of_root = True
    minimum = "a heartbeat that says `running`"
    false_alarms = "rule: no statistics"

    def step(self, memory: Pulse | None, record: Any) -> Step[Pulse]:
        kind = type(record)
        if kind is Tick:
            return self._ticked(memory, record.at) if memory else Step(memory)
        if memory is None:
            memory = Pulse()
        elif memory.ended:
            return Step(memory)
        if kind is Heartbeat:
            return self._beat(memory, record)
        if kind is SessionEnded and record.data.ctx.root == record.data.ctx.session_id:
            return Step(ENDED)
        moved, due, at = memory.moved, memory.due, record.recordedtime
        if moved is not None and record.time <= moved and (at is None or at <= moved):  # whenever it counts as seen
            return Step(memory, (), due)
        at = seen(record)
        if moved is not None and at <= moved:
            return Step(memory, (), due)
        return Step(Pulse(_up(at), memory.beat, memory.interval_s, memory.agent, due), (), due)

    def _beat(self, before: Pulse, record: Heartbeat) -> Step[Pulse]:
        data, at = record.data, seen(record)
        moved, beat, interval_s, agent, due = before.moved, before.beat, before.interval_s, before.agent, before.due
        waits = data.state != RUNNING or data.activity is not None
        if moved is None or (waits and at > moved):  # who was never seen to do anything has begun
            moved = _up(at)
        if not waits and (beat is None or (at, data.interval_s) > (beat, interval_s)):
            beat, interval_s, agent = at, data.interval_s, agent or data.ctx.agent.id
            if due is None:
                due = max(moved + self._limit(agent), at)
        after = Pulse(moved, beat, interval_s, agent, due)
        return Step(before if after == before else after, (), due)

    def _ticked(self, memory: Pulse, at: datetime) -> Step[Pulse]:
        if memory.due is None or memory.moved is None or memory.beat is None or at < memory.due:
            return Step(memory, (), memory.due)
        until = memory.moved + self._limit(memory.agent)
        said: tuple[Finding, ...] = ()
        due: datetime | None = until
        if until <= at:
            fresh = at - memory.beat <= max(timedelta(seconds=BEATS * memory.interval_s), FRESH)
            said = (self._finding(memory, at),) if fresh else ()
            due = at + AGAIN if fresh else None  # the next heartbeat asks again
        return Step(Pulse(memory.moved, memory.beat, memory.interval_s, memory.agent, due), said, due)

    def _limit(self, agent: str) -> timedelta:
        return timedelta(seconds=self.limits_for(agent).progress_s)

    def _finding(self, memory: Pulse, at: datetime) -> Finding:
        idle = at - (memory.moved or at)
        return self.found(
            {"agent": memory.agent},
            f"{memory.agent}: a session beats but does nothing",
            at=at,
            observed=f"heartbeats, but nothing else for {minutes(idle)}",
            expected=f"progress within {minutes(self._limit(memory.agent))}, or a heartbeat that says what it waits for",
        )


def _up(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + STEP
