"""What becomes of a refused message: a dead letter, and an event in the timeline that says so."""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from ..records import Agent, Ctx, DeadLetter, IntakeRejected, IntakeRejectedData, Position
from ..records.deadletters import appended
from .reasons import Rejection
from .redact import Redactor

SESSION_MAX = 256


class Message(Protocol):
    """A Kafka record, as far as intake looks at it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


def refusal(
    rejection: Rejection, message: Message, source: str, redactor: Redactor, found: list[str]
) -> tuple[DeadLetter, IntakeRejected]:
    """`source` is `topic/epoch/partition`. A message whose agent nobody can make out is counted for its partition."""
    position = Position(source, message.offset)
    at = appended(message.timestamp)
    agent = redactor.text(rejection.agent, SESSION_MAX, found)
    letter = DeadLetter(
        reason=rejection.reason.value,
        errors=rejection.errors,
        position=position,
        value=message.value,
        key=message.key,
        at=at,
        agent=agent or None,
    )
    digest = blake2b(message.value or b"", digest_size=16).hexdigest()
    return redactor.letter(letter, found, digest), _event(rejection, position, agent, message.timestamp)


def _event(rejection: Rejection, position: Position, agent: str, timestamp_ms: int) -> IntakeRejected:
    topic, _, partition = position.source.split("/")
    name = agent or f"{topic}/{partition}"
    session = f"intake:{name}"[:SESSION_MAX]
    return IntakeRejected(
        specversion="1.0",
        id=f"rejected/{position}",
        source="/tocsin/intake",
        time=appended(timestamp_ms),
        data=IntakeRejectedData(
            ctx=Ctx(session_id=session, run_id="intake", agent=Agent(id=name)),
            reason=rejection.reason.value,
            pointer=rejection.pointer,
            detail=rejection.detail,
            rejected=position,
        ),
    )
