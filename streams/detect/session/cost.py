"""What one session costs, against limits that need no history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Ctx, Excerpt, Finding, LlmCalled, SessionStarted, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from ..traits import PRICED
from .amounts import CALL_NANO_MAX, NANO, money

Amount = Annotated[float, Meta(ge=0, le=1e9)]
AGAIN = timedelta(minutes=5)
DEAREST_MAX = 3
DEAR = 50  # a call is kept as evidence from that part of the floor on: ordinary sessions keep none


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    floor: Amount = 5.0  # currency units: worth a ticket
    budget: Amount = 10.0  # hard: worth a page; a budget that somebody set takes the place of both


class Spent(Struct, frozen=True, array_like=True, gc=False):
    nano: int = 0
    calls: int = 0
    unpriced: int = 0
    budget_nano: int = 0  # declared by the session; 0: none
    told: int = 0  # 0 nothing, 1 floor, 2 budget
    told_at: datetime | None = None
    dearest: tuple[tuple[int, Excerpt], ...] = ()


class SessionCost(SessionDetector[Thresholds]):
    """A session's cost only grows, so it is told on the call that crosses a limit: no window, never taken back.

    Subject: the agent. A call without a price counts as unpriced, never as free; one whose price cannot be right is not
    added up and told as such. A root session for which somebody set a budget is `cost.budget`'s business: whoever set
    it has said what is too much.
    """

    name, version, memory = "cost.session", 2, Spent
    reads: tuple[type, ...] = (LlmCalled, ToolCalled, SessionStarted)
    order: Order = "near"  # whether its start, which may give it a budget of its own, comes before the floor is reached
    severity: Severity = "high"
    runbook = (
        "Stop the session if it is still running.\n"
        "Look for a loop: the same tool and arguments, or growing input tokens.\n"
        "Set a budget on the session, or lower the agent's."
    )
    limits = Thresholds
    only = PRICED
    false_alarms = "rule: no statistics; none in the 140 priced sessions of the given tau2 files"

    def step(self, memory: Spent | None, record: Any) -> Step[Spent]:
        if type(record) is SessionStarted:
            return self._started(memory, record)
        spent = memory or Spent()
        cost = record.data.cost
        if cost is None:
            if type(record) is not LlmCalled or record.data.tokens is None:
                return Step(memory)
            return Step(_with(spent, spent.nano, spent.calls, spent.unpriced + 1))
        nano = cost.nano
        if nano > CALL_NANO_MAX:
            return self._absurd(_with(spent, spent.nano, spent.calls, spent.unpriced + 1), record, nano)
        total = spent.nano + nano
        limits = self.limits_for(record.data.ctx.agent.id)
        after = _with(spent, total, spent.calls + 1, spent.unpriced)
        if nano * DEAR >= limits.floor * NANO:
            after = replace(after, dearest=_dearest(spent.dearest, nano, record))
        if (
            total <= min(limits.floor, limits.budget) * NANO
            and not after.budget_nano
            and self._rule(record.data.ctx) is None
        ):
            return Step(after)
        return self._told(after, record)

    def _rule(self, ctx: Ctx) -> float | None:
        return self.given.rules(ctx.agent.id).budget_session if self.given.agents else None

    def _started(self, memory: Spent | None, record: SessionStarted) -> Step[Spent]:
        budget = record.data.budget.cost if record.data.budget else None
        if budget is None or budget.nano == 0:
            return Step(memory)
        before = memory or Spent()
        if before.budget_nano == budget.nano:
            return Step(memory)
        return self._told(replace(before, budget_nano=budget.nano), record)

    def _told(self, spent: Spent, record: Any) -> Step[Spent]:
        limits = self._limits(spent, record.data.ctx)
        if limits is None:
            return Step(spent)
        floor, budget = limits
        level = 2 if spent.nano > budget else 1 if spent.nano > floor else 0
        again = spent.told_at is None or record.at - spent.told_at >= AGAIN
        if level < spent.told or level == 0 or (level == spent.told and not again):
            return Step(spent)
        limit, what = (budget, "its budget") if level == 2 else (floor, "the floor")
        return Step(replace(spent, told=level, told_at=record.at), (self._finding(spent, record, limit, what),))

    def _limits(self, spent: Spent, ctx: Ctx) -> tuple[int, int] | None:
        """Floor and budget; None: `cost.budget` judges this session."""
        rule = self._rule(ctx)
        given = [nano for nano in (spent.budget_nano, round((rule or 0) * NANO)) if nano]
        if given:
            return None if ctx.root == ctx.session_id else (min(given), min(given))
        limits = self.limits_for(ctx.agent.id)
        return round(limits.floor * NANO), round(limits.budget * NANO)

    def _finding(self, spent: Spent, record: Any, limit: int, what: str) -> Finding:
        agent = record.data.ctx.agent.id
        return self.found(
            {"agent": agent},
            f"{agent}: a session costs too much",
            severity=self.chosen(agent).severity if what == "its budget" else "medium",
            at=record.at,
            observed=f"{money(spent.nano)} in {spent.calls} priced calls",
            expected=f"at most {money(limit)}, {what}",
            evidence=tuple(evidence for _, evidence in spent.dearest) or (excerpt(record),),
            releases=releases_of(record.data.ctx),
        )

    def _absurd(self, spent: Spent, record: Any, nano: int) -> Step[Spent]:
        agent = record.data.ctx.agent.id
        finding = self.found(
            {"agent": agent, "price": "absurd"},
            f"{agent}: a call's price cannot be right",
            severity="medium",
            at=record.at,
            observed=f"one call for {money(nano)}; it was not added up",
            expected=f"at most {money(CALL_NANO_MAX)} a call: an amount in currency units",
            evidence=(excerpt(record, status=record.data.status.value, value=nano / NANO),),
            releases=releases_of(record.data.ctx),
        )
        return Step(spent, (finding,))


def _with(spent: Spent, nano: int, calls: int, unpriced: int) -> Spent:
    return Spent(nano, calls, unpriced, spent.budget_nano, spent.told, spent.told_at, spent.dearest)


def _dearest(known: tuple[tuple[int, Excerpt], ...], nano: int, record: Any) -> tuple[tuple[int, Excerpt], ...]:
    evidence = excerpt(record, status=record.data.status.value, value=nano / NANO)
    return tuple(sorted((*known, (nano, evidence)), key=lambda item: (-item[0], item[1].position))[:DEAREST_MAX])
