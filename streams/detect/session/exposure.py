"""How many root sessions ran in a release, and which of them were bad: what gates count."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import EvalScored, Fact, SessionEnded, SessionStarted, SessionStatus
from ...step import Order, Step
from ..facts import BUCKET_S, bucket_of

BAD = (SessionStatus.failed, SessionStatus.timed_out)


class Counted(Struct, frozen=True, array_like=True, gc=False):
    """The session has been counted once."""


class ExposureFacts:
    """A session counts once, at its first start, end or evaluation; bad once per user, failure group and day."""

    name, version, memory = "facts.exposure", 1, Counted
    by_session = True
    reads: tuple[type, ...] = (SessionStarted, SessionEnded, EvalScored)
    order: Order = "near"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: SessionStarted | SessionEnded | EvalScored) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Counted | None, record: Any) -> Step[Counted]:
        ctx, group = record.data.ctx, _failure(record)
        counts = memory is None and ctx.root == ctx.session_id
        if not counts and group is None:
            return Step(memory or Counted())
        day = record.at.date().isoformat()
        fact = Fact(
            kind="exposure",
            subject=(ctx.agent.id, ctx.agent.version, ctx.env),
            bucket=bucket_of(record.at, self.bucket_s),
            sums={"sessions": 1} if counts else {},
            marks=(f"{ctx.user or ctx.root}|{group}|{day}",) if group else (),
        )
        return Step(memory or Counted(), (fact,))


def _failure(record: Any) -> str | None:
    if isinstance(record, SessionEnded) and record.data.status in BAD:
        return f"session.{record.data.status.value}"
    if isinstance(record, EvalScored) and record.data.passed is False:
        return f"eval.{record.data.evaluator.name}"
    return None
