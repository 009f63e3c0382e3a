"""Telemetry that stops, or arrives late: what is not seen cannot be found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..methods.sketch import value
from .bucketed import Bucket, Bucketed, Words
from .window import Window, slid

HOUR_S = 3600
WEEK_H = 168
KNOWN_MIN = 13  # spans, until an hour of the week is known: more than one week has of it
LEARN = 0.2
LOW_MAX = 288  # spans that are not learned because they are low: after a day the low is the usual


class GapThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fall_min: Annotated[float, Meta(gt=0, le=1)] = 0.8  # below the norm by that share
    spans_min: Annotated[int, Meta(ge=1)] = 2  # of five minutes, one after the other
    usual_min: Annotated[int, Meta(ge=1)] = 20  # calls in five minutes: rarer agents are too rare to be missed


class Rate(Struct, frozen=True, array_like=True, gc=False):
    hours: dict[int, tuple[float, int]] = {}  # hour of the week -> mean calls of a span, spans
    recent: tuple[tuple[int, int, int], ...] = ()  # the last day's hours: start, calls, spans
    low: int = 0  # spans in a row


class TelemetryGap(Bucketed[GapThresholds, Rate]):
    """Calls against the norm of this hour of the week; in the first week against the quietest hour of the last day.

    Subject: the agent.
    """

    name, version, state = "telemetry.gap", 1, Rate
    kinds = ("model", "tool")
    severity: Severity = "medium"
    runbook = (
        "Does the agent still work? If it does, its events are lost on the way.\n"
        "Check the producer's errors, its buffer and its rights on the topic.\n"
        "If nobody uses it at the moment, silence this."
    )
    limits = GapThresholds
    minimum = "a day; 20 calls in five minutes"
    false_alarms = (
        "none in 12 simulated weeks of Poisson calls with a daily cycle of 1:3 (tests/detect/test_telemetry.py)"
    )

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self._least = min([self.thresholds.usual_min, *(one.thresholds.usual_min for _, one in self._overrides)])

    def span_s(self, words: Words) -> int:
        return max(300, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        return {"calls": fact.sums.get("calls", 0)}

    def restless(self, state: Rate) -> bool:
        """Whoever never calls that often is never missed: their silence need not be counted either."""
        return any(calls >= self._least * spans for _, calls, spans in state.recent)

    def closed(self, state: Rate, bucket: Bucket, words: Words) -> tuple[Rate, tuple[Finding, ...]]:
        limits, calls = self.limits_for(words[1]), bucket.sums.get("calls", 0)
        norm = _norm(state, bucket.at_s)
        low = norm is not None and norm >= limits.usual_min and calls < (1 - limits.fall_min) * norm
        after = _learned(state, bucket.at_s, calls, low=low)
        if norm is None or after.low < limits.spans_min:
            return after, ()
        finding = self.found(
            {"agent": words[1]},
            f"{words[1]}: hardly any events arrive",
            at=self.when(bucket, words),
            observed=f"{calls} calls in {self.span_s(words) // 60} minutes, low for {after.low} such spans",
            expected=f"about {norm:.0f}",
        )
        return after, (finding,)


def _norm(state: Rate, at_s: int) -> float | None:
    mean, spans = state.hours.get(at_s // HOUR_S % WEEK_H, (0.0, 0))
    if spans >= KNOWN_MIN:
        return mean
    whole = [calls / spans for start, calls, spans in state.recent if start // HOUR_S < at_s // HOUR_S]
    return min(whole) if len(whole) >= 24 else None


def _learned(state: Rate, at_s: int, calls: int, *, low: bool) -> Rate:
    if low and state.low < LOW_MAX:
        return Rate(state.hours, state.recent, state.low + 1)
    hour, start = at_s // HOUR_S % WEEK_H, at_s // HOUR_S * HOUR_S
    mean, spans = state.hours.get(hour, (0.0, 0))
    mean += (calls - mean) * max(LEARN / 12, 1 / (spans + 1))
    hours = {**state.hours, hour: (mean, min(spans + 1, 10**6))}
    recent = state.recent
    if recent and recent[-1][0] == start:
        recent = (*recent[:-1], (start, recent[-1][1] + calls, recent[-1][2] + 1))
    else:
        recent = (*recent, (start, calls, 1))[-25:]
    return Rate(hours, recent, 0)


class LateThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    late_s: Annotated[float, Meta(ge=1, le=86_400)] = 5.0
    share_max: Annotated[float, Meta(gt=0, lt=1)] = 0.05  # 5 %: the 95th percentile
    window_s: Annotated[int, Meta(ge=60, le=86_400)] = 300
    events_min: Annotated[int, Meta(ge=1)] = 20


class Arrivals(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()


class TelemetryLate(Bucketed[LateThresholds, Arrivals]):
    """More than 5 % of an agent's events need more than 5 s into Kafka; or its clock is ahead of Kafka's.

    Subject: the agent, and which of both. A backfill, older than a day, is not late.
    """

    name, version, state = "telemetry.late", 1, Arrivals
    kinds = ("late", "model", "tool")
    severity: Severity = "medium"
    runbook = (
        "Late: look at the producer's buffer, linger and retries, and at the network.\n"
        "Ahead: synchronise the clock of the node (NTP).\n"
        "Until then incidents of this agent are told that much later, or in a wrong order."
    )
    limits = LateThresholds
    minimum = "20 events in 5 minutes"
    false_alarms = "rule: a share against a limit, no statistics"

    def span_s(self, words: Words) -> int:
        return max(60, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        if fact.kind != "late":
            return {"calls": fact.sums.get("calls", 0)}
        limit = self.limits_for(fact.subject[0]).late_s
        late = sum(n for name, n in fact.sums.items() if name.startswith("late#") and value(int(name[5:])) > limit)
        found = {"late": late, "ahead": fact.sums.get("ahead", 0)}
        return {name: count for name, count in found.items() if count}

    def closed(self, state: Arrivals, bucket: Bucket, words: Words) -> tuple[Arrivals, tuple[Finding, ...]]:
        limits = self.limits_for(words[1])
        window = slid(state.window, bucket, limits.window_s)
        after = state if window is state.window else Arrivals(window)
        if not bucket.sums:
            return after, ()
        events = max(window.total("calls"), window.total("late"), window.total("ahead"))
        if events < limits.events_min:
            return after, ()
        said = []
        for what, title in (("late", "events arrive late"), ("ahead", "its clock is ahead")):
            count = window.total(what)
            if count > limits.share_max * events:
                said.append(self._finding(words[1], what, title, (count, events), self.when(bucket, words)))
        return after, tuple(said)

    def _finding(self, agent: str, what: str, title: str, counted: tuple[int, int], at: object) -> Finding:
        count, events = counted
        limits = self.limits_for(agent)
        how = f"more than {limits.late_s:g} s after they happened" if what == "late" else "before they happened"
        return self.found(
            {"agent": agent, "what": what},
            f"{agent}: {title}",
            at=at,
            count=count,
            observed=f"{count} of {events} events in {limits.window_s / 60:g} minutes arrived {how}",
            expected=f"at most {limits.share_max:.0%}",
        )
