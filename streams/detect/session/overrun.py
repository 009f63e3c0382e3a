"""A piece of work that goes on too long, takes too many steps, or is handed down too deep."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Ctx, Finding, Heartbeat, LlmCalled, SessionEnded, SessionStarted, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from .arrival import AHEAD, LATE, minutes

AGAIN = timedelta(minutes=5)
EARLY = -AHEAD
RUNNING = "running"
DURATION, STEPS, DEPTH = "duration", "steps", "depth"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    duration_s: Annotated[float, Meta(gt=0, le=1e9)] = 1800.0
    steps_max: Annotated[int, Meta(ge=1)] = 1000  # calls of models and tools, those of subagents included
    depth_max: Annotated[int, Meta(ge=0, le=1000)] = 3  # of delegation; `depth_max` of an agent's rule takes its place


class Span(Struct, frozen=True, array_like=True, gc=False):
    first: datetime
    newest: datetime


class Run(Struct, frozen=True, array_like=True, gc=False):
    """Events that came on time and those that came late are measured apart: their clocks cannot be compared."""

    steps: int = 0
    first: datetime | None = None
    newest: datetime | None = None
    root: str = ""  # its agent, once it was heard
    late: Span | None = None
    told: dict[str, datetime] = {}


NONE = Run()


class SessionOverrun(SessionDetector[Thresholds]):
    """Subject: the root session's agent and what there is too much of. All three only grow: order does not matter."""

    name, version, memory = "session.overrun", 1, Run
    reads: tuple[type, ...] = (SessionStarted, Heartbeat, LlmCalled, ToolCalled, SessionEnded)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Open the session: is it getting on, or going round in circles?\n"
        "Stop it if nobody waits for its result any more.\n"
        "If this agent's work is like that, raise its own limit in the policy."
    )
    limits = Thresholds
    of_root = True
    false_alarms = "rule: no statistics; none in the 330 sessions of the given tau2 files"

    def step(self, memory: Run | None, record: Any) -> Step[Run]:
        run = memory if memory is not None else NONE
        kind, ctx, root = type(record), record.data.ctx, run.root
        stepped = kind is ToolCalled or kind is LlmCalled
        if not stepped and kind is Heartbeat and record.data.state != RUNNING:
            return Step(memory)  # waiting is not running
        if not root and (ctx.root_session_id is None or ctx.root_session_id == ctx.session_id):
            root = ctx.agent.id
        at, recorded, first, newest = record.time, record.recordedtime, run.first, run.newest
        if recorded is not None and not EARLY <= recorded - at <= LATE:
            return self._strange(run, record, run.steps + stepped, root)
        if first is None or newest is None:
            first = newest = at
        elif at > newest:
            newest = at
        elif at < first:
            first = at
        elif not stepped and root == run.root:
            return self._judged(run, record, newest - first)
        after = Run(run.steps + stepped, first, newest, root, run.late, run.told)
        limits = self.limits_for(root) if self._overrides else self.thresholds
        span, depth = newest - first, ctx.depth
        deep = depth and (depth > limits.depth_max or self.given.agents)
        if not deep and after.steps <= limits.steps_max and span.total_seconds() <= limits.duration_s:
            return Step(after)
        return self._judged(after, record, span)

    def _strange(self, run: Run, record: Any, steps: int, root: str) -> Step[Run]:
        """Its own time is an hour off, or long ago; one from the future is not measured at all."""
        at, late = record.time, run.late
        if at < record.recordedtime:
            late = Span(at, at) if late is None else Span(min(late.first, at), max(late.newest, at))
        after = Run(steps, run.first, run.newest, root, late, run.told)
        after = run if after == run else after
        return self._judged(after, record, late.newest - late.first if late else timedelta(0))

    def _judged(self, run: Run, record: Any, span: timedelta) -> Step[Run]:
        ctx: Ctx = record.data.ctx
        limits = self.limits_for(run.root)
        depth, deepest = ctx.depth or 0, self._depth_max(run.root, ctx, limits)
        said: list[Finding] = []
        for what, over, seen, limit in (
            (DURATION, span.total_seconds() > limits.duration_s, minutes(span), _minutes(limits.duration_s)),
            (STEPS, run.steps > limits.steps_max, str(run.steps), str(limits.steps_max)),
            (DEPTH, depth > deepest, str(depth), str(deepest)),
        ):
            told = run.told.get(what)
            if over and (told is None or record.at - told >= AGAIN):
                said.append(self._finding(run, record, what, (seen, limit)))
        if not said:
            return Step(run)
        told_now = {one.subject["limit"]: record.at for one in said}
        return Step(replace(run, told={**run.told, **told_now}), tuple(said))

    def _depth_max(self, root: str, ctx: Ctx, limits: Thresholds) -> int:
        rules = (self.rules(agent).depth_max for agent in (root, ctx.agent.id))
        return min((one for one in rules if one is not None), default=limits.depth_max)

    def _finding(self, run: Run, record: Any, what: str, numbers: tuple[str, str]) -> Finding:
        ctx: Ctx = record.data.ctx
        agent = run.root or ctx.agent.id
        title = {
            DURATION: "a session runs too long",
            STEPS: "a session takes too many steps",
            DEPTH: "work is handed down too deep",
        }[what]
        return self.found(
            {"agent": agent, "limit": what},
            f"{agent}: {title}",
            at=record.at,
            observed=f"{what}: {numbers[0]}",
            expected=f"at most {numbers[1]}",
            evidence=(excerpt(record),),
            releases=releases_of(ctx) if agent == ctx.agent.id else (),
        )


def _minutes(seconds: float) -> str:
    return minutes(timedelta(seconds=seconds))
