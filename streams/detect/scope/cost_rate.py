"""What an agent spends, against what it usually spends at this hour of the week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..methods import seasonal
from ..methods.novelty import HOURS, hour_of_week
from ..methods.seasonal import Limits, Reading, Seasonal
from ..session.amounts import NANO
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

HOUR_S = 3600
HOLDS_S = 1800  # what the end of an incident is judged by
ACUTE_S = 86_400  # trouble is not learned as usual, for a day: no baseline may stay frozen for ever
GUESSED_RATIO = 2.0  # in the first week, above what other days spent at this hour
SILENT_MAX = 600  # empty buckets that are caught up with
SILENT_MIN = 6  # more than twice the longest silence and so many empty buckets are no silence but an outage
PARTS_MAX = 60
NAMED_MAX = 3  # models and tools, in a finding
BY = "by "
Amount = Annotated[float, Meta(gt=0, le=1e9)]
Part = tuple[int, float, float]  # start, spent, expected


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    span_s: Annotated[int, Meta(ge=60, le=3600)] = 300  # of one value; a change begins anew
    limit: Annotated[float, Meta(gt=0, le=1e3)] = 8.0  # of the CUSUM
    record: Annotated[float, Meta(gt=0, le=1e3)] = 1.0  # ranges above the highest ever
    floor: Amount = 1.0  # currency units of excess; or a tenth of an ordinary hour, if that is more
    holds_ratio: Annotated[float, Meta(ge=1, le=100)] = 1.25  # of half an hour's cost to the expected
    cold_hour_max: Amount = 100.0  # currency units an hour, as long as nothing is known


class Rate(Struct, frozen=True, array_like=True, gc=False):
    usual: Seasonal | None = None
    parts: tuple[Part, ...] = ()  # the last hour
    span_s: int = 0  # with which it was learned
    since_s: int = 0  # of the trouble; 0: there is none
    longest: int = 0  # empty buckets in a row at hours when it works


class Rule(NamedTuple):
    usual: Limits
    holds_ratio: float


class CostRate(Bucketed[Thresholds, Rate]):
    """Hour-of-week profile, log ratio, one-sided CUSUM; or a record; and enough money above the expected.

    Subject: the agent. Only a rise is trouble: what falls, falls.
    """

    name, version, state = "cost.rate", 1, Rate
    kinds = ("model", "tool")
    by_sums = ("nano",)
    severity: Severity = "high"
    runbook = (
        "Compare sessions and cost per session with an hour ago: more work, or dearer work?\n"
        "Look at the model that costs most, and at what was released when it began.\n"
        "Throttle the agent or go back a release; if this is how it is to be, resolve it as an accepted risk."
    )
    limits = Thresholds
    minimum = "100 values of 5 minutes and the same hour of another day; before that only the limit `cold_hour_max`"
    false_alarms = "0.4 in 30 days at 0.2 to 20 sessions a minute (the weeks of benchmarks/detecting/cost.py, as facts)"

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "nano" in fact.sums else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        nano = fact.sums["nano"]
        return {"nano": nano, f"{BY}{fact.subject[4 if fact.kind == 'model' else 3]}": nano}

    def span_s(self, words: Words) -> int:
        return aligned(self.limits_for(words[1]).span_s, self.given.bucket_s)

    def closed(self, state: Rate, bucket: Bucket, words: Words) -> tuple[Rate, tuple[Finding, ...]]:
        limits, span_s = self.limits_for(words[1]), self.span_s(words)
        if state.span_s != span_s:
            state = Rate(span_s=span_s)
        rule = Rule(
            Limits(limit=limits.limit, record=limits.record, floor=limits.floor, bucket_s=span_s), limits.holds_ratio
        )
        state = _after_silence(state, bucket.at_s, rule)
        cold = state.usual is None or state.usual.n < rule.usual.warm_up or not _alike(state.usual, bucket.at_s, span_s)
        after, reading = _stepped(state, bucket.at_s, bucket.sums.get("nano", 0) / NANO, rule)
        if after.since_s:
            return after, (self._warm(after, reading, bucket, words),)
        return after, self._cold(after, bucket, words) if cold else ()

    def _cold(self, after: Rate, bucket: Bucket, words: Words) -> tuple[Finding, ...]:
        spent, most = sum(part[1] for part in after.parts), self.limits_for(words[1]).cold_hour_max
        if spent <= most:
            return ()
        return (self._finding(bucket, words, f"{spent:.2f} within an hour", f"at most {most:.2f}: a new agent"),)

    def _warm(self, after: Rate, reading: Reading, bucket: Bucket, words: Words) -> Finding:
        _, spent, expected = after.parts[-1]
        minutes = f"{after.span_s / 60:g} minutes"
        observed = f"{spent:.2f} in {minutes}; {reading.excess:.2f} beyond the expected by now"
        return self._finding(bucket, words, observed, f"about {expected:.2f} in {minutes} at this hour of the week")

    def _finding(self, bucket: Bucket, words: Words, observed: str, expected: str) -> Finding:
        _, agent, environment = words
        by = {name.removeprefix(BY): nano for name, nano in bucket.sums.items() if name.startswith(BY)}
        dearest = sorted(by, key=lambda name: (-by[name], name))[:NAMED_MAX]
        return self.found(
            {"agent": agent},
            f"{agent}: costs rise",
            identity=(agent, environment),
            at=self.when(bucket, words),
            observed=f"{observed}; most of it for {', '.join(dearest)}",
            expected=expected,
        )


def _after_silence(state: Rate, until_s: int, rule: Rule) -> Rate:
    """Empty buckets are zeros. But one that is silent when it usually works, longer than it ever was, is out of order:
    what is learned from that makes the return to normal look like a rise, now and at this hour of the coming weeks."""
    if state.usual is None:
        return state
    silent = range(state.parts[-1][0] + state.span_s, until_s, state.span_s)[-SILENT_MAX:]
    missed = sum(_works(state, at_s) for at_s in silent)
    if missed > 2 * state.longest + SILENT_MIN:
        quiet = replace(state.usual, score=0.0, excess=0.0)
        return replace(state, usual=quiet, since_s=0, longest=state.longest + 1)
    for at_s in silent:
        state, _ = _stepped(state, at_s, 0.0, rule)
    return replace(state, longest=missed) if missed > state.longest else state


def _stepped(state: Rate, at_s: int, amount: float, rule: Rule) -> tuple[Rate, Reading]:
    before = state.usual or Seasonal(level=amount)
    usual, reading = seasonal.step(before, amount, at_s, rule.usual)
    known, alike = _known(before, hour_of_week(at_s), state.span_s), _alike(before, at_s, state.span_s)
    if state.since_s and at_s - state.since_s < ACUTE_S and known:  # what is trouble is not learned as usual
        usual = replace(before, score=usual.score, excess=usual.excess)
    expected = reading.expected if known else max(reading.expected, *alike, 0.0)
    parts = tuple(part for part in state.parts if part[0] > at_s - HOUR_S)
    parts = (*parts, (at_s, amount, expected))[-PARTS_MAX:]
    ratio = rule.holds_ratio if known else max(rule.holds_ratio, GUESSED_RATIO)
    above = _above(parts, seasonal.OFFSET * before.level, ratio)
    told = above if state.since_s else reading.high and (known or (bool(alike) and above))
    if not told and (state.since_s or reading.high):
        usual = replace(usual, score=0.0, excess=0.0)
    return Rate(usual, parts, state.span_s, (state.since_s or at_s) if told else 0, state.longest), reading


def _above(parts: tuple[Part, ...], offset: float, ratio: float) -> bool:
    """The last half hour: a single value may be low by chance."""
    last = [part for part in parts if part[0] > parts[-1][0] - HOLDS_S]
    spent, expected = (sum(part[place] + offset for part in last) for place in (1, 2))
    return spent >= ratio * expected


def _works(state: Rate, at_s: int) -> bool:
    """Whether it is known to spend something at this hour."""
    usual, hour = state.usual or Seasonal(), hour_of_week(at_s)
    return _known(usual, hour, state.span_s) and usual.means[hour] >= seasonal.OFFSET * usual.level


def _alike(usual: Seasonal, at_s: int, span_s: int) -> tuple[float, ...]:
    """What is usual at this hour: of the week; or in the first week, of the days that are known."""
    hour = hour_of_week(at_s)
    hours = (hour,) if _known(usual, hour, span_s) else range(hour % 24, HOURS, 24)
    return tuple(usual.means[one] for one in hours if _known(usual, one, span_s))


def _known(usual: Seasonal, hour: int, span_s: int) -> bool:
    """From a whole hour at least: what this very hour has been like so far is no norm for the rest of it."""
    return usual.counts[hour] >= max(seasonal.BIN_MIN, HOUR_S // span_s)
