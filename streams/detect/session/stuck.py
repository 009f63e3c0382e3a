"""Work that stands still, by somebody who knows what it waits for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct

from ...records import (
    Finding,
    Heartbeat,
    LlmCalled,
    PermissionChecked,
    SessionEnded,
    SessionStarted,
    Severity,
    Tick,
    ToolCalled,
)
from ...step import Order, Step
from ..detector import SessionDetector
from .approvals import Asked, asked
from .arrival import SIGNS_OF_LIFE, minutes, seen

AGAIN = timedelta(minutes=5)
TOLD_MAX = timedelta(hours=6)  # then it is not stuck, it is gone
PAGE_TIMES = 3  # a page comes at three times what is worth a ticket
RESTS = ("approval", "idle", "paused")  # an approval is `approval.stalled`'s business
SOMETHING = "something"
REF_MAX = 64
WAITS = {"waiting": SOMETHING, "idle": "idle", "paused": "paused"}  # by the state of a heartbeat without an activity
Seconds = Annotated[float, Meta(gt=0, le=1e9)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    warn_s: Seconds = 300.0  # without a sign of life: worth a ticket
    page_s: Seconds = 900.0
    beats_missed: Annotated[int, Meta(ge=1, le=1000)] = 3  # who beats is missed after so many intervals
    silence_s_min: Seconds = 60.0  # but not before
    tool_wait_s: Seconds = 1800.0  # without progress, while it says that it waits for a tool
    model_wait_s: Seconds = 900.0
    subagent_wait_s: Seconds = 3600.0
    other_wait_s: Seconds = 3600.0  # for something else, or it does not say for what


class Beat(Struct, frozen=True, array_like=True, gc=False):
    """The newest one."""

    at: datetime
    interval_s: float
    waits: str = ""  # tool, model, subagent, approval, idle, paused, something
    ref: str = ""


class Watch(Struct, frozen=True, array_like=True, gc=False):
    moved: datetime | None = None  # the newest sign of life that is no heartbeat
    due: datetime | None = None
    root: str = ""  # the root's agent, once it said that it is there; before, nobody is missed
    beat: Beat | None = None
    asked: Asked | None = None
    ended: bool = False
    told: datetime | None = None  # since when it stood still when that was told


class Limit(NamedTuple):
    since: datetime
    warn: timedelta
    page: timedelta
    waits: str


ENDED = Watch(ended=True)


class SessionStuck(SessionDetector[Thresholds]):
    """Subject: the root session's agent, and what it waits for, if it says so. No sign of life from anybody in it.

    A root session and its subagents are one: who waits for a subagent is silent meanwhile. Only what announced itself
    by a start or a heartbeat is missed. What it waits for, it may wait for as long as the policy says, and that counts
    from its last progress. The tick comes at the limit itself, when everything that is merely late has arrived.
    """

    name, version, memory = "session.stuck", 1, Watch
    reads = SIGNS_OF_LIFE
    order: Order = "free"
    severity: Severity = "high"  # before `page_s` it is medium
    runbook = (
        "Look at the session's last events: what was it about to do?\n"
        "See whether its process still runs; if so, read its stack, if not, why it died without an end.\n"
        "End the session, and start the work again if somebody waits for it."
    )
    limits = Thresholds
    of_root = True
    minimum = "the root's start or a heartbeat of it"
    false_alarms = (
        "rule with fixed limits; simulated gaps: 54 false stalls per 1,000 sessions at 300 s without heartbeats"
    )

    def step(self, memory: Watch | None, record: Any) -> Step[Watch]:
        kind = type(record)
        if kind is Tick:
            return self._ticked(memory, record.at) if memory else Step(memory)
        if memory is None:
            memory = Watch()
        elif memory.ended:
            return Step(memory)
        if kind is ToolCalled or kind is LlmCalled:
            at, moved = seen(record), memory.moved
            if moved is not None and at <= moved:
                return Step(memory, (), memory.due)
            beat, request, due, root = memory.beat, memory.asked, memory.due, memory.root
            waits = (beat is not None and beat.waits) or (request is not None and request.open)
            if not waits and (
                due is not None or not root
            ):  # looked at again when that time comes: it is never too late
                return Step(Watch(at, due, root, beat, request), (), due)
        return self._other(memory, record)

    def _other(self, memory: Watch, record: Any) -> Step[Watch]:
        kind, ctx = type(record), record.data.ctx
        own = ctx.root_session_id is None or ctx.root_session_id == ctx.session_id
        if kind is SessionEnded and own:
            return Step(ENDED)
        at, root, beat, request = seen(record), memory.root, memory.beat, memory.asked
        moved = memory.moved
        if kind is Heartbeat:
            beat = _newest(beat, _beat(record, at))
        elif moved is None or at > moved:
            moved = at
        if own and not root and kind in (SessionStarted, Heartbeat):
            root = ctx.agent.id
        if kind is PermissionChecked:
            request = asked(request, record)
        limit, told = self._limit(Watch(moved, None, root, beat, request)), memory.told
        due = limit.since + limit.warn if limit else None
        if limit is not None and limit.since == told:
            due = memory.due
        else:
            told = None
            due = min(due, memory.due) if due is not None and memory.due is not None else due
        after = Watch(moved, due, root, beat, request, told=told)
        return Step(memory if after == memory else after, (), due)

    def _ticked(self, memory: Watch, at: datetime) -> Step[Watch]:
        if memory.due is None or at < memory.due:
            return Step(memory, (), memory.due)
        limit = self._limit(memory)
        silent = at - limit.since if limit else timedelta(0)
        said: tuple[Finding, ...] = ()
        due: datetime | None = None
        told: datetime | None = None
        if limit is not None and silent < limit.warn:
            due = limit.since + limit.warn
        elif limit is not None:
            told = limit.since
            said = (self._finding(memory, limit, at),)
            due = at + AGAIN if silent >= limit.page else min(at + AGAIN, limit.since + limit.page)
            due = due if silent < limit.page + TOLD_MAX else None
        return Step(Watch(memory.moved, due, memory.root, memory.beat, memory.asked, told=told), said, due)

    def _limit(self, watch: Watch) -> Limit | None:
        """From when on it is missed; None: nobody misses it, or it may wait for ever."""
        beat, moved = watch.beat, watch.moved
        alive = moved if beat is None or (moved is not None and moved > beat.at) else beat.at
        if not watch.root or alive is None or (watch.asked is not None and watch.asked.open):
            return None
        limits = self.limits_for(watch.root)
        waits = beat.waits if beat is not None and (moved is None or beat.at >= moved) else ""
        if waits in RESTS:
            return None
        if waits:
            # Without any progress seen, how long it waits is not known, only when it was last heard.
            allowed = _allowed(limits, waits)
            return Limit(moved or alive, allowed, allowed * PAGE_TIMES, waits)
        warn, page = timedelta(seconds=limits.warn_s), timedelta(seconds=limits.page_s)
        if beat is not None:
            missed = timedelta(seconds=max(limits.beats_missed * beat.interval_s, limits.silence_s_min))
            regular = alive - beat.at <= missed  # else it works without beating any more
            warn = missed if regular else max(missed, warn)
            page = max(missed * PAGE_TIMES, page)
        return Limit(alive, warn, max(page, warn), "")

    def _finding(self, watch: Watch, limit: Limit, at: datetime) -> Finding:
        agent, waits, silent = watch.root, limit.waits, minutes(at - limit.since)
        severity = self.chosen(agent).severity if at - limit.since >= limit.page else "medium"
        if not waits:
            return self.found(
                {"agent": agent},
                f"{agent}: a session is stuck",
                severity=severity,
                at=at,
                observed=f"no sign of life for {silent}",
                expected=f"one within {minutes(limit.warn)}",
            )
        ref = f" {watch.beat.ref}" if watch.beat and watch.beat.ref else ""
        return self.found(
            {"agent": agent, "waits_for": waits},
            f"{agent}: a session waits too long for {_called(waits)}",
            severity=severity,
            at=at,
            observed=f"waits for {_called(waits)}{ref}, no progress for {silent}",
            expected=f"progress within {minutes(limit.warn)}",
        )


def _allowed(limits: Thresholds, waits: str) -> timedelta:
    allowed = {"tool": limits.tool_wait_s, "model": limits.model_wait_s, "subagent": limits.subagent_wait_s}
    return timedelta(seconds=allowed.get(waits, limits.other_wait_s))


def _called(waits: str) -> str:
    return {"subagent": "a subagent", SOMETHING: "something it does not name"}.get(waits, f"a {waits}")


def _beat(record: Heartbeat, at: datetime) -> Beat:
    data = record.data
    activity = data.activity
    if activity is None:
        return Beat(at, data.interval_s, WAITS.get(data.state, ""))
    waits = activity.kind if activity.kind in ("tool", "model", "subagent", "approval") else SOMETHING
    return Beat(at, data.interval_s, waits, (activity.ref or "")[:REF_MAX])


def _newest(known: Beat | None, one: Beat) -> Beat:
    if known is None:
        return one
    return max(known, one, key=lambda beat: (beat.at, beat.waits, beat.interval_s))
