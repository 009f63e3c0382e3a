"""Counts for the summary, said by a decider of its own shape, so that echoes are counted once here too."""

from __future__ import annotations

from typing import Any, get_args

from msgspec import Struct
from msgspec.structs import replace

from ..records import AgentEvent, EvalScored, LlmCalled, SessionEnded, SessionStatus, Status, ToolCalled
from ..step import Order, Step


class Counted(Struct, frozen=True):
    """What one event adds."""

    name: str
    amount: int = 1


class Seen(Struct, frozen=True, array_like=True):
    """Of one session. Priced once, priced for good; unpriced only while no call had a price."""

    priced: bool = False
    unpriced: bool = False


class Tally:
    """Key: the session. Says what is new about it."""

    name, version, memory = "replay.tally", 1, Seen
    reads: tuple[type, ...] = get_args(AgentEvent)
    order: Order = "free"

    def key(self, record: Any) -> str | None:
        key: str = record.data.ctx.session_id
        return key

    def step(self, memory: Seen | None, record: Any) -> Step[Seen]:
        said = [Counted("sessions")] if memory is None else []
        seen = memory or Seen()
        if isinstance(record, LlmCalled):
            after = _priced(seen, record)
            if after.unpriced != seen.unpriced:
                said.append(Counted("sessions_unpriced", 1 if after.unpriced else -1))
            return Step(after, (*said, Counted("model_calls")))
        if isinstance(record, ToolCalled):
            said += _tool(record)
        elif isinstance(record, EvalScored):
            said += _evaluation(record)
        elif isinstance(record, SessionEnded) and record.data.status == SessionStatus.failed:
            said.append(Counted("sessions_failed"))
        return Step(seen, tuple(said))


def _priced(seen: Seen, record: LlmCalled) -> Seen:
    if record.data.cost is not None:
        return Seen(priced=True)
    return replace(seen, unpriced=True) if record.data.tokens is not None and not seen.priced else seen


def _tool(record: ToolCalled) -> list[Counted]:
    failed = record.data.status in (Status.error, Status.timeout)
    return [Counted("tool_calls"), *([Counted("tool_errors")] if failed else [])]


def _evaluation(record: EvalScored) -> list[Counted]:
    said = [Counted("evaluations")]
    if record.data.passed is False:
        said.append(Counted("evaluations_failed"))
    elif record.data.status != Status.ok:
        said.append(Counted("evaluations_broken"))
    return said
