"""What evaluators said of a session: the critical ones at once, all of them as facts for wider questions."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from msgspec import Struct

from ...records import EvalScored, Fact, Finding, Severity, Status
from ...step import Order, Step
from ..agents import matches
from ..detector import Detector, Nothing
from ..evidence import excerpt, judge_of
from ..facts import BUCKET_S, bucket_of
from ..fingerprint import fingerprint

LABEL_MAX = 200  # as evidence
MICRO, NANO = 10**6, 10**9
SCORE_MAX = 1e6
LOWER = ("lower", "lower_is_better", "minimize", "minimise", "min")  # as producers say that less is better


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
    minimum = "one failure"
    false_alarms = "rule: as often as the evaluator itself is wrong"

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
            judges=(judge_of(record),),
        )
        return Step(memory, (finding,))


class EvaluationFacts:
    """Kinds evaluation, evaluator, feedback and case. An evaluator that failed itself counts as broken, never as a pass."""

    name, version, memory = "facts.evaluation", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (EvalScored,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: EvalScored) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: EvalScored) -> Step[Nothing]:
        data, ctx = record.data, record.data.ctx
        what = "failed" if data.passed is False else "passed" if data.passed else "broken"
        if data.status == Status.ok and data.passed is None:
            what = "unscored"
        bucket = bucket_of(record.at, self.bucket_s)
        samples = (_evidence(record),) if what in ("failed", "broken") else ()
        address, sums = (ctx.agent.id, data.evaluator.name, ctx.agent.version, ctx.env), {what: 1}
        if data.status == Status.ok and data.score is not None:
            sums |= _scored(data.score, data.direction)
        human = data.evaluator.kind == "HUMAN"
        if human:
            sums["human"] = 1
        judges = (judge_of(record),)
        said = [Fact("evaluation", address, bucket, sums, marks=judges, samples=samples)]
        if data.passed is not None and not human:
            said.append(_judged(record, bucket))
        broken = what == "broken"
        marks = (ctx.agent.id,) if broken else ()
        wide = {"broken" if broken else "scored": 1}
        said.append(
            Fact("evaluator", (data.evaluator.name,), bucket, wide, marks=marks, samples=samples if broken else ())
        )
        if data.case_id and data.passed is not None:
            case = {f"{'+' if data.passed else '-'}{data.case_id}": 1}
            said.append(Fact("case", address, bucket, case, marks=judges, samples=samples))
        if human and data.passed is not None:
            who = (ctx.agent.id, ctx.agent.version, ctx.env)
            said.append(Fact("feedback", who, bucket, {"positive" if data.passed else "negative": 1}, samples=samples))
        return Step(memory, tuple(said))


def _judged(record: EvalScored, bucket: datetime) -> Fact:
    """How much an evaluator passes and flags, and what it passed: some of that is looked at by people."""
    data, ctx = record.data, record.data.ctx
    who = (ctx.agent.id, ctx.agent.version, ctx.env, judge_of(record))
    sums = {"scored": 1} if data.passed else {"scored": 1, "flagged": 1}
    return Fact("judged", who, bucket, sums, marks=(ctx.root,) if data.passed else ())


def _scored(score: float, direction: str | None) -> dict[str, int]:
    """What a mean, a spread and a scale are made of: sums, and counts by powers of two."""
    score = max(-SCORE_MAX, min(SCORE_MAX, score))
    sums = {"scored": 1, "score": round(score * MICRO), "square": round(score * score * NANO)}
    sums[f"size#{max(-20, math.frexp(score)[1]) if score else -21}"] = 1
    if direction is not None and direction.lower() in LOWER:
        sums["lower"] = 1
    return sums


def _evidence(record: EvalScored) -> Any:
    data = record.data
    status = "failed" if data.passed is False else data.status.value
    text = data.label and data.label[:LABEL_MAX]
    return excerpt(record, status=status, tool=data.evaluator.name, text=text, value=data.score)
