"""What people say of an agent's work: too much of it bad, or twice as much as before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Excerpt, Fact, Finding, Severity
from ..facts import latest
from ..methods.cusum import upper
from ..methods.proportions import wilson
from ..methods.surprise import surprise
from .bucketed import Bucket, Bucketed, Words
from .window import Window, aligned, slid

SPAN_S = 600
BEFORE_MIN = 50  # of the days before, to be measured by them
BEFORE_MAX = 500  # then half of them are forgotten
USUAL_MIN = 0.05
SURE_Z = 2.58  # one-sided 99.5 %, against a limit
SURE = 3.0  # -log10 of the chance, against what is usual
RELEASES_MAX = 8
NEGATIVE, ALL = "-", "n"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    share: Annotated[float, Meta(gt=0, lt=1)] = 0.2  # as long as nothing is known of before
    times: Annotated[float, Meta(gt=1, le=100)] = 2.0  # of the share before
    feedback_min: Annotated[int, Meta(ge=1, le=10**6)] = 10
    window_s: Annotated[int, Meta(ge=SPAN_S, le=7 * 86400)] = 86400


class Heard(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()
    before: tuple[int, int] = (0, 0)  # negative, all
    on: bool = False
    samples: tuple[Excerpt, ...] = ()


class NegativeFeedback(Bucketed[Thresholds, Heard]):
    """More people than usual say that an agent's work was bad: within a day, against the days before.

    Subject: agent. Feedback is what evaluators of kind HUMAN say.
    """

    name = "feedback.negative"
    state = Heard
    kinds = ("feedback",)
    severity: Severity = "medium"
    runbook = (
        "Read what people complained about in the evidence; look for one task, one customer, one answer.\n"
        "Compare with the release and the prompt of the day before.\n"
        "Answer those who complained; resolve with the outcome that fits."
    )
    limits = Thresholds
    minimum = "10 answers in a day; before 50 of the days before are known, more than 20 % negative"
    false_alarms = (
        "2 of 100 agents in 60 days at 20 answers a day, 10 % of them negative "
        "(python -m benchmarks.detection --only scopes)"
    )

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        negative, positive = fact.sums.get("negative", 0), fact.sums.get("positive", 0)
        sums = {ALL: negative + positive}
        if negative:
            sums[NEGATIVE + fact.subject[1]] = negative
        return sums

    def closed(self, state: Heard, bucket: Bucket, words: Words) -> tuple[Heard, tuple[Finding, ...]]:
        _, agent, environment = words
        limits = self.limits_for(agent)
        window = slid(state.window, bucket, limits.window_s)
        before = _forgetting(_known(state, window))
        every = window.total(ALL)
        bad = window.totals(NEGATIVE)
        negative, usual = sum(bad.values()), _usual(before)
        limit = min(limits.times * usual, (1 + usual) / 2) if usual else limits.share
        sure = surprise(negative, usual * every) >= SURE if usual else wilson(negative, every, SURE_Z)[0] > limit
        on = every >= limits.feedback_min and negative > limit * every and (sure or state.on)
        samples = latest(state.samples + bucket.samples) if negative else ()
        after = Heard(window, before, on, samples)
        if not on:
            return after, ()
        finding = self.found(
            {"agent": agent},
            f"{agent}: people say its work is bad",
            identity=(agent, environment),
            at=self.when(bucket, words),
            count=negative,
            observed=f"{negative} of {every} answers in a day are negative ({negative / every:.0%})",
            expected=f"at most {limit:.0%}" + (f", {before[0] / before[1]:.0%} before" if before[1] else ""),
            evidence=samples,
            releases=tuple(sorted(name[1:] for name in bad if name[1:])[-RELEASES_MAX:]),
        )
        return after, (finding,)


def _known(state: Heard, window: Window) -> tuple[int, int]:
    """What was before, with what has left the window by now."""
    gone = [sums for at_s, sums, _ in state.window.parts if not window.parts or at_s < window.parts[0][0]]
    negative = sum(n for sums in gone for name, n in sums.items() if name[:1] == NEGATIVE)
    every = sum(sums.get(ALL, 0) for sums in gone)
    return state.before[0] + negative, state.before[1] + every


def _forgetting(counts: tuple[int, int]) -> tuple[int, int]:
    negative, every = counts
    while every > BEFORE_MAX:
        negative, every = negative // 2, every // 2
    return negative, every


def _usual(before: tuple[int, int]) -> float:
    """The share that may have been usual; 0: not known."""
    negative, every = before
    return max(USUAL_MIN, upper(negative + 0.5, every - negative + 0.5)) if every >= BEFORE_MIN else 0.0
