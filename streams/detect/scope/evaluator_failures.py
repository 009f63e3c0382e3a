"""An evaluator that fails more often than it should, per agent, evaluator and release."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Excerpt, Fact, Finding, Severity, Tick
from ...step import Order, Step
from ..detector import Detector
from ..facts import latest
from ..fingerprint import fingerprint
from ..shelf import moment

BUCKETS_MAX = 2048  # open ones: as far as a clock may be held, or a producer's may run ahead; more are summed up
OPEN_SAMPLES_MAX = 320  # in all open buckets, the oldest first: a memory that no broker takes would stop the role
REPEAT = timedelta(minutes=5)
Rate = Annotated[float, Meta(ge=0, lt=1)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    baseline: Rate = 0.05  # the failure rate that is normal
    odds: Annotated[float, Meta(gt=1, le=1e6)] = 4.0  # how many times the odds of a failure are worth finding
    limit: Annotated[float, Meta(gt=0, le=1e6)] = 7.0
    evaluations_min: Annotated[int, Meta(ge=1)] = 10
    baselines: dict[str, Rate] = {}  # by evaluator name


class Bucket(Struct, array_like=True, frozen=True):
    at_s: float
    passed: int = 0
    failed: int = 0
    samples: tuple[Excerpt, ...] = ()


class Sums(Struct, frozen=True, array_like=True):
    subject: tuple[str, ...]
    open: tuple[Bucket, ...] = ()  # by time
    closed_s: float = 0.0  # everything before is closed
    score: float = 0.0
    passed: int = 0
    failed: int = 0
    late: int = 0
    told_s: float = 0.0
    samples: tuple[Excerpt, ...] = ()


class EvaluatorFailures(Detector[Thresholds]):
    """Bernoulli CUSUM (Page 1954; log likelihood ratio of the odds), one step per closed 10-second bucket.

    Subject: agent and evaluator. The release is part of the memory's key, never of the fingerprint.
    """

    name, version, memory = "eval.failure_rate", 1, Sums
    reads: tuple[type, ...] = (Fact,)
    order: Order = "bucketed"
    severity: Severity = "high"
    runbook = (
        "Compare the failing sessions with the release before.\n"
        "Check whether prompt, model or tools changed with this release.\n"
        "Hold the release; resolve the ticket with the outcome that fits."
    )
    limits = Thresholds
    kinds = ("evaluation",)

    def key(self, record: Any) -> str | None:
        return "\x1f".join((self.name, *record.subject)) if record.kind == "evaluation" else None

    def step(self, memory: Sums | None, record: Fact | Tick) -> Step[Sums]:
        if isinstance(record, Fact):
            return self._added(memory or Sums(record.subject), record)
        return self._closed(memory, record) if memory else Step(None)

    def _added(self, sums: Sums, fact: Fact) -> Step[Sums]:
        passed, failed = fact.sums.get("passed", 0), fact.sums.get("failed", 0)
        at_s = fact.bucket.timestamp()
        late = at_s < sums.closed_s
        if late:  # its bucket is closed: count it in the oldest open one
            at_s = sums.open[0].at_s if sums.open else sums.closed_s
        buckets = {bucket.at_s: bucket for bucket in sums.open}
        known = buckets.get(at_s, Bucket(at_s))
        samples = latest(known.samples + fact.samples)
        buckets[at_s] = Bucket(at_s, known.passed + passed, known.failed + failed, samples)
        ordered = _bounded([buckets[key] for key in sorted(buckets)])
        after = replace(sums, open=ordered, late=sums.late + (passed + failed if late else 0))
        return Step(after, (), self._end(ordered[0]))

    def _closed(self, sums: Sums, tick: Tick) -> Step[Sums]:
        at_s = tick.at.timestamp()
        said: tuple[Finding, ...] = ()
        waiting = []
        for bucket in sums.open:
            if bucket.at_s + self.given.bucket_s > at_s:
                waiting.append(bucket)
                continue
            sums = self._stepped(sums, bucket)
            if self._told_again(sums, bucket):
                sums = replace(sums, told_s=bucket.at_s)
                said = (self._finding(sums, bucket),)
        closed_s = max(sums.closed_s, math.floor(at_s / self.given.bucket_s) * self.given.bucket_s)
        after = replace(sums, open=tuple(waiting), closed_s=closed_s)
        return Step(after, said, self._end(waiting[0]) if waiting else None)

    def _stepped(self, sums: Sums, bucket: Bucket) -> Sums:
        limits = self.thresholds
        p = limits.baselines.get(sums.subject[1], limits.baseline)
        n = bucket.passed + bucket.failed
        rise = bucket.failed * math.log(limits.odds) - n * math.log(1 + p * (limits.odds - 1))
        score = min(max(0.0, sums.score + rise), 2 * limits.limit)  # capped, so that it can come down again
        return replace(
            sums,
            score=score,
            passed=sums.passed + bucket.passed,
            failed=sums.failed + bucket.failed,
            samples=latest(sums.samples + bucket.samples),  # of closed buckets only: evidence is never from later
        )

    def _told_again(self, sums: Sums, bucket: Bucket) -> bool:
        high = sums.score >= self.thresholds.limit
        enough = sums.passed + sums.failed >= self.thresholds.evaluations_min
        return high and enough and bucket.at_s - sums.told_s >= REPEAT.total_seconds()

    def _finding(self, sums: Sums, bucket: Bucket) -> Finding:
        agent, evaluator, release, environment = sums.subject
        n = sums.passed + sums.failed
        p = self.thresholds.baselines.get(evaluator, self.thresholds.baseline)
        return Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, agent, evaluator, environment),
            subject={"agent": agent, "evaluator": evaluator},
            title=f"{agent}: evaluator {evaluator} fails too often",
            severity=self.severity,
            at=moment(bucket.at_s + self.given.bucket_s),
            count=sums.failed,
            observed=f"{sums.failed} of {n} failed ({sums.failed / n:.0%}) in release {release or 'unknown'}",
            expected=f"about {p:.0%}",
            evidence=sums.samples,
            releases=(release,) if release else (),
        )

    def _end(self, bucket: Bucket) -> datetime:
        return moment(bucket.at_s + self.given.bucket_s)


def _bounded(buckets: list[Bucket]) -> tuple[Bucket, ...]:
    """Whatever the times: the furthest ahead share one bucket, and only so many samples are kept."""
    if len(buckets) > BUCKETS_MAX:
        tail = buckets[BUCKETS_MAX - 1 :]
        passed, failed = sum(each.passed for each in tail), sum(each.failed for each in tail)
        samples = latest(sample for each in tail for sample in each.samples)
        buckets = [*buckets[: BUCKETS_MAX - 1], Bucket(tail[0].at_s, passed, failed, samples)]
    if sum(len(each.samples) for each in buckets) <= OPEN_SAMPLES_MAX:
        return tuple(buckets)
    left, kept = OPEN_SAMPLES_MAX, []
    for each in buckets:
        kept.append(each if len(each.samples) <= left else replace(each, samples=each.samples[:left]))
        left -= len(kept[-1].samples)
    return tuple(kept)
