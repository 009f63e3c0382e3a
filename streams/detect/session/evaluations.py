"""What evaluators said of a session: the critical ones at once, all of them as facts for wider questions."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import EvalScored, Fact, Finding, Severity, Status
from ...step import Order, Step
from ..agents import matches
from ..detector import Detector, Nothing
from ..facts import BUCKET_S, bucket_of
from ..fingerprint import fingerprint
from ..fold import excerpt

LABEL_MAX = 200  # as evidence


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    critical: list[str] = []  # names of evaluators, globs: one failure is enough


class CriticalEvaluator(Detector[Thresholds]):
    """An evaluator whose single failure is worth waking somebody. Subject: agent and evaluator."""

    name, version, memory = "eval.critical", 1, Nothing
    reads: tuple[type, ...] = (EvalScored,)
    order: Order = "free"
    severity: Severity = "critical"
    runbook = (
        "Read the evaluator's explanation in the evidence.\n"
        "Check what the session did after the failing step.\n"
        "Stop the release if the failure is real; mark it a false positive if it is not."
    )
    limits = Thresholds

    def key(self, record: EvalScored) -> str | None:
        name = record.data.evaluator.name
        return record.data.ctx.session_id if matches(name, self.limits_for(record.data.ctx.agent.id).critical) else None

    def step(self, memory: Nothing | None, record: EvalScored) -> Step[Nothing]:
        data = record.data
        if data.passed is not False:
            return Step(memory)
        agent, evaluator = data.ctx.agent.id, data.evaluator.name
        finding = Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, agent, evaluator),
            subject={"agent": agent, "evaluator": evaluator},
            title=f"{agent}: critical evaluator {evaluator} failed",
            severity=self.chosen(agent).severity,
            at=record.at,
            observed="failed" if data.score is None else f"score {data.score:g}",
            expected="passes every time",
            evidence=(_evidence(record),),
            releases=(data.ctx.agent.version,) if data.ctx.agent.version else (),
        )
        return Step(memory, (finding,))


class EvaluationFacts:
    """Counts of passed, failed and broken evaluations per agent, evaluator, release and environment."""

    name, version, memory = "facts.evaluation", 1, Nothing
    reads: tuple[type, ...] = (EvalScored,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: EvalScored) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: EvalScored) -> Step[Nothing]:
        ctx = record.data.ctx
        what = "failed" if record.data.passed is False else "passed" if record.data.passed else "broken"
        if record.data.status == Status.ok and record.data.passed is None:
            what = "unscored"
        fact = Fact(
            kind="evaluation",
            subject=(ctx.agent.id, record.data.evaluator.name, ctx.agent.version, ctx.env),
            bucket=bucket_of(record.at, self.bucket_s),
            sums={what: 1},
            samples=(_evidence(record),) if what == "failed" else (),
        )
        return Step(memory, (fact,))


def _evidence(record: EvalScored) -> Any:
    data = record.data
    status = "failed" if data.passed is False else data.status.value
    text = data.label and data.label[:LABEL_MAX]
    return excerpt(record, status=status, tool=data.evaluator.name, text=text, value=data.score)
