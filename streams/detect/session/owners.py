"""Sessions whose attribution names no team, for the question whether somebody owns their agent."""

from __future__ import annotations

from ...records import Fact, SessionStarted
from ...step import Order, Step
from ..detector import Nothing
from ..evidence import excerpt
from ..facts import BUCKET_S, bucket_of

INTAKE = "intake:"  # what intake says about messages that it could not use


class OwnerFacts:
    """Kind owner. A subagent belongs to whoever owns its root session."""

    name, version, memory = "facts.owner", 1, Nothing
    by_session = True
    reads: tuple[type, ...] = (SessionStarted,)
    order: Order = "free"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: SessionStarted) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Nothing | None, record: SessionStarted) -> Step[Nothing]:
        data, ctx = record.data, record.data.ctx
        operator = data.attribution.operator if data.attribution else None
        if (operator and operator.team) or ctx.root != ctx.session_id or ctx.session_id.startswith(INTAKE):
            return Step(memory)
        samples = (excerpt(record, text=f"from {record.source[:200]}"),)
        bucket = bucket_of(record.time, self.bucket_s)
        return Step(memory, (Fact("owner", (ctx.agent.id, ctx.env), bucket, {"sessions": 1}, samples=samples),))
