"""What a session comes to, said as facts: that it runs, what it has spent, and once it ended, everything in numbers."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import (
    Excerpt,
    Fact,
    Heartbeat,
    LlmCalled,
    PermissionChecked,
    PermissionResult,
    SessionEnded,
    SessionStarted,
    SessionStatus,
    Status,
    Tick,
    ToolCalled,
)
from ...step import Order, Step
from ..evidence import excerpt
from ..facts import BUCKET_S, SUM_MAX, bucket_of
from ..methods.sketch import index
from ..shelf import moment
from .amounts import CALL_NANO_MAX, tokens_of
from .arrival import seen
from .calls import family

NANO = 10**9
SPENT_MIN = NANO // 20  # a session is compared with its peers from 5 cents on
SPENT_STEPS = 4  # per doubling
GONE_S = 300.0  # silent for so long, having lived for less than YOUNG_S, without an end: it crashed
YOUNG_S = 600.0
GONE_AFTER = timedelta(seconds=YOUNG_S + GONE_S)
LATE = timedelta(seconds=1)  # between happening and arriving
EARLY = -LATE
BACKFILL = timedelta(days=1)  # beyond, somebody brings in the past
FLEET = "fleet"
HALTED = SessionStatus.halted.value  # by the breaker: it says nothing about the release
BAD = (SessionStatus.failed, SessionStatus.timed_out)
ERROR, TIMEOUT = Status.error, Status.timeout


class Still(Struct, frozen=True, array_like=True, gc=False):
    """What calls do not change."""

    address: tuple[str, str, str]  # agent, release, environment
    kind: str = ""  # of the task
    starts: int = 0
    ended: str = ""
    node: str = ""
    end: Excerpt | None = None
    due: datetime | None = None
    # By a start or a heartbeat: who sends neither sends no ends either, and has not vanished; nor has who waits for a
    # person's answer.
    announced: bool = False
    root: bool = True  # nobody's subagent


class Totals(Struct, frozen=True, array_like=True, gc=False):
    still: Still
    began_s: float = 0.0
    last_s: float = 0.0
    minute: int = 0  # the last one in which it was said to be alive
    models: int = 0
    tools: int = 0
    errors: int = 0
    retries: int = 0
    tokens: int = 0
    nano: int = 0
    retry_nano: int = 0
    unpriced: int = 0
    level: int = -1  # of what was spent


class SessionFacts:
    """Kinds session, exposure, spent, alive, config, crash and late. The summary waits for the clock to pass the end."""

    name, version, memory = "facts.session", 2, Totals
    by_session = True
    reads: tuple[type, ...] = (SessionStarted, LlmCalled, ToolCalled, PermissionChecked, Heartbeat, SessionEnded)
    order: Order = "near"  # the minutes in which it is said to be alive, the levels of what it spent

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: Any) -> str | None:
        session: str = record.data.ctx.session_id
        return session

    def step(self, memory: Totals | None, record: Any) -> Step[Totals]:
        kind = type(record)
        if kind is Tick:
            return self._due(memory, record.at.timestamp()) if memory else Step(None)
        at_s = record.time.timestamp()
        known = memory or _begun(record, at_s)
        said: list[Fact] = []
        if kind is ToolCalled or kind is LlmCalled:
            totals = _called(known, record, at_s)
        elif kind is SessionStarted:
            totals = self._started(known, record, at_s, said)
        else:
            totals = _seen(known, record, at_s)
        if totals.minute != known.minute:
            ctx = record.data.ctx
            said.append(self._fact("alive", (FLEET, ctx.env), record, {"events": 1}, ctx.agent.id))
        if totals.nano != known.nano and totals.nano >= SPENT_MIN:
            totals = self._spent(totals, record, said)
        recorded = record.recordedtime
        if recorded is not None and not EARLY <= recorded - record.time <= LATE:
            self._arrived(record, said)
        return Step(totals, tuple(said), totals.still.due)

    def _started(self, known: Totals, record: SessionStarted, at_s: float, said: list[Fact]) -> Totals:
        data, ctx, still = record.data, record.data.ctx, known.still
        address, kind = (ctx.agent.id, ctx.agent.version, ctx.env), (data.task and data.task.kind) or still.kind
        if still.starts and not still.ended:
            said.append(self._fact("crash", (ctx.agent.id, ctx.env), record, {"restarts": 1}, ctx.node or ""))
        elif not still.starts:
            said.append(self._fact("session", (*address, kind), record, {"started": 1}))
            hashes = {
                "prompt": data.prompt_hash,
                "tools": data.tools_hash,
                "config": data.config_hash,
                "model": data.model,
            }
            marks = [f"{what}:{value}" for what, value in hashes.items() if value]
            if marks:
                said.append(self._fact("config", address, record, {"starts": 1}, *marks))
        still = replace(still, address=address, kind=kind, starts=still.starts + 1, announced=True)
        return replace(_seen(known, record, at_s), still=still, began_s=min(known.began_s, at_s))

    def _spent(self, totals: Totals, record: Any, said: list[Fact]) -> Totals:
        level = int(math.log2(totals.nano / SPENT_MIN) * SPENT_STEPS)
        if level <= totals.level:
            return totals
        agent, _, environment = totals.still.address
        sample = excerpt(record, status=record.data.status.value, value=totals.nano / NANO)
        subject, bucket = (agent, environment, totals.still.kind), bucket_of(record.time, self.bucket_s)
        mark = f"{totals.nano}\x1f{sample.session}\x1f{totals.still.kind}"
        said.append(Fact("spent", subject, bucket, {}, marks=(mark,), samples=(sample,)))
        return replace(totals, level=level)

    def _arrived(self, record: Any, said: list[Fact]) -> None:
        ctx, lateness = record.data.ctx, record.recordedtime - record.time
        if lateness < EARLY:
            said.append(self._fact("late", (ctx.agent.id, ctx.env), record, {"ahead": 1}))
        elif lateness < BACKFILL:
            said.append(
                self._fact("late", (ctx.agent.id, ctx.env), record, {family("late", lateness.total_seconds()): 1})
            )

    def _due(self, totals: Totals, at_s: float) -> Step[Totals]:
        """The end, all late events included; or a session that vanished young."""
        still = totals.still
        if still.due is not None and still.due.timestamp() > at_s:
            return Step(totals, (), still.due)
        agent, release, environment = still.address
        bucket, after = bucket_of(moment(at_s), self.bucket_s), replace(totals, still=replace(still, due=None))
        if still.ended:
            samples = (still.end,) if still.end else ()
            subject = (agent, release, environment, still.kind)
            sums = _summary(totals)
            said = Fact(kind="session", subject=subject, bucket=bucket, sums=sums, samples=samples)
            if not still.root or still.ended == HALTED:
                return Step(after, (said,))
            return Step(after, (said, Fact("exposure", still.address, bucket, _measured(sums))))
        silent = at_s - totals.last_s >= GONE_S and totals.last_s - totals.began_s <= YOUNG_S
        if not still.announced or not silent:
            return Step(after)
        marks = (still.node,) if still.node else ()
        said = Fact(kind="crash", subject=(agent, environment), bucket=bucket, sums={"vanished": 1}, marks=marks)
        return Step(after, (said,))

    def _fact(self, kind: str, subject: tuple[str, ...], record: Any, sums: dict[str, int], *marks: str) -> Fact:
        bucket = bucket_of(record.time, self.bucket_s)
        return Fact(kind=kind, subject=subject, bucket=bucket, sums=sums, marks=tuple(mark for mark in marks if mark))


def _begun(record: Any, at_s: float) -> Totals:
    ctx = record.data.ctx
    address = (ctx.agent.id, ctx.agent.version, ctx.env)
    due = seen(record) + GONE_AFTER
    root = ctx.root == ctx.session_id
    return Totals(Still(address, node=ctx.node or "", due=due, root=root), began_s=at_s, last_s=at_s)


def _seen(known: Totals, record: Any, at_s: float) -> Totals:
    """After an event that is no call."""
    still, last_s, minute = known.still, max(known.last_s, at_s), max(known.minute, int(at_s) // 60)
    if isinstance(record, SessionEnded) and not still.ended:
        status = record.data.status
        end = excerpt(record, status=status.value) if status in BAD else None
        still = replace(still, ended=status.value, end=end, due=record.time)
    elif isinstance(record, Heartbeat) and not still.announced:
        still = replace(still, announced=True)
    elif isinstance(record, PermissionChecked) and still.starts and still.announced is _waits(record):
        still = replace(still, announced=not still.announced)
    elif (last_s, minute) == (known.last_s, known.minute):
        return known
    return replace(known, still=still, last_s=last_s, minute=minute)


def _waits(record: PermissionChecked) -> bool:
    return record.data.result is PermissionResult.pending


def _called(known: Totals, record: LlmCalled | ToolCalled, at_s: float) -> Totals:
    """On every call, hence without `replace`, `min` and `max`."""
    data, minute, cost = record.data, int(at_s) // 60, record.data.cost
    tokens, unpriced, tool = known.tokens, known.unpriced, type(record) is ToolCalled
    if not tool and data.tokens is not None:  # type: ignore[union-attr]
        tokens = min(tokens + tokens_of(record), SUM_MAX)  # type: ignore[arg-type]
        unpriced += cost is None
    retried = data.retry_of is not None or (data.attempt is not None and data.attempt > 1)
    nano, retry_nano = known.nano, known.retry_nano
    paid = cost.nano if cost is not None else 0
    if 0 < paid <= CALL_NANO_MAX:
        nano = min(nano + paid, SUM_MAX)
        retry_nano = min(retry_nano + paid, SUM_MAX) if retried else retry_nano
    return Totals(
        known.still,
        at_s if at_s < known.began_s else known.began_s,  # noqa: FURB136 - see above
        at_s if at_s > known.last_s else known.last_s,  # noqa: FURB136
        minute if minute > known.minute else known.minute,  # noqa: FURB136
        known.models if tool else known.models + 1,
        known.tools + 1 if tool else known.tools,
        known.errors + 1 if tool and (data.status is ERROR or data.status is TIMEOUT) else known.errors,
        known.retries + 1 if retried else known.retries,
        tokens,
        nano,
        retry_nano,
        unpriced,
        known.level,
    )


def _summary(totals: Totals) -> dict[str, int]:
    ms, steps = round((totals.last_s - totals.began_s) * 1000), totals.models + totals.tools
    sums = {"ended": 1, totals.still.ended: 1, "ms": ms, "steps": steps, "tokens": totals.tokens, "nano": totals.nano}
    more = {
        "models": totals.models,
        "tools": totals.tools,
        "errors": totals.errors,
        "retries": totals.retries,
        "retry_nano": totals.retry_nano,
        "unpriced": totals.unpriced,
    }
    sums |= {name: value for name, value in more.items() if value}
    sums[f"ms#{index(ms)}"] = sums[f"steps#{index(steps)}"] = sums[f"tokens#{index(totals.tokens)}"] = 1
    if totals.nano:
        sums[f"cost#{index(totals.nano / NANO)}"] = 1
    return sums


def _measured(sums: dict[str, int]) -> dict[str, int]:
    """What gates compare of a session that ended."""
    families = ("cost#", "ms#", "steps#")
    return {"ended": 1, **{name: n for name, n in sums.items() if name.startswith(families)}}
