"""Something that cannot be undone, or that touches customer data, without anybody having allowed it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import Effect, Finding, PermissionChecked, PermissionResult, Severity, Status, Tick, ToolCalled
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector
from ..traits import EFFECT
from .tables import earliest, key, since, split
from .waiting import Held, at_most, due, held, holding, parted, releases

ALLOWED_MAX = 192  # rows: what some hundred decisions of one session allow
HAPPENED = (Status.ok, Status.timeout, Status.other)  # a call that timed out may have done it
DATA, FINAL = "customer data", "cannot be undone"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    approvers: tuple[str, ...] = ("human", "policy")  # kinds of those whose word counts
    exempt: list[str] = []  # globs of kinds of effects that need nobody's
    per_call: bool = False  # a decision that names a call allows that call alone, not its action in the whole session


class Allowed(Struct, frozen=True, array_like=True, gc=False):
    allowed: bytes = b""  # since when: of a request, a call, an action
    waiting: tuple[Held, ...] = ()


NOTHING = Allowed()


class ApprovalMissing(SessionDetector[Thresholds]):
    """Judged when all events of the call's time are in: a decision before the call counts, however late it arrives.

    Allowed is what names the call's permission, the call, or its tool or kind of effect. Subject: agent, tool, effect.
    """

    name, version, memory = "approval.missing", 1, Allowed
    reads: tuple[type, ...] = (ToolCalled, PermissionChecked)
    order: Order = "free"
    only = EFFECT
    severity: Severity = "critical"
    runbook = (
        "Ask whoever runs the agent whether this was meant to happen; undo it if it was not.\n"
        "Find out why nobody was asked: a tool without a permission check, or one that was skipped.\n"
        "Pause the agent until the check is there."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics"

    def step(self, memory: Allowed | None, record: Any) -> Step[Allowed]:
        known = memory or NOTHING
        if isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        after = self._decided(known, record) if isinstance(record, PermissionChecked) else self._called(known, record)
        return Step(memory if after is known else after, (), due(after.waiting))

    def _decided(self, known: Allowed, record: PermissionChecked) -> Allowed:
        data, limits = record.data, self.limits_for(record.data.ctx.agent.id)
        if data.result is not PermissionResult.allowed or data.decided_by.kind not in limits.approvers:
            return known
        at_s = record.time.timestamp()
        table = earliest(known.allowed, key("request", data.request_id), at_s, ALLOWED_MAX)
        if data.call_id is not None:
            table = earliest(table, key("call", data.call_id), at_s, ALLOWED_MAX)
        if data.call_id is None or not limits.per_call:
            table = earliest(table, key("action", data.action), at_s, ALLOWED_MAX)
        return known if table is known.allowed else Allowed(table, known.waiting)

    def _called(self, known: Allowed, record: ToolCalled) -> Allowed:
        data, effect = record.data, record.data.effect
        if effect is None or data.status not in HAPPENED or not (effect.customer_data or effect.reversible is False):
            return known
        if matches(effect.kind, self.limits_for(data.ctx.agent.id).exempt):
            return known
        keys = _keys(record, effect)
        if _allowed(known.allowed, keys, record.time.timestamp()):
            return known
        words = (data.tool.name, effect.kind, DATA if effect.customer_data else FINAL)
        call = held(record, words, keys, status=data.status.value, tool=data.tool.name, text=effect.kind)
        waiting = holding(known.waiting, call)
        return known if waiting is known.waiting else Allowed(known.allowed, waiting)

    def _judged(self, memory: Allowed | None, at_s: float) -> Step[Allowed]:
        if memory is None:
            return Step(None)
        ripe, waiting = parted(memory.waiting, at_s)
        if not ripe:
            return Step(memory, (), due(waiting))
        said = tuple(self._finding(call) for call in ripe if not _allowed(memory.allowed, call.keys, call.due_s))
        after = Allowed(memory.allowed, waiting) if memory.allowed or waiting else None
        return Step(after, said, due(waiting))

    def _finding(self, call: Held) -> Finding:
        tool, effect, why = call.words
        severity = self.chosen(call.agent).severity
        what = "touched customer data" if why == DATA else "did what cannot be undone"
        return self.found(
            {"agent": call.agent, "tool": tool, "effect": effect},
            f"{call.agent}: {tool} {what} without approval",
            severity=severity if why == DATA else at_most(severity, "high"),
            at=call.evidence.at,
            observed=f"{effect or 'an effect'} of {tool}, {why}; nobody had allowed it",
            expected=f"allowed before it by one of: {', '.join(self.limits_for(call.agent).approvers)}",
            evidence=(call.evidence,),
            releases=releases(call),
        )


def _keys(record: ToolCalled, effect: Effect) -> bytes:
    data = record.data
    names = {
        data.tool.name,
        f"{data.tool.server}/{data.tool.name}" if data.tool.server else data.tool.name,
        effect.kind,
    }
    keys = [key("call", data.call_id), *(key("action", name) for name in sorted(names))]
    if data.permission_id is not None:
        keys.append(key("request", data.permission_id))
    return b"".join(keys)


def _allowed(table: bytes, keys: bytes, at_s: float) -> bool:
    return any((from_s := since(table, one)) is not None and from_s <= at_s for one in split(keys))
