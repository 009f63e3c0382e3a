"""The pipeline's own health, judged like any other agent's: its roles report about themselves in heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..detector import milder
from .bucketed import Bucket, Bucketed, Words
from .window import Window, slid

OWN = "tocsin-"
MICRO = 10**6
Limit = Annotated[float, Meta(ge=0, le=1e12)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    dead_letters_share: Annotated[float, Meta(ge=0, le=1)] = 0.01  # of the events, from 100 on
    lag_max: Limit = 100_000  # messages that wait to be read
    clock_age_s_max: Limit = 300  # how far event time is behind the wall clock
    oldest_waiting_s_max: Limit = 300  # what people are owed, and have not got
    progress_age_s_max: Limit = 120  # since a role last finished anything
    refused_max: Limit = 0  # pages and tickets that Slack or Jira refused for good
    isolated_max: Limit = 0  # records that made a detector raise, in the window


class Numbers(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()


PEAKS = {
    "lag_messages": "lag_max",
    "clock_age_s": "clock_age_s_max",
    "oldest_waiting_s": "oldest_waiting_s_max",
    "progress_age_s": "progress_age_s_max",
    "refused": "refused_max",
}
SUMS = {"isolated": "isolated_max"}
SAYS = {
    "lag_messages": "messages wait to be read",
    "clock_age_s": "event time is behind the clock, in seconds",
    "oldest_waiting_s": "somebody has waited for a page or ticket, in seconds",
    "progress_age_s": "nothing has been finished for so long, in seconds",
    "refused": "pages or tickets were refused for good",
    "isolated": "records made a detector raise",
    "dead_letters": "of the events became dead letters",
}
PAGING = ("lag_messages", "oldest_waiting_s", "progress_age_s", "dead_letters")


class PipelineSelf(Bucketed[Thresholds, Numbers]):
    """What the roles say of themselves against absolute limits. Subject: the role and the number."""

    name, version, state = "pipeline.self", 1, Numbers
    kinds = ("number",)
    severity: Severity = "high"
    runbook = (
        "Open the health page: which role, since when, and what does it wait for?\n"
        "lag: start more copies. waiting, refused: Slack's or Jira's answer stands with the obligation.\n"
        "dead letters: `tocsin deadletters list` says why and whose."
    )
    limits = Thresholds
    false_alarms = "rule: absolute limits, no statistics"

    def words(self, fact: Fact) -> Words | None:
        agent, environment, _ = fact.subject
        return ("agent", agent, environment) if agent.startswith(OWN) else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        name = fact.subject[2]
        if name in PEAKS:  # of several copies, and of several beats, the mean
            return {name: fact.sums["micro"], f"beats {name}": fact.sums["n"]}
        return {name: fact.sums["micro"]} if name in SUMS or name in ("events", "dead_letters") else {}

    def closed(self, state: Numbers, bucket: Bucket, words: Words) -> tuple[Numbers, tuple[Finding, ...]]:
        limits = self.limits_for(words[1])
        window = slid(state.window, bucket, limits.window_s)
        found = [
            self._finding(name, value, limit, bucket, words)
            for name, value, limit in self._beyond(window, bucket, limits)
        ]
        return (state if window is state.window else Numbers(window)), tuple(found)

    def _beyond(self, window: Window, bucket: Bucket, limits: Thresholds) -> list[tuple[str, float, float]]:
        found = []
        for name, limit in PEAKS.items():
            beats = bucket.sums.get(f"beats {name}", 0)
            if beats and (value := bucket.sums[name] / MICRO / beats) > getattr(limits, limit):
                found.append((name, value, getattr(limits, limit)))
        for name, limit in SUMS.items():
            if name in bucket.sums and (value := window.total(name) / MICRO) > getattr(limits, limit):
                found.append((name, value, getattr(limits, limit)))
        events, letters = window.total("events") / MICRO, window.total("dead_letters") / MICRO
        if "dead_letters" in bucket.sums and events >= 100 and letters > limits.dead_letters_share * events:
            found.append(("dead_letters", letters, limits.dead_letters_share * events))
        return found

    def _finding(self, name: str, value: float, limit: float, bucket: Bucket, words: Words) -> Finding:
        chosen = self.chosen(words[1])
        return self.found(
            {"agent": words[1], "number": name},
            f"{words[1]}: {SAYS[name]}",
            severity=chosen.severity if name in PAGING else milder(chosen.severity, "medium"),
            at=self.when(bucket, words),
            observed=f"{value:,.0f}",
            expected=f"at most {limit:,.0f}",
        )
