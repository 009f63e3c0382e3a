"""How many root sessions ran in a release, which of them were bad, and which were judged: what gates count."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import EvalScored, Fact, SessionEnded, SessionStarted, SessionStatus, Status
from ...step import Order, Step
from ..facts import BUCKET_S, bucket_of

BAD = (SessionStatus.failed, SessionStatus.timed_out)


class Counted(Struct, frozen=True, array_like=True, gc=False):
    """The session has been counted once."""

    ended: bool = False
    judged: bool = False  # by an evaluator that came to a result
    halted: bool = False  # by the breaker: what became of it says nothing about the release


NEW = Counted()


class ExposureFacts:
    """A session counts once, at its first start, end or evaluation; bad once per user, failure group and day.

    It counts as evaluated once it has ended and was judged, whichever came first; one that the breaker halted never does,
    and nothing that is said of it afterwards makes it bad.
    """

    name, version, memory = "facts.exposure", 1, Counted
    by_session = True
    reads: tuple[type, ...] = (SessionStarted, SessionEnded, EvalScored)
    order: Order = "near"

    def __init__(self, bucket_s: int = BUCKET_S) -> None:
        self.bucket_s = bucket_s

    def key(self, record: SessionStarted | SessionEnded | EvalScored) -> str | None:
        return record.data.ctx.session_id

    def step(self, memory: Counted | None, record: Any) -> Step[Counted]:
        ctx, known = record.data.ctx, memory or NEW
        after = _after(known, record)
        group = None if known.halted else _failure(record)
        sums = {}
        if ctx.root == ctx.session_id:
            sums = {"sessions": 1} if memory is None else {}
            if _evaluated(after) and not _evaluated(known):
                sums["evaluated"] = 1
        if not sums and group is None:
            return Step(memory if after == memory else after)
        day = record.at.date().isoformat()
        fact = Fact(
            kind="exposure",
            subject=(ctx.agent.id, ctx.agent.version, ctx.env),
            bucket=bucket_of(record.at, self.bucket_s),
            sums=sums,
            marks=(f"{ctx.user or ctx.root}|{group}|{day}",) if group else (),
        )
        return Step(memory if after == memory else after, (fact,))


def _after(known: Counted, record: Any) -> Counted:
    if isinstance(record, SessionEnded):
        return Counted(True, known.judged, known.halted or record.data.status is SessionStatus.halted)
    if isinstance(record, EvalScored) and record.data.status is Status.ok:
        return Counted(known.ended, True, known.halted)
    return known


def _evaluated(one: Counted) -> bool:
    return one.ended and one.judged and not one.halted


def _failure(record: Any) -> str | None:
    if isinstance(record, SessionEnded) and record.data.status in BAD:
        return f"session.{record.data.status.value}"
    if isinstance(record, EvalScored) and record.data.passed is False:
        return f"eval.{record.data.evaluator.name}"
    return None
