"""What permissions and heartbeats contribute to wider questions."""

from __future__ import annotations

import math

from ...records import Fact, Heartbeat, PermissionChecked, PermissionResult
from ...step import Order, Step
from ..detector import Nothing
from ..evidence import excerpt
from ..facts import BUCKET_S, bucket_of

MICRO = 10**6
NUMBER_MAX = 1e9


class PermissionFacts:
    """Kind permission: per action, with the sessions that were denied."""

    name, version, memory = "facts.permission", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (PermissionChecked,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: PermissionChecked) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: PermissionChecked) -> Step[Nothing]:
        data, ctx = record.data, record.data.ctx
        denied = data.result is PermissionResult.denied
        subject, bucket = (ctx.agent.id, ctx.env, data.action), bucket_of(record.at, self.bucket_s)
        if not denied:
            return Step(memory, (Fact("permission", subject, bucket, {data.result.value: 1}),))
        sample = excerpt(record, status="denied", tool=data.action, text=f"decided by {data.decided_by.kind}")
        sums = {"denied": 1, f"denied_by_{data.decided_by.kind}": 1}
        return Step(memory, (Fact("permission", subject, bucket, sums, marks=(ctx.root,), samples=(sample,)),))


class NumberFacts:
    """Kind number: what an agent measures of itself, in its heartbeats, in millionths. Absurd numbers are left out."""

    name, version, memory = "facts.number", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (Heartbeat,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: Heartbeat) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: Heartbeat) -> Step[Nothing]:
        ctx, bucket = record.data.ctx, bucket_of(record.at, self.bucket_s)
        said = [
            Fact("number", (ctx.agent.id, ctx.env, name), bucket, {"n": 1, "micro": round(value * MICRO)})
            for name, value in (record.data.numbers or {}).items()
            if math.isfinite(value) and abs(value) <= NUMBER_MAX
        ]
        return Step(memory, tuple(said))
