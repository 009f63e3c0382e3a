"""Tools that have become slow, each against what it was like in the last week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..methods import sketch
from ..methods.sketch import Sketch
from ..methods.surprise import surprise
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

SPAN_S, DAY_S = 60, 86_400
TOOLS_MAX = 64  # of an agent: the least used are forgotten
DAY_KEPT = 400  # calls of a day that are kept, scaled down …
WEEK_KEPT = 7 * DAY_KEPT  # … so that a week is what a sketch of so many remembers
KNOWN_MIN = 100  # calls, until it is known what is usual
SLOW_Q = 0.95
BETWEEN = "\x1f"
Parts = tuple[tuple[int, dict[int, int]], ...]  # start and counts of the closed buckets in the window


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ratio_min: Annotated[float, Meta(gt=1, le=1e6)] = 2.5  # p95 now to p95 of the last week
    holds_ratio: Annotated[float, Meta(ge=1, le=1e6)] = 1.5  # while it is as high, it is not over
    floor_ms: Annotated[float, Meta(ge=0, le=1e9)] = 1000.0  # a p95 below is fast enough
    calls_min: Annotated[int, Meta(ge=5, le=10**6)] = 20  # in the window
    window_s: Annotated[int, Meta(ge=60, le=3600)] = 600
    surprise_min: Annotated[float, Meta(ge=0, le=100)] = 4.0  # 4: one chance in ten thousand for so many slow calls


class Tool(Struct, frozen=True, array_like=True, gc=False):
    week: Sketch = Sketch()
    today: Sketch = Sketch()
    parts: Parts = ()
    since_s: int = 0  # slow since; 0: it is not


class Tools(Struct, frozen=True, array_like=True, gc=False):
    day: int = 0
    known: dict[str, Tool] = {}


class ToolLatency(Bucketed[Thresholds, Tools]):
    """p95 of a tool's calls in 10 minutes against its p95 of the last week, and more slow calls than chance makes.

    Subject: agent and tool.
    """

    name, version, state = "tool.latency", 1, Tools
    kinds = ("tool",)
    severity: Severity = "medium"
    runbook = (
        "Look at the tool's own service: load, queue, last deployment.\n"
        "Compare with other agents that use it: slow for all of them, or for this one's arguments?\n"
        "Give the calls a timeout and a retry with pause, or take work away from it."
    )
    limits = Thresholds
    minimum = "100 calls known, of days before or of today; 20 calls in the window; before that nothing"
    false_alarms = "none in 480 days of healthy tools, lognormal latencies of sigma 0.5 to 1.2 (seeded simulation)"

    def span_s(self, words: Words) -> int:
        return aligned(SPAN_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        place = f"{fact.subject[3]}{BETWEEN}{fact.subject[4]}{BETWEEN}"
        return {f"{place}{name[3:]}": n for name, n in fact.sums.items() if name.startswith("ms#")}

    def closed(self, state: Tools, bucket: Bucket, words: Words) -> tuple[Tools, tuple[Finding, ...]]:
        known = dict(state.known)
        day = bucket.at_s // DAY_S
        if day != state.day:
            known = {name: _slept(tool) for name, tool in known.items()}
        called = _called(bucket)
        limits, said = self.limits_for(words[1]), []
        for name in sorted({*called, *(name for name, tool in known.items() if tool.parts or tool.since_s)}):
            tool = _moved(known.get(name) or Tool(), bucket.at_s, called.get(name, {}), limits)
            known[name] = tool
            if tool.since_s and name in called:
                said.append(self._finding(name, tool, bucket, words))
        if len(known) > TOOLS_MAX:
            kept = sorted(known, key=lambda name: (_used(known[name]), name))[-TOOLS_MAX:]
            known = {name: known[name] for name in sorted(kept)}
        return Tools(day, known), tuple(said)

    def _finding(self, name: str, tool: Tool, bucket: Bucket, words: Words) -> Finding:
        _, agent, environment = words
        called, _, server = name.partition(BETWEEN)
        now, usual = _now(tool), _usual(tool)
        limits = self.limits_for(agent)
        return self.found(
            {"agent": agent, "tool": called},
            f"{agent}: tool {called} has become slow",
            identity=(agent, called, environment),
            at=self.when(bucket, words),
            count=now.total,
            observed=f"95 % of {now.total} calls in {limits.window_s / 60:g} minutes took up to "
            f"{sketch.quantile(now, SLOW_Q):.0f} ms",
            expected=f"up to {sketch.quantile(usual, SLOW_Q):.0f} ms, as in the last week",
            dependency=server or called,
        )


def _called(bucket: Bucket) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for name, n in bucket.sums.items():
        place, _, index = name.rpartition(BETWEEN)
        if place:
            found.setdefault(place, {})[int(index)] = n
    return found


def _moved(tool: Tool, at_s: int, counts: dict[int, int], limits: Thresholds) -> Tool:
    parts = (*tool.parts, (at_s, counts)) if counts else tool.parts
    left = tuple(part for part in parts if part[0] <= at_s - limits.window_s)
    tool = replace(tool, parts=parts[len(left) :])
    if not tool.since_s or at_s - tool.since_s >= DAY_S:  # what is slow is not learned as usual, for a day
        for _, old in left:
            tool = replace(tool, today=sketch.add(tool.today, old))
    since_s = tool.since_s or at_s
    return replace(tool, since_s=since_s if _slow(tool, limits) else 0)


def _slow(tool: Tool, limits: Thresholds) -> bool:
    now, usual = _now(tool), _usual(tool)
    if usual.total < KNOWN_MIN or now.total < (1 if tool.since_s else limits.calls_min):
        return False
    p95, before = sketch.quantile(now, SLOW_Q), sketch.quantile(usual, SLOW_Q)
    if tool.since_s:
        return p95 >= max(limits.floor_ms, limits.holds_ratio * before)
    if p95 < max(limits.floor_ms, limits.ratio_min * before):
        return False
    slow = sum(n for index, n in now.counts.items() if sketch.value(index) > before)
    return surprise(slow, (1 - SLOW_Q) * now.total) >= limits.surprise_min


def _now(tool: Tool) -> Sketch:
    merged: dict[int, int] = {}
    for _, counts in tool.parts:
        for index, n in counts.items():
            merged[index] = merged.get(index, 0) + n
    return Sketch(merged, sum(merged.values()))


def _usual(tool: Tool) -> Sketch:
    """The days before; on the first of them what is known of it. The window itself is not in it yet."""
    return tool.week if tool.week.total >= KNOWN_MIN else tool.today


def _slept(tool: Tool) -> Tool:
    """A day is over: it becomes part of the week, in a weight that no busy day exceeds."""
    today = tool.today
    while today.total > DAY_KEPT:
        today = sketch.halved(today)
    return replace(tool, week=sketch.add(tool.week, today.counts, WEEK_KEPT), today=Sketch())


def _used(tool: Tool) -> int:
    return tool.week.total + tool.today.total + _now(tool).total
