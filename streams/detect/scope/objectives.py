"""Objectives of agents: how fast the share of sessions that may be bad is used up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Excerpt, Fact, Finding, Severity
from ..facts import latest
from ..methods.burn import SLOW, Burn, Ring, add, burning, window
from ..methods.surprise import surprise
from .banks import lowered
from .bucketed import Bucket, Bucketed, Words
from .session_failures import bad_of

Count = Annotated[int, Meta(ge=1, le=10**6)]
RELEASES_MAX = 4
SURE = 1.3  # -log10 of one in twenty
SAMPLES_S = 3600  # bad sessions are evidence for so long
LENGTHS = {300: "5 minutes", 1800: "30 minutes", 3600: "1 hour", 21600: "6 hours", 259200: "3 days"}


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bad_min: Count = 5  # bad sessions in the long window, of what pages
    slow_bad_min: Count = 5  # and of what becomes a ticket


class Burnt(Struct, frozen=True, array_like=True, gc=False):
    ring: Ring = Ring()
    releases: tuple[str, ...] = ()  # of bad sessions, the last ones
    samples: tuple[Excerpt, ...] = ()


class ObjectiveBurn(Bucketed[Thresholds, Burnt]):
    """An agent uses up the sessions that its objective lets be bad: fast burn pages, slow burn is a ticket.

    Subject: agent. Objectives stand in [[agents]]; a session is bad when it failed or timed out.
    """

    name = "slo.burn"
    state = Burnt
    kinds = ("session",)
    by_sums = ("ended",)
    severity: Severity = "high"
    runbook = (
        "Look for the incident that makes the sessions fail: a release, a tool, a provider.\n"
        "Fast burn: stop the cause now, take the release back. Slow burn: plan the repair.\n"
        "While the budget is used up, hold releases of this agent."
    )
    limits = Thresholds
    minimum = "5 bad sessions in the long window; only agents with an objective"
    false_alarms = "0 of 40 agents in 30 days at half of what may be bad (python -m benchmarks.detection --only scopes)"

    def words(self, fact: Fact) -> Words | None:
        wanted = "ended" in fact.sums and self.rules(fact.subject[0]).objective is not None
        return super().words(fact) if wanted else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        bad = bad_of(fact)
        return {"n": fact.sums.get("ended", 0)} | ({"bad": bad, f"-{fact.subject[1]}": bad} if bad else {})

    def closed(self, state: Burnt, bucket: Bucket, words: Words) -> tuple[Burnt, tuple[Finding, ...]]:
        agent = words[1]
        now_s = bucket.at_s + self.span_s(words)
        ring = add(state.ring, bucket.at_s, bucket.sums.get("bad", 0), bucket.sums.get("n", 0))
        bad = sorted(name[1:] for name in bucket.sums if name[0] == "-")
        releases = (*(one for one in state.releases if one not in bad), *bad)[-RELEASES_MAX:]
        recent = [one for one in state.samples if one.at.timestamp() > now_s - SAMPLES_S]
        after = Burnt(ring, releases, latest((*recent, *bucket.samples)))
        objective = self.rules(agent).objective
        if objective is None:  # the policy took it away
            return after, ()
        limits = self.limits_for(agent)
        burns = burning(ring, now_s, 1 - objective, min(limits.bad_min, limits.slow_bad_min))
        enough = [one for one in burns if self._enough(one, limits)]
        if not enough:
            return after, ()
        return after, (self._finding(enough[0], objective, after, bucket, words),)

    def _enough(self, burn: Burn, limits: Thresholds) -> bool:
        """A slow burn may be chance: more is bad than ought to be in one of twenty such windows."""
        if burn.pair is not SLOW:
            return burn.bad >= limits.bad_min
        due = burn.bad / burn.long if burn.long else 0.0
        return burn.bad >= limits.slow_bad_min and surprise(burn.bad, due) >= SURE

    def _finding(self, burn: Burn, objective: float, state: Burnt, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        bad, n = window(state.ring, bucket.at_s + self.span_s(words), burn.pair.long_s)
        severity = self.chosen(agent).severity
        slow, length = burn.pair is SLOW, LENGTHS[burn.pair.long_s]
        return self.found(
            {"agent": agent},
            f"{agent}: fails its objective of {objective:.4g} good sessions",
            identity=(agent, environment),
            at=self.when(bucket, words),
            severity=lowered(severity) if slow else severity,
            count=bad,
            observed=f"{bad} of {n} sessions bad in {length}: {burn.long:.1f} times what may be",
            expected=f"less than {burn.pair.rate:g} times, in {length} and in {LENGTHS[burn.pair.short_s]}",
            evidence=state.samples,
            releases=tuple(one for one in state.releases if one),
        )
