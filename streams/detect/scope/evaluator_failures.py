"""An evaluator that fails more often than it should, per agent, evaluator and environment, release by release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..evidence import judges_of
from ..methods.cusum import Bank
from . import banks
from .bucketed import Bucket, Bucketed, Words

COLD = Bank()
Rate = Annotated[float, Meta(gt=0, lt=1)]
Height = Annotated[float, Meta(gt=0, le=1e3)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    page: Height = 9.0
    warn: Height = 7.0
    evaluations_min: Annotated[int, Meta(ge=1, le=10**6)] = 30
    baselines: dict[str, Rate] = {}  # by evaluator name: failure rates that are known, to begin with


class Evaluated(Struct, frozen=True, array_like=True, gc=False):
    arms: banks.Arms = ()


class EvaluatorFailures(Bucketed[Thresholds, Evaluated]):
    """An evaluator fails more often than it did: bank of three CUSUMs (odds 2, 4, 12) over a learned baseline.

    Subject: agent and evaluator. Releases share a memory, so that a new one begins with what the one before was like.
    """

    name, version = "eval.failure_rate", 2
    state = Evaluated
    kinds = ("evaluation",)
    by_sums = ("passed", "failed", "human")
    severity: Severity = "high"
    runbook = (
        "Compare the failing sessions with the release before.\n"
        "Check whether prompt, model or tools changed with this release.\n"
        "Hold the release; resolve the ticket with the outcome that fits."
    )
    limits = Thresholds
    minimum = (
        "30 evaluations, or 5 of a release whose predecessor is known; before that 6 failures in a row. "
        "A baseline is learned in batches of 64 and begins at 5 %."
    )
    false_alarms = (
        "pages per evaluator and 43,200 evaluations at 5 %: 0.4 one by one, 0.05 in buckets of ten "
        "(python -m benchmarks.detection --only evaluator,scopes)"
    )

    def words(self, fact: Fact) -> Words | None:
        agent, evaluator, _, environment = fact.subject
        counted = ("passed" in fact.sums or "failed" in fact.sums) and "human" not in fact.sums  # feedback.negative's
        return ("evaluation", agent, evaluator, environment) if counted else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        return banks.named(fact.subject[2], fact.sums.get("passed", 0), fact.sums.get("failed", 0))

    def closed(self, state: Evaluated, bucket: Bucket, words: Words) -> tuple[Evaluated, tuple[Finding, ...]]:
        _, agent, evaluator, environment = words
        thresholds = self.limits_for(agent)
        limits = banks.Limits(thresholds.page, thresholds.warn, thresholds.evaluations_min)
        known = thresholds.baselines.get(evaluator)
        arms, touched = banks.stepped(state.arms, bucket, limits, banks.of_rate(known) if known else COLD)
        more = banks.told(touched, limits, self.chosen(agent).severity)
        if not more:
            return Evaluated(arms), ()
        finding = self.found(
            {"agent": agent, "evaluator": evaluator},
            f"{agent}: evaluator {evaluator} fails too often",
            identity=(agent, evaluator, environment),
            at=self.when(bucket, words),
            judges=judges_of(bucket.marks),
            **more,
        )
        return Evaluated(arms), (finding,)
