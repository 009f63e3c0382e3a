"""Which releases serve beside each other: too many for too long, or an old one that nobody took away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from .bucketed import Bucket, Bucketed, Words

KEPT_MAX = 32  # releases; those seen longest ago are forgotten
NAMED_MAX = 8
Seconds = Annotated[int, Meta(ge=60, le=30 * 86_400)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    releases_max: Annotated[int, Meta(ge=1, le=20)] = 3  # that may serve at the same time …
    for_s: Seconds = 7_200  # … for so long
    window_s: Seconds = 3_600  # a release serves that began a session within
    stray_s: Seconds = 86_400  # an old one may serve for so long after the newest took over …
    stray_share_max: Annotated[float, Meta(gt=0, lt=0.5)] = 0.1  # … with less than this share of the sessions


class Serving(Struct, frozen=True, array_like=True, gc=False):
    begun_s: int
    seen_s: int
    recent: float = 0.0  # sessions, halved each window


class Known(Struct, frozen=True, array_like=True, gc=False):
    releases: dict[str, Serving] = {}
    at_s: int = 0  # until when `recent` was halved
    many_s: int = 0  # since when there are too many
    over_s: int = 0  # since when the newest has almost all sessions


class VersionDistribution(Bucketed[Thresholds, Known]):
    """More releases serve in one environment than should for hours, or an old one still does long after its successor took over.

    Subject: agent, environment, and which of the two.
    """

    name = "version.distribution"
    state = Known
    kinds = ("session",)
    by_sums = ("started",)
    severity: Severity = "low"
    runbook = (
        "See who still runs the old release: sessions of it name their node and region.\n"
        "Finish the rollout or take it back; restart or drain what was forgotten.\n"
        "Several on purpose: raise `releases_max` for this agent."
    )
    limits = Thresholds
    minimum = "a session of each release within the window"
    false_alarms = "rule: how many releases begin sessions, for how long"

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "started" in fact.sums and fact.subject[1] else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        return {fact.subject[1]: fact.sums["started"]}

    def closed(self, state: Known, bucket: Bucket, words: Words) -> tuple[Known, tuple[Finding, ...]]:
        limits = self.limits_for(words[1])
        after = _after(state, bucket, limits)
        serving = _serving(after, bucket.at_s, limits)
        found = []
        if after.many_s and bucket.at_s - after.many_s >= limits.for_s:
            found.append(self._finding("many", serving, bucket, words, f"at most {limits.releases_max}"))
        stray = serving[1:] if after.over_s and bucket.at_s - after.over_s >= limits.stray_s else []
        if stray:
            hours = limits.stray_s / 3600
            found.append(
                self._finding("stray", stray, bucket, words, f"none {hours:g} h after its successor took over")
            )
        return after, tuple(found)

    def _finding(self, what: str, names: list[str], bucket: Bucket, words: Words, expected: str) -> Finding:
        _, agent, environment = words
        title = "too many releases serve at the same time" if what == "many" else "an old release still serves"
        more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
        return self.found(
            {"agent": agent, "environment": environment, "what": what},
            f"{agent}: {title}",
            at=self.when(bucket, words),
            observed=f"{len(names)} in {environment}: {', '.join(names[:NAMED_MAX])}{more}",
            expected=expected,
        )


def _after(state: Known, bucket: Bucket, limits: Thresholds) -> Known:
    faded = 0.5 ** ((bucket.at_s - state.at_s) / limits.window_s) if state.at_s else 1.0
    known = {name: Serving(one.begun_s, one.seen_s, one.recent * faded) for name, one in state.releases.items()}
    for name, n in sorted(bucket.sums.items()):
        one = known.get(name, Serving(bucket.at_s, bucket.at_s))
        known[name] = Serving(one.begun_s, bucket.at_s, one.recent + n)
    kept = dict(sorted(known.items(), key=lambda item: (item[1].seen_s, item[0]))[-KEPT_MAX:])
    after = Known(kept, bucket.at_s)
    serving = _serving(after, bucket.at_s, limits)
    many = len(serving) > limits.releases_max
    whole = sum(kept[name].recent for name in serving)
    over = len(serving) > 1 and kept[serving[0]].recent >= (1 - limits.stray_share_max) * whole
    return Known(
        kept, bucket.at_s, (state.many_s or bucket.at_s) if many else 0, (state.over_s or bucket.at_s) if over else 0
    )


def _serving(known: Known, at_s: int, limits: Thresholds) -> list[str]:
    """The newest first."""
    there = [name for name, one in known.releases.items() if at_s - one.seen_s < limits.window_s]
    return sorted(there, key=lambda name: (-known.releases[name].begun_s, name))
