"""Requests for permission that nobody answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, PermissionChecked, PermissionResult, SessionEnded, Severity, Tick
from ...step import Order, Step
from ..detector import SessionDetector
from ..evidence import excerpt
from ..shelf import added, hashed, holds
from .arrival import minutes, seen

AGAIN = timedelta(minutes=5)
TOLD_MAX = timedelta(hours=24)  # then nobody will answer any more
OPEN_MAX = 16
ANSWERED_MAX = 8  # answers remembered in case their request comes after them
PENDING = PermissionResult.pending
TEXT_MAX = 200


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pending_s: Annotated[float, Meta(gt=0, le=1e9)] = 1800.0


class Asked(Struct, frozen=True, array_like=True, gc=False):
    """Ids of requests, eight bytes each. One that was answered stays so, in whatever order the two arrive."""

    open: bytes = b""
    answered: bytes = b""


def asked(known: Asked | None, record: PermissionChecked) -> Asked | None:
    """What is open after `record`; the very object that came in where that changes nothing."""
    before, one = known or Asked(), hashed(record.data.request_id)
    if record.data.result is PENDING:
        if holds(before.open, one) or holds(before.answered, one):
            return known
        return Asked(added(before.open, one, OPEN_MAX), before.answered)
    if holds(before.answered, one):
        return known
    return Asked(without(before.open, one), added(before.answered, one, ANSWERED_MAX))


def without(hashes: bytes, one: bytes) -> bytes:
    size = len(one)
    parts = (hashes[at : at + size] for at in range(0, len(hashes), size))
    return b"".join(part for part in parts if part != one)


class Request(Struct, frozen=True, array_like=True, gc=False):
    id: bytes
    since: datetime
    action: str
    evidence: Excerpt


class Requests(Struct, frozen=True, array_like=True, gc=False):
    agent: str
    open: tuple[Request, ...] = ()
    answered: bytes = b""
    due: datetime | None = None
    ended: bool = False


class ApprovalStalled(SessionDetector[Thresholds]):
    """Subject: agent and action. Answered is a request by any later result, also by one that overtook it."""

    name, version, memory = "approval.stalled", 1, Requests
    reads: tuple[type, ...] = (PermissionChecked, SessionEnded)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Answer the request, or deny it: the session waits for nothing else.\n"
        "Find out why it reached nobody: the channel, the rota, the holiday.\n"
        "Give requests of this kind a deadline and a default answer."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics"

    def step(self, memory: Requests | None, record: Any) -> Step[Requests]:
        if type(record) is Tick:
            return self._ticked(memory, record.at) if memory else Step(memory)
        ctx = record.data.ctx
        if memory is not None and memory.ended:
            return Step(memory)
        before = memory or Requests(ctx.agent.id)
        if type(record) is SessionEnded:
            return Step(Requests(before.agent, ended=True))
        one = hashed(record.data.request_id)
        if record.data.result is PENDING:
            return self._requested(before, record, one)
        if holds(before.answered, one):
            return Step(before, (), before.due)
        still = tuple(each for each in before.open if each.id != one)
        due = before.due if still else None
        return Step(Requests(before.agent, still, added(before.answered, one, ANSWERED_MAX), due), (), due)

    def _requested(self, before: Requests, record: PermissionChecked, one: bytes) -> Step[Requests]:
        known = next((each for each in before.open if each.id == one), None)
        since = seen(record)
        if holds(before.answered, one) or (known is not None and known.since <= since):
            return Step(before, (), before.due)
        action = record.data.action
        fresh = Request(one, since, action, excerpt(record, status="pending", text=action[:TEXT_MAX]))
        others = tuple(each for each in before.open if each.id != one)
        still = tuple(sorted((*others, fresh), key=lambda each: (each.since, each.id))[:OPEN_MAX])
        if still == before.open:  # there are too many open already
            return Step(before, (), before.due)
        due = since + timedelta(seconds=self.limits_for(before.agent).pending_s)
        due = due if before.due is None else min(before.due, due)
        return Step(Requests(before.agent, still, before.answered, due), (), due)

    def _ticked(self, memory: Requests, at: datetime) -> Step[Requests]:
        if memory.due is None or at < memory.due:
            return Step(memory, (), memory.due)
        limit = timedelta(seconds=self.limits_for(memory.agent).pending_s)
        still = tuple(each for each in memory.open if at - each.since < limit + TOLD_MAX)
        late = [each for each in still if at - each.since >= limit]
        dues = [each.since + limit for each in still if at - each.since < limit]
        due = min([*dues, at + AGAIN] if late else dues, default=None)
        said = tuple(
            self._finding(memory.agent, [each for each in late if each.action == action], at, limit)
            for action in sorted({each.action for each in late})
        )
        return Step(Requests(memory.agent, still, memory.answered, due), said, due)

    def _finding(self, agent: str, late: list[Request], at: datetime, limit: timedelta) -> Finding:
        action = late[0].action
        return self.found(
            {"agent": agent, "action": action},
            f"{agent}: nobody answers the request to {action}",
            at=at,
            count=len(late),
            observed=f"pending for {minutes(at - late[0].since)}",
            expected=f"an answer within {minutes(limit)}",
            evidence=tuple(each.evidence for each in late),
        )
