"""An agent that nobody answers for."""

from __future__ import annotations

from msgspec import Struct

from ...records import Fact, Finding, Severity
from ..agents import matches
from .bucketed import Bucket, Bucketed, Words

OURS = ("tocsin-*",)  # the pipeline's own agents belong to whoever runs it


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    exempt: list[str] = []  # globs of agents that need none


class Sessions(Struct, frozen=True, array_like=True, gc=False):
    """Of this agent, without an owner."""

    count: int = 0


class OwnerMissing(Bucketed[Thresholds, Sessions]):
    """Neither a session's attribution names a team nor an owner of the policy the agent. Subject: agent."""

    name, version, state = "owner.missing", 1, Sessions
    kinds = ("owner",)
    severity: Severity = "low"
    runbook = (
        "Find out who runs the agent: its source, node and first session are in the evidence.\n"
        "Let it send `attribution.operator.team`, or add its name to an owner in the policy.\n"
        "Until then its trouble goes to the fallback owner."
    )
    limits = Thresholds
    minimum = "one session"
    false_alarms = "rule: no statistics"

    def words(self, fact: Fact) -> Words | None:
        agent = fact.subject[0]
        owned = (
            matches(agent, OURS) or matches(agent, self.given.owned) or matches(agent, self.limits_for(agent).exempt)
        )
        return None if owned else super().words(fact)

    def closed(self, state: Sessions, bucket: Bucket, words: Words) -> tuple[Sessions, tuple[Finding, ...]]:
        agent, count = words[1], bucket.sums.get("sessions", 0)
        if not count:
            return state, ()
        finding = self.found(
            {"agent": agent},
            f"{agent}: nobody owns this agent",
            at=self.when(bucket, words),
            count=state.count + count,
            observed="no team in the session's attribution, no owner in the policy",
            expected="an owner, who is told when something is wrong",
            evidence=bucket.samples,
        )
        return Sessions(min(state.count + count, 2**53)), (finding,)
