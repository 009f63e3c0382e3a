"""What one session costs, against limits that need no history."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Excerpt, Finding, LlmCalled, SessionStarted, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from ..fingerprint import fingerprint
from ..fold import excerpt
from ..traits import PRICED

NANO = 10**9
Amount = Annotated[float, Meta(ge=0, le=1e9)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    floor: Amount = 5.0  # currency units: worth a ticket
    budget: Amount = 10.0  # hard: worth a page; a session's own declared budget takes its place


class Spent(Struct, frozen=True, array_like=True):
    nano: int = 0
    calls: int = 0
    unpriced: int = 0
    budget_nano: int = 0  # declared by the session; 0: none
    told: int = 0  # 0 nothing, 1 floor, 2 budget
    dearest: tuple[tuple[int, Excerpt], ...] = ()


class SessionCost(SessionDetector[Thresholds]):
    """A session's cost only grows, so it is told on the call that crosses a limit: no window, never taken back.

    Subject: the agent. A call without a price counts as unpriced, never as free.
    """

    name, version, memory = "cost.session", 1, Spent
    reads: tuple[type, ...] = (LlmCalled, ToolCalled, SessionStarted)
    order: Order = "free"
    severity: Severity = "high"
    runbook = (
        "Stop the session if it is still running.\n"
        "Look for a loop: the same tool and arguments, or growing input tokens.\n"
        "Set a budget on the session, or lower the agent's."
    )
    limits = Thresholds
    only = PRICED

    def step(self, memory: Spent | None, record: Any) -> Step[Spent]:
        spent = memory or Spent()
        if isinstance(record, SessionStarted):
            budget = record.data.budget.cost if record.data.budget else None
            if budget is None:
                return Step(memory)
            return self._told(replace(spent, budget_nano=budget.nano), record)
        cost = record.data.cost
        if cost is None:
            priced = isinstance(record, LlmCalled) and record.data.tokens is not None
            return Step(replace(spent, unpriced=spent.unpriced + 1) if priced else memory)
        return self._told(_added(spent, cost.nano, record), record)

    def _told(self, spent: Spent, record: Any) -> Step[Spent]:
        budget = spent.budget_nano or int(self.thresholds.budget * NANO)
        floor = int(self.thresholds.floor * NANO)
        level = 2 if spent.nano > budget else 1 if spent.nano > floor else 0
        if level <= spent.told:
            return Step(spent)
        limit, what = (budget, "its budget") if level == 2 else (floor, "the floor")
        return Step(replace(spent, told=level), (self._finding(spent, record, limit, what),))

    def _finding(self, spent: Spent, record: Any, limit: int, what: str) -> Finding:
        ctx = record.data.ctx
        urgent = what == "its budget"
        return Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, ctx.agent.id),
            subject={"agent": ctx.agent.id},
            title=f"{ctx.agent.id}: a session costs too much",
            severity=self.severity if urgent else "medium",
            at=record.at,
            observed=f"{money(spent.nano)} in {spent.calls} priced calls",
            expected=f"at most {money(limit)}, {what}",
            evidence=tuple(evidence for _, evidence in spent.dearest),
            releases=(ctx.agent.version,) if ctx.agent.version else (),
        )


def money(nano: int) -> str:
    return f"{Decimal(nano) / NANO:.2f}"


def _added(spent: Spent, nano: int, record: Any) -> Spent:
    evidence = excerpt(record, status=record.data.status.value, value=nano / NANO)
    dearest = sorted((*spent.dearest, (nano, evidence)), key=lambda item: (-item[0], item[1].position))[:3]
    return replace(spent, nano=spent.nano + nano, calls=spent.calls + 1, dearest=tuple(dearest))
