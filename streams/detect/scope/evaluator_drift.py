"""Scores that slide: the mean of the last hours against the mean before, per agent, evaluator and environment."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..evidence import judges_of
from ..facts import SUM_MAX
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

HOUR_S = 3600
MICRO, NANO = 10**6, 10**9
HOURS_MAX = 48  # kept one by one
HOURS_NEW = 24  # older ones belong to what was before
KEPT = 5000  # scores of what was before; then half of everything is forgotten
USUAL = 0.1  # the share of scores that makes a size usual: one absurd score is no scale
SIZES_APART = 4  # powers of two: more than ten times larger or smaller
FAILING = 0.05  # more failures than before: that is told by eval.failure_rate, the same trouble is not told twice
NONE = -99


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    drop: Annotated[float, Meta(gt=0, le=1)] = 0.15  # of the mean before
    scores_min: Annotated[int, Meta(ge=2, le=10**6)] = 20  # in each window
    sigmas: Annotated[float, Meta(gt=0, le=100)] = 4.5  # how sure


class Scores(Struct, frozen=True, array_like=True, gc=False):
    """Some scores as sums: all a mean, a spread and a scale are made of."""

    at_s: int = 0
    n: int = 0
    score: int = 0
    square: int = 0
    lower: int = 0  # how many said that less is better
    failed: int = 0
    sizes: dict[int, int] = {}  # powers of two


class Drift(Struct, frozen=True, array_like=True, gc=False):
    hours: tuple[Scores, ...] = ()
    before: Scores = Scores()
    release: str = ""  # seen last


class Moments(NamedTuple):
    mean: float
    variance: float


class EvaluatorDrift(Bucketed[Thresholds, Drift]):
    """The mean score of the last hours is worse than before them, or the evaluator changed its scale.

    Subject: agent and evaluator. More is better unless the evaluator says otherwise.
    """

    name = "eval.drift"
    state = Drift
    kinds = ("evaluation",)
    by_sums = ("square",)
    severity: Severity = "medium"
    runbook = (
        "Look whether prompt, model, tools or the kind of tasks changed when the mean fell.\n"
        "Compare a session of before with one of now by hand: is the agent worse, or the evaluator stricter?\n"
        "If the evaluator changed its scale, give it a new name or version; its history starts anew by itself."
    )
    limits = Thresholds
    minimum = "20 scores in the last hours and 20 before them; before that nothing is said"
    false_alarms = (
        "0 of 240 evaluators in 60 days, 2 or 20 scores an hour (python -m benchmarks.detection --only scopes)"
    )

    def words(self, fact: Fact) -> Words | None:
        agent, evaluator, _, environment = fact.subject
        return ("evaluation", agent, evaluator, environment) if "square" in fact.sums else None

    def span_s(self, words: Words) -> int:
        return aligned(HOUR_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        wanted = ("scored", "score", "square", "lower", "failed")
        sums = {name: value for name, value in fact.sums.items() if name in wanted or name.startswith("size#")}
        sums[f"release:{fact.subject[2]}"] = 1
        return sums

    def closed(self, state: Drift, bucket: Bucket, words: Words) -> tuple[Drift, tuple[Finding, ...]]:
        hour = _scores(bucket)
        if not hour.n:
            return state, ()
        limits = self.limits_for(words[1])
        releases = sorted(name[8:] for name in bucket.sums if name.startswith("release:"))
        state = Drift((*state.hours, hour), state.before, releases[-1])
        now, before = _windows(state, limits.scores_min)
        state = _folded(state, limits.scores_min)
        if min(now.n, before.n) < limits.scores_min or max(now.square, before.square) >= SUM_MAX:
            return state, ()
        apart = _size(now) - _size(before)
        if abs(apart) >= SIZES_APART and NONE not in (_size(now), _size(before)):
            fresh = Drift((now,), release=state.release)
            return fresh, (self._changed(now, before, bucket, words, state.release),)
        found = self._fallen(now, before, limits)
        return state, ((self._finding(found, bucket, words, state.release),) if found else ())

    def _fallen(self, now: Scores, before: Scores, limits: Thresholds) -> tuple[str, str] | None:
        """Welch's test (1947) and a size worth telling: what is observed and what was expected."""
        one, other = _moments(now), _moments(before)
        worse = one.mean - other.mean if 2 * now.lower > now.n else other.mean - one.mean
        # A few scores are alike by chance sooner than they scatter by chance: their own variance may only be more.
        error = math.sqrt(max(one.variance, other.variance) / now.n + other.variance / before.n)
        usual = max(abs(other.mean), math.sqrt(other.variance))  # a mean near zero: nothing to be relative to
        if worse < limits.drop * usual or worse <= limits.sigmas * error or usual <= 0:
            return None
        if now.failed / now.n > before.failed / before.n + FAILING:
            return None
        more = "higher" if 2 * now.lower > now.n else "lower"
        observed = f"mean {one.mean:.3g} of the last {now.n} scores, {worse / usual:.0%} {more}"
        return observed, f"mean {other.mean:.3g} of {before.n} before"

    def _finding(self, said: tuple[str, str], bucket: Bucket, words: Words, release: str) -> Finding:
        _, agent, evaluator, environment = words
        return self.found(
            {"agent": agent, "evaluator": evaluator},
            f"{agent}: scores of {evaluator} became worse",
            identity=(agent, evaluator, environment),
            at=self.when(bucket, words),
            observed=said[0],
            expected=said[1],
            evidence=bucket.samples,
            judges=judges_of(bucket.marks),
            releases=(release,) if release else (),
        )

    def _changed(self, now: Scores, before: Scores, bucket: Bucket, words: Words, release: str) -> Finding:
        _, agent, evaluator, environment = words
        chosen = self.chosen(agent).severity
        return self.found(
            {"agent": agent, "evaluator": evaluator},
            f"{agent}: evaluator {evaluator} changed its scale",
            identity=(agent, evaluator, environment, "scale"),
            at=self.when(bucket, words),
            severity="low" if chosen == "low" else "medium",  # never a page: nothing became worse
            observed=f"scores up to {2.0 ** _size(now):.3g}",
            expected=f"up to {2.0 ** _size(before):.3g}",
            releases=(release,) if release else (),
        )


def _scores(bucket: Bucket) -> Scores:
    sums = bucket.sums
    sizes = {int(name[5:]): value for name, value in sums.items() if name.startswith("size#")}
    score, square, lower, failed = (sums.get(name, 0) for name in ("score", "square", "lower", "failed"))
    return Scores(bucket.at_s, sums.get("scored", 0), score, square, lower, failed, sizes)


def _added(one: Scores, other: Scores) -> Scores:
    sizes = {size: one.sizes.get(size, 0) + other.sizes.get(size, 0) for size in one.sizes | other.sizes}
    square, lower, failed = one.square + other.square, one.lower + other.lower, one.failed + other.failed
    score = max(-SUM_MAX, min(SUM_MAX, one.score + other.score))
    return Scores(other.at_s, one.n + other.n, score, min(square, SUM_MAX), lower, failed, sizes)


def _windows(state: Drift, least: int) -> tuple[Scores, Scores]:
    """The fewest hours that have enough scores, and everything before them."""
    now, before, taken = Scores(), state.before, 0
    for hour in reversed(state.hours):
        now, taken = _added(now, hour), taken + 1
        if now.n >= least:
            break
    for hour in state.hours[: len(state.hours) - taken]:
        before = _added(before, hour)
    return now, before


def _folded(state: Drift, least: int) -> Drift:
    """Hours that are a day old become part of what was before, as long as enough remain to judge by."""
    hours, before = state.hours, state.before
    newest, left = hours[-1].at_s, sum(hour.n for hour in hours)
    while len(hours) > 1:
        oldest = hours[0]
        old = newest - oldest.at_s > HOURS_NEW * HOUR_S and left - oldest.n >= least
        if not old and len(hours) <= HOURS_MAX:
            break
        hours, left, before = hours[1:], left - oldest.n, _forgetting(_added(before, oldest))
    return Drift(hours, before, state.release)


def _forgetting(scores: Scores) -> Scores:
    while scores.n > KEPT:
        n, all_ = scores.n // 2, scores.n
        sizes = {size: count // 2 for size, count in scores.sizes.items() if count > 1}
        sums = (scores.score, scores.square, scores.lower, scores.failed)
        score, square, lower, failed = (value * n // all_ for value in sums)
        scores = Scores(scores.at_s, n, score, square, lower, failed, sizes)
    return scores


def _moments(scores: Scores) -> Moments:
    mean = scores.score / MICRO / scores.n
    return Moments(mean, max(0.0, scores.square / NANO / scores.n - mean * mean))


def _size(scores: Scores) -> int:
    """The largest usual power of two."""
    seen = 0
    for size in sorted(scores.sizes, reverse=True):
        seen += scores.sizes[size]
        if size > -21 and seen >= USUAL * scores.n:
            return size
    return NONE
