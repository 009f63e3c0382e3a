"""Metrics of agents that leave the range they were ever in: latency, tokens, counts, and their own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..agents import matches
from ..methods import novelty, sketch
from ..methods.novelty import Novelty
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

SPAN_S = 300
SERIES_MAX = 64  # of an agent
FORGOTTEN_S = 7 * 86_400  # a series that nobody speaks of
MICRO = 10**6
MS_MAX = 86_400_000  # nothing that is measured takes longer than a day
NUMBER, SUMMED = "number ", "summed "
Amount = Annotated[float, Meta(ge=0, le=1e15)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    margin: Annotated[float, Meta(gt=0, le=1e3)] = novelty.CALM  # ranges beyond the range so far
    values_min: Annotated[int, Meta(ge=1, le=10**6)] = 10  # calls or sessions that make a mean
    latency_ms_min: Amount = 1000.0  # means below are never told …
    tokens_min: Amount = 2000.0  # … nor are tokens per call …
    count_min: Amount = 100.0  # … nor counts of five minutes
    watched: list[str] = []  # globs of own numbers that matter: medium, all others low


class Series(Struct, frozen=True, array_like=True, gc=False):
    seen_s: int = 0
    novelty: Novelty = Novelty()


class Metrics(Struct, frozen=True, array_like=True, gc=False):
    series: dict[str, Series] = {}


class Mean(NamedTuple):
    total: str
    calls: str
    least: str  # the threshold


class Value(NamedTuple):
    value: float
    least: float  # that is told
    rule: novelty.Rule
    severity: Severity
    both: bool = False  # lower than ever is news, too


MEANS = {
    "latency of model calls, ms": Mean("model ms", "model timed", "latency_ms_min"),
    "latency of tools, ms": Mean("tool ms", "tool timed", "latency_ms_min"),
    "duration of sessions, ms": Mean("session ms", "sessions ended", "latency_ms_min"),
    "tokens per call": Mean("tokens", "calls with tokens", "tokens_min"),
}
COUNTS = {
    "model calls in 5 minutes": "model calls",
    "tool calls in 5 minutes": "tool calls",
    "sessions in 5 minutes": "sessions",
}


class MetricNovelty(Bucketed[Thresholds, Metrics]):
    """Record novelty: a value beyond the range that it, its trend or its hour of the week was ever in.

    Subject: agent and metric. Latency, tokens and counts only upwards, an agent's own numbers both ways.
    """

    name, version, state = "metric.novelty", 1, Metrics
    kinds = ("model", "tool", "session", "number")
    severity: Severity = "low"
    runbook = (
        "Look at the metric's course: a step, a slope, a single value?\n"
        "Look for what happened at the same time: a release, another incident of the agent.\n"
        "If nothing is wrong, resolve as an accepted risk: the range now includes it."
    )
    limits = Thresholds
    minimum = "50 values of 5 minutes; young ranges count less: n / (n + 200)"
    false_alarms = (
        "0.9 in 30 days of an agent with four series, at 2 and 20 calls a minute (seeded simulation); "
        "of a single steady series 0 to 0.6 after its first month (benchmarks/detection.py)"
    )

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        sums, kind = fact.sums, fact.kind
        if kind == "number":
            return {f"{NUMBER}{fact.subject[2]}": sums["n"], f"{SUMMED}{fact.subject[2]}": sums["micro"]}
        if kind == "session":
            taken = {"sessions": sums.get("started", 0)}
            return {**taken, "session ms": sums["ms"], "sessions ended": sums["ended"]} if "ended" in sums else taken
        taken = {f"{kind} calls": sums.get("calls", 0)}
        timed = [(_ms(name), n) for name, n in sums.items() if name.startswith("ms#")]
        if timed:
            taken[f"{kind} ms"] = sum(ms * n for ms, n in timed)
            taken[f"{kind} timed"] = sum(n for _, n in timed)
        if "input" in sums:
            taken["tokens"] = sums["input"] + sums.get("output", 0)
            taken["calls with tokens"] = sums.get("priced", 0) + sums.get("unpriced", 0)
        return taken

    def closed(self, state: Metrics, bucket: Bucket, words: Words) -> tuple[Metrics, tuple[Finding, ...]]:
        known, said, hour = dict(state.series), [], novelty.hour_of_week(bucket.at_s)
        for name, one in sorted(self._values(bucket.sums, words[1]).items()):
            before = known.get(name, Series()).novelty
            if before.n and len(before.lows) != one.rule.series:
                before = Novelty()
            after, reading = novelty.step(before, one.value, hour, one.rule)
            score = reading.score if one.both else reading.upward
            if one.value >= one.least or one.both:
                after, news = novelty.tell(after, score, self.limits_for(words[1]).margin)
                said += [self._finding(name, one, before, bucket, words)] if news else []
            known[name] = Series(bucket.at_s, after)
        return Metrics(_bounded(known, bucket.at_s)), tuple(said)

    def _values(self, sums: Mapping[str, int], agent: str) -> dict[str, Value]:
        limits, severity = self.limits_for(agent), self.chosen(agent).severity
        found = {}
        for name, mean in MEANS.items():
            count = sums.get(mean.calls, 0)
            if count >= limits.values_min:
                least = getattr(limits, mean.least)
                found[name] = Value(sums.get(mean.total, 0) / count, least, novelty.USUAL, severity)
        for name, counted in COUNTS.items():
            if counted in sums:
                found[name] = Value(float(sums[counted]), limits.count_min, novelty.USUAL, severity)
        for name in (name for name in sums if name.startswith(NUMBER)):
            own = name.removeprefix(NUMBER)
            watched = matches(own, limits.watched)
            rule = novelty.USUAL if watched else novelty.RANGE2  # the profile of a week is 1.5 kB
            mean_of = sums.get(f"{SUMMED}{own}", 0) / MICRO / max(1, sums[name])
            found[name] = Value(mean_of, 0.0, rule, _raised(severity) if watched else severity, both=True)
        return found

    def _finding(self, name: str, one: Value, before: Novelty, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        metric = name.removeprefix(NUMBER)
        return self.found(
            {"agent": agent, "metric": metric},
            f"{agent}: {metric} leaves the range it was ever in",
            identity=(agent, environment, name),
            severity=one.severity,
            at=self.when(bucket, words),
            observed=f"{one.value:.6g} on average" if name not in COUNTS else f"{one.value:.0f}",
            expected=f"between {before.lows[0]:.6g} and {before.highs[0]:.6g}, by {before.n} values; "
            f"{before.slow:.6g} in the last day",
        )


@lru_cache(maxsize=2048)
def _ms(name: str) -> int:
    return round(min(sketch.value(int(name[3:])), MS_MAX))


def _raised(severity: Severity) -> Severity:
    return "medium" if severity == "low" else severity


def _bounded(known: dict[str, Series], at_s: int) -> dict[str, Series]:
    """What is always measured, then what is known longest, then what was seen last; nothing that is not heard of."""
    kept = [name for name in sorted(known) if known[name].seen_s > at_s - FORGOTTEN_S]
    if len(kept) > SERIES_MAX:
        kept = sorted(kept, key=lambda name: _rank(name, known[name]))[-SERIES_MAX:]
    return {name: known[name] for name in sorted(kept)}


def _rank(name: str, one: Series) -> tuple[bool, int, int, str]:
    return not name.startswith(NUMBER), min(one.novelty.n, novelty.WARM_UP), one.seen_s, name
