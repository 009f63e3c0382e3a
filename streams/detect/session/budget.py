"""A budget that somebody set for a piece of work, against what its root session and all its subagents spend."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Ctx, Finding, LlmCalled, SessionStarted, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from ..traits import PRICED
from .amounts import CALL_NANO_MAX, NANO, money, tokens_of
from .arrival import minutes, seen

AGAIN = timedelta(minutes=5)
RATE_FROM = timedelta(minutes=1)  # a rate over less says nothing
FAR = timedelta(days=2)


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    warn_share: Annotated[float, Meta(gt=0, le=1)] = 0.8  # of the budget: worth a ticket; beyond all of it, a page


class Purse(Struct, frozen=True, array_like=True, gc=False):
    nano: int = 0
    tokens: int = 0
    root: str = ""  # its agent, once it was heard
    first: datetime | None = None
    budget_nano: int = 0  # declared by the root; 0: none
    budget_tokens: int = 0
    told: tuple[int, int] = (0, 0)  # of money, of tokens: 0 nothing, 1 warned, 2 beyond
    told_at: datetime | None = None


class Reached(NamedTuple):
    what: str  # cost, tokens
    level: int
    spent: int
    budget: int


class RootBudget(SessionDetector[Thresholds]):
    """Subject: the root session's agent, and whether it is money or tokens.

    The budget is what the root declared or what the policy's `[[agents]]` rule says of its agent, the smaller one. Only
    sums are compared, so nothing is taken back and order does not matter.
    """

    name, version, memory = "cost.budget", 1, Purse
    reads: tuple[type, ...] = (LlmCalled, ToolCalled, SessionStarted)
    order: Order = "free"
    severity: Severity = "high"
    runbook = (
        "Look at what is left and at the rate: stop the session, or raise its budget on purpose.\n"
        "See which subagent spends: the calls in the evidence name their session.\n"
        "If budgets of this agent are always too small, correct them where they are set."
    )
    limits = Thresholds
    only = PRICED
    of_root = True
    minimum = "a budget that was declared, or `budget_session` of the agent's rule"
    false_alarms = "rule: no statistics"

    def step(self, memory: Purse | None, record: Any) -> Step[Purse]:
        purse = memory or Purse()
        if type(record) is SessionStarted:
            after = _declared(purse, record)
        else:
            nano = record.data.cost.nano if record.data.cost is not None else 0
            tokens = tokens_of(record) if type(record) is LlmCalled else 0
            after = _spent(purse, record, nano if nano <= CALL_NANO_MAX else 0, tokens)
        if after is purse:
            return Step(memory)
        if not after.budget_nano and not after.budget_tokens and not self.given.agents:
            return Step(after)
        return self._judged(after, record)

    def _judged(self, purse: Purse, record: Any) -> Step[Purse]:
        reached = [one for one in self._reached(purse) if one.level]
        again = purse.told_at is None or record.at - purse.told_at >= AGAIN
        known = dict(zip(("cost", "tokens"), purse.told, strict=True))
        said = [one for one in reached if one.level > known[one.what] or (one.level == known[one.what] and again)]
        if not said:
            return Step(purse)
        known.update({one.what: one.level for one in said})
        after = replace(purse, told=(known["cost"], known["tokens"]), told_at=record.at)
        return Step(after, tuple(self._finding(purse, record, one) for one in said))

    def _reached(self, purse: Purse) -> tuple[Reached, ...]:
        rule = self.rules(purse.root).budget_session if purse.root else None
        given = [nano for nano in (purse.budget_nano, round((rule or 0) * NANO)) if nano]
        share = self.limits_for(purse.root).warn_share
        pairs = (("cost", purse.nano, min(given, default=0)), ("tokens", purse.tokens, purse.budget_tokens))
        return tuple(
            Reached(what, 2 if spent > budget else 1 if spent >= share * budget else 0, spent, budget)
            for what, spent, budget in pairs
            if budget
        )

    def _finding(self, purse: Purse, record: Any, reached: Reached) -> Finding:
        ctx: Ctx = record.data.ctx
        agent = purse.root or ctx.agent.id
        written = money if reached.what == "cost" else str
        beyond = reached.level == 2
        of = "a session's budget" if reached.what == "cost" else "a session's budget of tokens"
        share = round(100 * reached.spent / reached.budget)
        return self.found(
            {"agent": agent, "budget": reached.what},
            f"{agent}: {of} is exceeded" if beyond else f"{agent}: {of} is nearly spent",
            severity=self.chosen(agent).severity if beyond else "medium",
            at=record.at,
            observed=f"{written(reached.spent)} of {written(reached.budget)}, {share} %{_projected(purse, record, reached)}",
            expected=f"at most {written(reached.budget)} for the root session and its subagents together",
            evidence=(excerpt(record),),
            releases=releases_of(ctx) if agent == ctx.agent.id else (),
        )


def _declared(purse: Purse, record: SessionStarted) -> Purse:
    ctx, budget = record.data.ctx, record.data.budget
    if ctx.session_id != ctx.root:
        return purse
    nano = max(purse.budget_nano, budget.cost.nano if budget and budget.cost else 0)
    tokens = max(purse.budget_tokens, (budget.tokens or 0) if budget else 0)
    first = seen(record)
    if purse.first is not None and purse.first <= first:
        first = purse.first
    after = replace(purse, root=ctx.agent.id, first=first, budget_nano=nano, budget_tokens=tokens)
    return purse if after == purse else after


def _spent(purse: Purse, record: Any, nano: int, tokens: int) -> Purse:
    ctx, root, first = record.data.ctx, purse.root, purse.first
    if not nano and not tokens:
        return purse
    if not root and ctx.session_id == ctx.root:
        root = ctx.agent.id
    at = seen(record)
    return Purse(
        purse.nano + nano,
        purse.tokens + tokens,
        root,
        at if first is None or at < first else first,
        purse.budget_nano,
        purse.budget_tokens,
        purse.told,
        purse.told_at,
    )


def _projected(purse: Purse, record: Any, reached: Reached) -> str:
    """When all of it will be spent at the rate so far."""
    if reached.level == 2 or purse.first is None:
        return ""
    passed = seen(record) - purse.first
    if passed < RATE_FROM:
        return ""
    left = passed * ((reached.budget - reached.spent) / reached.spent)
    return f" after {minutes(passed)}; at this rate all of it in {minutes(left)}" if left < FAR else ""
