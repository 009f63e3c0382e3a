"""Two agents that write the same thing at the same time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import About, Fact, Finding, Severity
from .bucketed import Bucket, Bucketed, Words
from .window import Window, slid

NAMED_MAX = 5


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=3600)] = 60  # a resource is remembered for an hour
    agents_min: Annotated[int, Meta(ge=2)] = 2  # different ones, in different root sessions


class Writers(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()


class EffectConflict(Bucketed[Thresholds, Writers]):
    """Several agents of different root sessions wrote one resource within the window. Subject: the resource.

    A swarm that works on one thing together has one root session: that is no conflict.
    """

    name, version, state = "effect.conflict", 1, Writers
    kinds = ("write",)
    severity: Severity = "medium"
    runbook = (
        "Compare what the agents below wrote: the last one may have undone the others.\n"
        "Restore what was lost from a checkpoint.\n"
        "Give the resource one owner, or a lock."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics; a log that many append to needs to be left out by the producer"

    def words(self, fact: Fact) -> Words | None:
        return ("resource", *fact.subject)

    def stale_s(self, words: Words) -> float:
        return self.thresholds.window_s if words else 0

    def closed(self, state: Writers, bucket: Bucket, words: Words) -> tuple[Writers, tuple[Finding, ...]]:
        window = slid(state.window, bucket, self.thresholds.window_s)
        after = state if window is state.window else Writers(window)
        who = sorted(mark.partition("\x1f") for mark in window.marks)
        agents, sessions = sorted({agent for agent, _, _ in who}), {session for _, _, session in who}
        if not bucket.sums or len(agents) < self.thresholds.agents_min or len(sessions) < 2:
            return after, ()
        named = ", ".join(agents[:NAMED_MAX])
        finding = self.found(
            {"resource": words[1]},
            f"{named}: wrote the same resource at the same time",
            identity=words[1:],
            at=self.when(bucket, words),
            count=window.total("writes"),
            observed=f"{window.total('writes')} writes of {len(agents)} agents in {len(sessions)} sessions, within "
            f"{self.thresholds.window_s} s",
            expected="one agent at a time",
            evidence=bucket.samples,
            about=About(agent=agents[0], environment=words[2]),
        )
        return after, (finding,)
