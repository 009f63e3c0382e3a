"""What a session comes to, said as facts: that it runs, what it has spent, and once it ended, everything in numbers."""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import (
    Excerpt,
    Fact,
    Heartbeat,
    LlmCalled,
    SessionEnded,
    SessionStarted,
    SessionStatus,
    Status,
    Tick,
    ToolCalled,
)
from ...step import Order, Step
from ..facts import BUCKET_S, SUM_MAX, bucket_of
from ..fold import excerpt
from ..methods.sketch import index
from ..shelf import moment

NANO = 10**9
SPENT_MIN = NANO // 20  # a session is compared with its peers from 5 cents on
SPENT_STEPS = 4  # per doubling
GONE_S = 300.0  # silent for so long, having lived for less than YOUNG_S, without an end: it crashed
YOUNG_S = 600.0
LATE_S = 1.0  # between happening and arriving
BACKFILL_S = 24 * 3600.0  # beyond, somebody brings in the past
FLEET = "fleet"
BAD = (SessionStatus.failed, SessionStatus.timed_out)
FAILING = (Status.error, Status.timeout)


class Totals(Struct, frozen=True, array_like=True):
    address: tuple[str, str, str]  # agent, release, environment
    kind: str = ""  # of the task
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
    starts: int = 0
    ended: str = ""
    node: str = ""
    due_s: float = 0.0
    end: Excerpt | None = None


class SessionFacts:
    """Kinds session, spent, alive, config, crash and late. The summary waits for the clock to pass the end."""

    name, version, memory = "facts.session", 1, Totals
    reads: tuple[type, ...] = (SessionStarted, LlmCalled, ToolCalled, Heartbeat, SessionEnded)
    order: Order = "near"  # the minutes in which it is said to be alive, the levels of what it spent

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: Any) -> str | None:
        session: str = record.data.ctx.session_id
        return session

    def step(self, memory: Totals | None, record: Any) -> Step[Totals]:
        if isinstance(record, Tick):
            return self._due(memory, record.at.timestamp()) if memory else Step(None)
        at_s, ctx = record.time.timestamp(), record.data.ctx
        said: list[Fact] = []
        known = memory
        if known is None:
            address = (ctx.agent.id, ctx.agent.version, ctx.env)
            known = Totals(address, began_s=at_s, last_s=at_s, node=ctx.node or "", due_s=at_s + YOUNG_S + GONE_S)
        totals = self._added(known, record, at_s, said)
        if totals.minute != known.minute:
            said.append(self._fact("alive", (FLEET, ctx.env), record, {"events": 1}, ctx.agent.id))
        if totals.nano != known.nano and totals.nano >= SPENT_MIN:
            totals = self._spent(totals, record, said)
        if record.recordedtime is not None:
            self._arrived(record, said)
        return Step(totals, tuple(said), moment(totals.due_s) if totals.due_s else None)

    def _added(self, known: Totals, record: Any, at_s: float, said: list[Fact]) -> Totals:
        if isinstance(record, LlmCalled | ToolCalled):
            return _called(known, record, at_s)
        if isinstance(record, SessionStarted):
            return self._started(known, record, at_s, said)
        last_s, minute = max(known.last_s, at_s), max(known.minute, int(at_s) // 60)
        if isinstance(record, SessionEnded) and not known.ended:
            status = record.data.status
            end = excerpt(record, status=status.value) if status in BAD else None
            return replace(known, ended=status.value, end=end, last_s=last_s, minute=minute, due_s=at_s)
        return (
            known if (last_s, minute) == (known.last_s, known.minute) else replace(known, last_s=last_s, minute=minute)
        )

    def _started(self, known: Totals, record: SessionStarted, at_s: float, said: list[Fact]) -> Totals:
        data, ctx = record.data, record.data.ctx
        address, kind = (ctx.agent.id, ctx.agent.version, ctx.env), (data.task and data.task.kind) or known.kind
        if known.starts:
            crashed = self._fact("crash", (ctx.agent.id, ctx.env), record, {"restarts": 1}, ctx.node or "")
            said.append(crashed)
        else:
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
        return replace(
            known,
            address=address,
            kind=kind,
            began_s=min(known.began_s, at_s),
            last_s=max(known.last_s, at_s),
            minute=max(known.minute, int(at_s) // 60),
            starts=known.starts + 1,
        )

    def _spent(self, totals: Totals, record: Any, said: list[Fact]) -> Totals:
        level = int(math.log2(totals.nano / SPENT_MIN) * SPENT_STEPS)
        if level <= totals.level:
            return totals
        agent, _, environment = totals.address
        sample = excerpt(record, status=record.data.status.value, value=totals.nano / NANO)
        subject, bucket = (agent, environment, totals.kind), bucket_of(record.time, self.bucket_s)
        said.append(Fact(kind="spent", subject=subject, bucket=bucket, sums={}, samples=(sample,)))
        return replace(totals, level=level)

    def _arrived(self, record: Any, said: list[Fact]) -> None:
        lateness_s, ctx = (record.recordedtime - record.time).total_seconds(), record.data.ctx
        if LATE_S < lateness_s < BACKFILL_S:
            said.append(self._fact("late", (ctx.agent.id, ctx.env), record, {f"late#{index(lateness_s)}": 1}))
        elif lateness_s < -LATE_S:
            said.append(self._fact("late", (ctx.agent.id, ctx.env), record, {"ahead": 1}))

    def _due(self, totals: Totals, at_s: float) -> Step[Totals]:
        """The end, all late events included; or a session that vanished young."""
        if totals.due_s > at_s:
            return Step(totals, (), moment(totals.due_s))
        agent, release, environment = totals.address
        bucket, after = bucket_of(moment(at_s), self.bucket_s), replace(totals, due_s=0.0)
        if totals.ended:
            samples = (totals.end,) if totals.end else ()
            subject = (agent, release, environment, totals.kind)
            said = Fact(kind="session", subject=subject, bucket=bucket, sums=_summary(totals), samples=samples)
            return Step(after, (said,))
        if at_s - totals.last_s < GONE_S or totals.last_s - totals.began_s > YOUNG_S:
            return Step(after)
        marks = (totals.node,) if totals.node else ()
        said = Fact(kind="crash", subject=(agent, environment), bucket=bucket, sums={"vanished": 1}, marks=marks)
        return Step(after, (said,))

    def _fact(self, kind: str, subject: tuple[str, ...], record: Any, sums: dict[str, int], *marks: str) -> Fact:
        bucket = bucket_of(record.time, self.bucket_s)
        return Fact(kind=kind, subject=subject, bucket=bucket, sums=sums, marks=tuple(mark for mark in marks if mark))


def _called(known: Totals, record: LlmCalled | ToolCalled, at_s: float) -> Totals:
    data, minute = record.data, int(at_s) // 60
    model, tokens, unpriced = type(record) is LlmCalled, known.tokens, known.unpriced
    if model and data.tokens is not None:  # type: ignore[union-attr]
        tokens = min(tokens + data.tokens.input + data.tokens.output, SUM_MAX)  # type: ignore[union-attr]
        unpriced += data.cost is None
    nano, retried = data.cost.nano if data.cost is not None else 0, data.retry_of is not None or (data.attempt or 0) > 1
    return Totals(
        known.address,
        known.kind,
        at_s if at_s < known.began_s else known.began_s,  # noqa: FURB136 - twice as fast, and on every call
        at_s if at_s > known.last_s else known.last_s,  # noqa: FURB136 - as above
        minute if minute > known.minute else known.minute,  # noqa: FURB136 - as above
        known.models + model,
        known.tools + (not model),
        known.errors + (not model and data.status in FAILING),
        known.retries + retried,
        tokens,
        min(known.nano + nano, SUM_MAX),
        min(known.retry_nano + (nano if retried else 0), SUM_MAX),
        unpriced,
        known.level,
        known.starts,
        known.ended,
        known.node,
        known.due_s,
        known.end,
    )


def _summary(totals: Totals) -> dict[str, int]:
    ms, steps = round((totals.last_s - totals.began_s) * 1000), totals.models + totals.tools
    sums = {"ended": 1, totals.ended: 1, "ms": ms, "steps": steps, "tokens": totals.tokens, "nano": totals.nano}
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
