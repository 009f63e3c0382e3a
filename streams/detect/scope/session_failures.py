"""Sessions of an agent that fail or run out of time more often than they did, release by release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..methods.cusum import Bank
from . import banks
from .bucketed import Bucket, Bucketed, Words

COLD = Bank()
Height = Annotated[float, Meta(gt=0, le=1e3)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    page: Height = 9.0
    warn: Height = 7.0
    sessions_min: Annotated[int, Meta(ge=1, le=10**6)] = 30


class Ended(Struct, frozen=True, array_like=True, gc=False):
    arms: banks.Arms = ()


class SessionFailures(Bucketed[Thresholds, Ended]):
    """An agent's sessions fail or time out more often than they did: bank of three CUSUMs over a learned baseline.

    Subject: agent.
    """

    name = "session.failure_rate"
    state = Ended
    kinds = ("session",)
    by_sums = ("ended",)
    severity: Severity = "high"
    runbook = (
        "Compare the failing sessions with the release before.\n"
        "Look for an incident of a tool, a provider or a budget at the same time: that is the cause.\n"
        "Hold the release, or repair what the agent depends on."
    )
    limits = Thresholds
    minimum = (
        "30 ended sessions, or 5 of a release whose predecessor is known; before that 6 failures in a row. "
        "A baseline is learned in batches of 64 and begins at 5 %."
    )
    false_alarms = (
        "pages per agent and 43,200 sessions at 5 %: 0.4 one by one, 0.05 in buckets of ten "
        "(python -m benchmarks.detection --only evaluator,scopes)"
    )

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "ended" in fact.sums else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        failed = bad_of(fact)
        return banks.named(fact.subject[1], fact.sums.get("ended", 0) - failed, failed)

    def closed(self, state: Ended, bucket: Bucket, words: Words) -> tuple[Ended, tuple[Finding, ...]]:
        _, agent, environment = words
        thresholds = self.limits_for(agent)
        limits = banks.Limits(thresholds.page, thresholds.warn, thresholds.sessions_min)
        arms, touched = banks.stepped(state.arms, bucket, limits, COLD)
        more = banks.told(touched, limits, self.chosen(agent).severity)
        if not more:
            return Ended(arms), ()
        finding = self.found(
            {"agent": agent},
            f"{agent}: sessions fail too often",
            identity=(agent, environment),
            at=self.when(bucket, words),
            **more,
        )
        return Ended(arms), (finding,)


def bad_of(fact: Fact) -> int:
    """Of a fact about sessions: how many failed or ran out of time."""
    return fact.sums.get("failed", 0) + fact.sums.get("timed_out", 0)
