"""Agents that crash again and again, and a fleet that falls silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..detector import milder
from .bucketed import Bucket, Bucketed, Words, fits
from .window import Window, slid

AGENTS_MAX = 2000  # in one environment; where more are heard nobody is missed, for nobody can say who was
NAMED_MAX = 8
HOUR_S = 3600
DAY_S = 86_400
MEMORY = 24  # buckets over which presence is averaged


class CrashThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    crashes_min: Annotated[int, Meta(ge=1)] = 3
    nodes_min: Annotated[int, Meta(ge=1)] = 2  # from so many on somebody is paged


class Crashes(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()


class CrashLoop(Bucketed[CrashThresholds, Crashes]):
    """Sessions that start again, or vanish young, within the window. Subject: the agent."""

    name, version, state = "agent.crash_loop", 1, Crashes
    kinds = ("crash",)
    severity: Severity = "high"
    runbook = (
        "Read the process's last lines on the nodes below.\n"
        "Check memory, secrets and the release: did it begin with one?\n"
        "Roll back, or stop the restarts until it is understood."
    )
    limits = CrashThresholds
    false_alarms = "rule: no statistics; a restart that somebody wanted counts too"

    def stale_s(self, words: Words) -> float:
        return self.limits_for(words[1]).window_s

    def closed(self, state: Crashes, bucket: Bucket, words: Words) -> tuple[Crashes, tuple[Finding, ...]]:
        agent = words[1]
        limits, chosen = self.limits_for(agent), self.chosen(agent)
        window = slid(state.window, bucket, limits.window_s)
        after = state if window is state.window else Crashes(window)
        crashes, nodes = sum(window.totals().values()), window.marks
        if crashes < limits.crashes_min or not bucket.sums:
            return after, ()
        where = f" on {len(nodes)} nodes" if len(nodes) > 1 else ""
        finding = self.found(
            {"agent": agent},
            f"{agent}: keeps crashing{where}",
            severity=chosen.severity if len(nodes) >= limits.nodes_min else milder(chosen.severity, "medium"),
            at=self.when(bucket, words),
            count=crashes,
            observed=f"{window.total('restarts')} restarts and {window.total('vanished')} sessions that vanished, in "
            f"{limits.window_s / 60:g} minutes; nodes {', '.join(nodes[:NAMED_MAX]) or 'unknown'}",
            expected=f"fewer than {limits.crashes_min}",
            evidence=bucket.samples,
        )
        return after, (finding,)


class FleetThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    silent_s: Annotated[int, Meta(ge=60, le=86_400)] = 600
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.05
    agents_min: Annotated[int, Meta(ge=1)] = 4  # more than three
    steady_min: Annotated[float, Meta(gt=0, le=1)] = 0.8  # share of five-minute spans in which an agent is always heard


class Present(Struct, frozen=True, array_like=True, gc=False):
    first_s: int
    last_s: int
    share: float = 1.0  # of the spans, averaged exponentially, when it was last heard
    quiet: int = 0  # hours of the day, as bits, in which it was not heard the last time


class Fleet(Struct, frozen=True, array_like=True, gc=False):
    agents: dict[str, Present] = {}


class FleetSilent(Bucketed[FleetThresholds, Fleet]):
    """Agents that are always heard and are not any more, many at once. Subject: the environment.

    An agent that works now and then is not missed, nor one that leaves when it left the day before; after a day of
    silence it is missed no more, after a week forgotten.
    """

    name, version, state = "fleet.heartbeat", 1, Fleet
    kinds = ("alive",)
    severity: Severity = "high"
    runbook = (
        "Check what the silent agents share: network, node pool, credentials, a release.\n"
        "Look whether their events are stuck before Kafka: producers' logs, collector, ACLs.\n"
        "If they were stopped on purpose, silence this until they are back."
    )
    limits = FleetThresholds
    marks_max = AGENTS_MAX
    minimum = "two hours in which an agent was heard in 80 % of the five-minute spans; at most 2000 agents"
    false_alarms = "rule: no statistics; a fleet that is shut down at night is told the first time"

    def words(self, fact: Fact) -> Words | None:
        return fact.subject

    def span_s(self, words: Words) -> int:
        return max(300, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        return {"events": 1}

    def restless(self, state: Fleet) -> bool:
        return bool(state.agents)

    def closed(self, state: Fleet, bucket: Bucket, words: Words) -> tuple[Fleet, tuple[Finding, ...]]:
        limits, heard = self.thresholds, set(bucket.marks)
        if not fits(bucket.marks, AGENTS_MAX):
            return state, ()
        agents = {name: one for name, one in state.agents.items() if bucket.at_s - one.last_s < 7 * DAY_S}
        for name in sorted(heard):
            agents[name] = _heard(agents.get(name), bucket.at_s, self.span_s(words))
        if len(agents) > AGENTS_MAX:
            kept = sorted(agents, key=lambda name: (agents[name].last_s, name))[-AGENTS_MAX:]
            agents = {name: agents[name] for name in sorted(kept)}
        known_s = MEMORY * self.span_s(words)
        steady = {
            name: one
            for name, one in agents.items()
            if one.share >= limits.steady_min and one.last_s - one.first_s >= known_s
        }
        now_s = bucket.at_s + self.span_s(words)
        silent = sorted(
            name
            for name, one in steady.items()
            if limits.silent_s <= now_s - one.last_s - self.span_s(words) < DAY_S
            and not _leaves(one, self.span_s(words))
        )
        after = state if agents == state.agents else Fleet(agents)
        if len(silent) < limits.agents_min or len(silent) <= limits.share_min * len(steady):
            return after, ()
        return after, (self._finding(silent, len(steady), bucket, words),)

    def _finding(self, silent: list[str], steady: int, bucket: Bucket, words: Words) -> Finding:
        more = f" and {len(silent) - NAMED_MAX} more" if len(silent) > NAMED_MAX else ""
        return self.found(
            {"environment": words[1]},
            f"{len(silent)} of {steady} agents in {words[1]} have fallen silent",
            at=self.when(bucket, words),
            count=len(silent),
            observed=f"{', '.join(silent[:NAMED_MAX])}{more}: silent for at least {self.thresholds.silent_s / 60:g} minutes",
            expected=f"at most {self.thresholds.share_min:.0%} of the agents that are always heard",
        )


def _heard(known: Present | None, at_s: int, span_s: int) -> Present:
    if known is None:
        return Present(at_s, at_s)
    missed = max(0, (at_s - known.last_s) // span_s - 1)
    share = known.share * (1 - 1 / MEMORY) ** (missed + 1) + 1 / MEMORY
    return Present(known.first_s, at_s, share, _quiet(known, at_s))


def _quiet(known: Present, at_s: int) -> int:
    """The hours that passed without it are quiet ones, until it is heard in them."""
    since, until = known.last_s // HOUR_S + 1, at_s // HOUR_S
    quiet = known.quiet
    for hour in range(max(since, until - 24), until):
        quiet |= 1 << hour % 24
    return quiet & ~(1 << until % 24)


def _leaves(one: Present, span_s: int) -> bool:
    """Whether its silence began when it is usually silent, or within the hour before."""
    hour = (one.last_s + span_s) // HOUR_S
    return any(one.quiet >> at % 24 & 1 for at in (hour, hour + 1))
