"""Evaluators that do not evaluate: they fail themselves, went silent, or skip sessions. Never a pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import About, Excerpt, Fact, Finding, Severity
from ..facts import environment_of, latest
from .bucketed import Bucket, Bucketed, Words
from .coverage import BY, DAY_S, ENDED, HOUR_S, Coverage, Limits, counted, missing
from .window import Window, aligned, slid

MINUTE_S = 60
NAMED = 5  # agents in a sentence
EVALUATED = ("passed", "failed", "broken", "unscored")
Count = Annotated[int, Meta(ge=1, le=10**6)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    errors_min: Count = 3
    errors_share: Annotated[float, Meta(ge=0, le=1)] = 0.1  # of the evaluations in the window
    window_s: Annotated[int, Meta(ge=60, le=86400)] = 900
    silent_s: Annotated[int, Meta(ge=3600, le=6 * DAY_S)] = DAY_S
    skipped: Annotated[float, Meta(gt=0, lt=1)] = 0.5  # of the share of sessions that was looked at before
    sessions_min: Count = 50  # in a day, and before it


class Broken(Struct, frozen=True, array_like=True, gc=False):
    """Of an evaluator the window, of an agent the coverage."""

    window: Window = Window()
    samples: tuple[Excerpt, ...] = ()
    coverage: Coverage = Coverage()


class EvaluatorBroken(Bucketed[Thresholds, Broken]):
    """An evaluator that fails itself (one incident, at however many agents), went silent at an agent, or skips sessions.

    Subject: the evaluator when it fails itself; agent and evaluator when it is silent or skips.
    """

    name = "eval.broken"
    state = Broken
    kinds = ("evaluator", "evaluation", "session")
    by_sums = ("ended",)
    severity: Severity = "medium"
    runbook = (
        "Read the evaluator's own error in the evidence; run it by hand on one session.\n"
        "Check its model, its key, its quota, and whether it is still called at all.\n"
        "Until it works its sessions are unjudged, not good: hold releases that depend on it."
    )
    limits = Thresholds
    minimum = "3 errors; silence and skipping: 20 evaluations over a day, skipping also 50 sessions before and in a day"
    false_alarms = "errors: a rule. Silence and skipping: 0 of 120 agents in 60 days (python -m benchmarks.detection --only scopes)"

    def words(self, fact: Fact) -> Words | None:
        if fact.kind == "evaluator":
            return ("evaluator", fact.subject[0])
        if fact.kind == "session" and ENDED not in fact.sums:
            return None
        return ("agent", fact.subject[0], environment_of(fact))

    def span_s(self, words: Words) -> int:
        return aligned(HOUR_S if words[0] == "agent" else MINUTE_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        if fact.kind == "evaluation":
            return {BY + fact.subject[1]: sum(fact.sums.get(name, 0) for name in EVALUATED)}
        return {ENDED: fact.sums[ENDED]} if fact.kind == "session" else fact.sums

    def closed(self, state: Broken, bucket: Bucket, words: Words) -> tuple[Broken, tuple[Finding, ...]]:
        return self._failing(state, bucket, words) if words[0] == "evaluator" else self._covering(state, bucket, words)

    def _failing(self, state: Broken, bucket: Bucket, words: Words) -> tuple[Broken, tuple[Finding, ...]]:
        limits = self.thresholds
        window = slid(state.window, bucket, limits.window_s)
        broken = window.total("broken")
        samples = latest(state.samples + bucket.samples) if broken else ()
        after = Broken(window, samples)
        total = broken + window.total("scored")
        if broken < limits.errors_min or broken < limits.errors_share * total:
            return after, ()
        evaluator, agents = words[1], window.marks
        finding = self.found(
            {"evaluator": evaluator},
            f"evaluator {evaluator} fails itself",
            at=self.when(bucket, words),
            count=broken,
            observed=f"{broken} of {total} evaluations failed in {limits.window_s // MINUTE_S} minutes, of {_named(agents)}",
            expected=f"fewer than {limits.errors_min}, or than {limits.errors_share:.0%}",
            evidence=samples,
            dependency=f"evaluator:{evaluator}",
            about=About(agent=agents[0]) if len(agents) == 1 else About(),
        )
        return after, (finding,)

    def _covering(self, state: Broken, bucket: Bucket, words: Words) -> tuple[Broken, tuple[Finding, ...]]:
        _, agent, environment = words
        limits = self.limits_for(agent)
        coverage = counted(state.coverage, bucket)
        given = Limits(limits.silent_s, limits.sessions_min, limits.skipped)
        found = tuple(
            self.found(
                {"agent": agent, "evaluator": one.evaluator},
                f"{agent}: evaluator {one.evaluator} {one.what}",
                identity=(agent, one.evaluator, environment),
                at=self.when(bucket, words),
                observed=one.observed,
                expected=one.expected,
                dependency=f"evaluator:{one.evaluator}",
            )
            for one in missing(coverage, bucket.at_s + self.span_s(words), given)
        )
        return Broken(coverage=coverage), found


def _named(agents: tuple[str, ...]) -> str:
    more = len(agents) - NAMED
    return ", ".join(agents[:NAMED]) + (f" and {more} more" if more > 0 else "")
