"""An agent that nobody answers for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import SessionStarted, Severity, Tick
from ...step import Order, Step
from ..agents import matches
from ..detector import Nothing, SessionDetector, releases_of
from ..fold import excerpt

OURS = ("tocsin-*",)  # the pipeline's own agents belong to whoever runs it


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    exempt: list[str] = []  # globs of agents that need none


class OwnerMissing(SessionDetector[Thresholds]):
    """Neither the session's attribution names a team nor an owner of the policy the agent. Subject: agent.

    A subagent belongs to whoever owns its root session.
    """

    name, version, memory = "owner.missing", 1, Nothing
    reads: tuple[type, ...] = (SessionStarted,)
    order: Order = "free"
    severity: Severity = "low"
    runbook = (
        "Find out who runs the agent: its source, node and first session are in the evidence.\n"
        "Let it send `attribution.operator.team`, or add its name to an owner in the policy.\n"
        "Until then its trouble goes to the fallback owner."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics"

    def step(self, memory: Nothing | None, record: Any) -> Step[Nothing]:
        if isinstance(record, Tick) or not self._ownerless(record):
            return Step(memory)
        ctx = record.data.ctx
        finding = self.found(
            {"agent": ctx.agent.id},
            f"{ctx.agent.id}: nobody owns this agent",
            at=record.at,
            observed="no team in the session's attribution, no owner in the policy",
            expected="an owner, who is told when something is wrong",
            evidence=(excerpt(record, text=f"from {record.source[:200]}"),),
            releases=releases_of(ctx),
        )
        return Step(memory, (finding,))

    def _ownerless(self, record: SessionStarted) -> bool:
        data, ctx = record.data, record.data.ctx
        operator = data.attribution.operator if data.attribution else None
        if (operator and operator.team) or ctx.root != ctx.session_id or ctx.session_id.startswith("intake:"):
            return False
        agent = ctx.agent.id
        return not (
            matches(agent, OURS) or matches(agent, self.given.owned) or matches(agent, self.limits_for(agent).exempt)
        )
