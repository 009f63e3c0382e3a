"""An agent that does what it was denied, or reaches beyond what the policy lets it use."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import Finding, PermissionChecked, PermissionResult, Severity, Tick, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from ..traits import EFFECT, GUARDED
from .approval_missing import HAPPENED
from .outside import Beyond, allowed, beyond
from .tables import added, earliest, key, rows, since, split
from .waiting import Held, due, held, holding, parted, releases

ROWS_MAX = 96
TARGETS_MAX = 16  # of one call
DENIED = "denied"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    approvers: tuple[str, ...] = ("human", "policy")  # kinds of those who may grant what the policy leaves out


class Decided(Struct, frozen=True, array_like=True, gc=False):
    decided: bytes = b""  # when a request, a call or an action on a thing was allowed, or with a minus denied
    granted: bytes = b""  # since when a request, a call or an action; kept only where the policy has rules
    denials: int = 0
    waiting: tuple[Held, ...] = ()


NOTHING = Decided()


class PermissionViolation(SessionDetector[Thresholds]):
    """Subject: agent and tool of what was denied; agent and the tool, effect, directory or host outside the rules.

    The last decision before the call counts. Calls with effects, or that name a permission, wait until all events of
    their time are in; other calls are compared with the denials that came before them.
    """

    name, version, memory = "permission.violation", 1, Decided
    reads: tuple[type, ...] = (ToolCalled, PermissionChecked)
    order: Order = "near"
    severity: Severity = "critical"
    runbook = (
        "Pause the agent; what it did is in the evidence.\n"
        "Undo what can be undone, and tell whoever owns what was touched.\n"
        "Find out why the denial or the limit was not enforced where the tool runs: Tocsin only sees it afterwards."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics"

    @property
    def first(self) -> int:
        """Where the policy has no rules, an ordinary call matters only once something was denied."""
        return 0 if self.given.agents else EFFECT | GUARDED

    def step(self, memory: Decided | None, record: Any) -> Step[Decided]:
        if isinstance(record, ToolCalled):
            known = memory or NOTHING
            if not known.denials and self._ordinary(record):
                return Step(memory, (), due(known.waiting)) if known.waiting else Step(memory)
            after = self._called(known, record)
        elif isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        else:
            known = memory or NOTHING
            after = self._checked(known, record)
        return Step(memory if after is known else after, (), due(after.waiting))

    def _ordinary(self, record: ToolCalled) -> bool:
        data = record.data
        plain = data.effect is None and data.permission_id is None
        return plain and not (self.given.agents and self._outside(record))

    def _checked(self, known: Decided, record: PermissionChecked) -> Decided:
        data, at_s = record.data, record.time.timestamp()
        denied = data.result is PermissionResult.denied
        if not denied and data.result is not PermissionResult.allowed:
            return known
        table = known.decided
        for one in _names(record):
            table = added(table, one, -at_s if denied else at_s, ROWS_MAX)
        granted = known.granted
        if self.given.agents and not denied and data.decided_by.kind in self.limits_for(data.ctx.agent.id).approvers:
            granted = earliest(granted, key("action", data.action), at_s, ROWS_MAX)
            for one in _names(record):
                granted = earliest(granted, one, at_s, ROWS_MAX)
        return Decided(table, granted, known.denials + denied, known.waiting)

    def _called(self, known: Decided, record: ToolCalled) -> Decided:
        if record.data.status not in HAPPENED:
            return known
        waiting, keys = known.waiting, _keys(record)
        if self._may_be_denied(known, record, keys):
            waiting = holding(waiting, _held(record, (DENIED, record.data.tool.name), keys))
        for one in self._outside(record)[:TARGETS_MAX]:
            names = key("action", record.data.tool.name) + (key("action", one.name) if one.what == "effect" else b"")
            waiting = holding(waiting, _held(record, one, keys + names))
        return known if waiting is known.waiting else Decided(known.decided, known.granted, known.denials, waiting)

    def _may_be_denied(self, known: Decided, record: ToolCalled, keys: bytes) -> bool:
        if record.data.effect is not None or record.data.permission_id is not None:
            return True
        return bool(known.denials) and _last(known.decided, keys, record.time.timestamp()) < 0

    def _outside(self, record: ToolCalled) -> tuple[Beyond, ...]:
        agent = record.data.ctx.agent.id
        rules = self.rules(agent) if self.given.agents else None
        return beyond(rules, record) if rules is not None and rules.match else ()

    def _judged(self, memory: Decided | None, at_s: float) -> Step[Decided]:
        if memory is None:
            return Step(None)
        ripe, waiting = parted(memory.waiting, at_s)
        if not ripe:
            return Step(memory, (), due(waiting))
        said = tuple(found for call in ripe if (found := self._found(memory, call)))
        left = memory.decided or waiting
        return Step(
            Decided(memory.decided, memory.granted, memory.denials, waiting) if left else None, said, due(waiting)
        )

    def _found(self, memory: Decided, call: Held) -> Finding | None:
        at_s = call.due_s
        if call.words[0] == DENIED:
            return self._disobeyed(call) if _last(memory.decided, call.keys, at_s) < 0 else None
        granted = any((from_s := since(memory.granted, one)) and from_s <= at_s for one in split(call.keys))
        return None if granted else self._reached(call, Beyond(*call.words))

    def _disobeyed(self, call: Held) -> Finding:
        tool = call.words[1]
        return self.found(
            {"agent": call.agent, "tool": tool},
            f"{call.agent}: {tool} was denied and done all the same",
            identity=(call.agent, DENIED, tool),
            at=call.evidence.at,
            observed=f"{tool} was called after the last decision about it was a denial",
            expected="nothing is done that was denied",
            evidence=(call.evidence,),
            releases=releases(call),
        )

    def _reached(self, call: Held, reach: Beyond) -> Finding:
        what, place, name = reach
        return self.found(
            {"agent": call.agent, what: place},
            f"{call.agent}: {what} {place} is outside what it may use",
            identity=(call.agent, what, place),
            at=call.evidence.at,
            observed=f"{what} {name}, without a grant",
            expected=allowed(self.rules(call.agent), what),
            evidence=(call.evidence,),
            releases=releases(call),
        )


def _held(record: ToolCalled, words: tuple[str, ...], keys: bytes) -> Held:
    data = record.data
    text = words[2] if len(words) > 2 else data.effect.kind if data.effect else None
    return held(record, tuple(words), keys, status=data.status.value, tool=data.tool.name, text=text and text[:300])


def _names(record: PermissionChecked) -> list[bytes]:
    data = record.data
    names = [key("request", data.request_id)]
    if data.call_id is not None:
        names.append(key("call", data.call_id))
    elif data.resource is not None:
        names.append(key("thing", data.action, data.resource))
    return names


def _keys(record: ToolCalled) -> bytes:
    data = record.data
    keys = [key("call", data.call_id)]
    if data.permission_id is not None:
        keys.append(key("request", data.permission_id))
    things = [one.uri for one in data.resources or ()][:TARGETS_MAX]
    actions = [data.tool.name]
    if data.effect is not None:
        actions.append(data.effect.kind)
        things += [data.effect.target] if data.effect.target else []
    keys += [key("thing", action, thing) for thing in things for action in actions]
    return b"".join(keys)


def _last(decided: bytes, keys: bytes, at_s: float) -> float:
    """When the last decision up to `at_s` was made, with a minus if it was a denial, which wins over its equals."""
    wanted = set(split(keys))
    times = [one for name, one in rows(decided) if name in wanted and abs(one) <= at_s]
    return max(times, key=lambda one: (abs(one), one < 0), default=0.0)
