"""One line of a file as intake would read it from Kafka, and what only a story holds: deliveries and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from ..intake.cloudevents import AHEAD_TRUSTED, EARLIEST, Reader, Rules
from ..intake.explain import DELIVERY_TYPES, refused
from ..intake.reasons import Reason, Rejection
from ..intake.redact import Redactor
from ..intake.refusals import refusal
from ..prices import Prices
from ..records import (
    Acknowledgement,
    AgentEvent,
    DeadLetter,
    DeliveryEvent,
    IntakeRejected,
    LlmCalled,
    Outcome,
    Position,
    Silence,
)

SOURCE = "replay/1/0"
ANY_TIME = datetime.max.replace(tzinfo=UTC)  # nothing is ahead of it: the time is judged when it is known
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # so that whatever is waited for afterwards is a date too
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_delivery = msgspec.json.Decoder(DeliveryEvent)
_said = msgspec.json.Decoder(Outcome | Acknowledgement | Silence)


class Refused(NamedTuple):
    """What becomes of a line that cannot be used."""

    letter: DeadLetter
    event: IntakeRejected


class _Line(NamedTuple):
    """As a Kafka record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Reading:
    """`recordedtime` stands for Kafka's clock; without one, an event's own time does."""

    def __init__(self, rules: Rules = (), redactor: Redactor | None = None, prices: Prices | None = None) -> None:
        self._reader, self._redactor, self._prices = Reader(rules), redactor or Redactor(), prices
        self.redacted: list[str] = []

    def read(self, line: bytes, number: int) -> Any:
        """An event with its position, a delivery event, what a person decided, or the Rejection."""
        event: Any = self._reader.read(line, ANY_TIME)
        if isinstance(event, Rejection):
            found = self._other(line, number, event) if event.reason == Reason.unknown_type else event
            return found if isinstance(found, Rejection) else _before_the_end(found, found.at)
        rejection = self._reader.check(event, _appended(event))
        return rejection or _before_the_end(self._placed(event, number), event.time)

    def refusal(self, rejection: Rejection, line: bytes, number: int, at: datetime | None) -> Refused:
        """`at` is the time of the replay, when there is one yet."""
        milliseconds = ((at or EARLIEST) - EPOCH) // timedelta(milliseconds=1)
        letter, event = refusal(
            rejection, _Line(number, milliseconds, None, line), SOURCE, self._redactor, self.redacted
        )
        event.position = Position(SOURCE, number)
        return Refused(letter, event)

    def _placed(self, event: AgentEvent, number: int) -> AgentEvent:
        if self._prices and isinstance(event, LlmCalled) and event.data.cost is None:
            self._prices.event(event)
        event = self._redactor.event(event, self.redacted)
        event.position = Position(SOURCE, number)
        return event

    def _other(self, line: bytes, number: int, rejection: Rejection) -> Any:
        kind = msgspec.json.decode(line)
        if kind.get("type") in DELIVERY_TYPES:
            try:
                event = _delivery.decode(line)
            except (msgspec.MsgspecError, RecursionError) as error:
                return refused(line, error, DELIVERY_TYPES)
            event.position = Position(SOURCE, number)
            return event
        if kind.get("record") in ("outcome", "acknowledgement", "silence"):
            return _decision(line)
        return rejection


def trusted(event: Any) -> bool:
    """Whether the event may move the clock: one that is too far ahead of its arrival may not."""
    ahead: timedelta = event.time - _appended(event)
    return ahead <= AHEAD_TRUSTED


def rules_of(sources: Sequence[Any]) -> Rules:
    return tuple((source.source, tuple(source.agents)) for source in sources)


def _before_the_end(read: Any, at: datetime) -> Any:
    return Rejection(Reason.time_out_of_range, ("/time: must be before the year 9000",)) if at >= LATEST else read


def _appended(event: Any) -> datetime:
    at: datetime = event.recordedtime or event.time
    return at


def _decision(line: bytes) -> Any:
    try:
        said = _said.decode(line)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        return Rejection(Reason.invalid, (f"{path.strip('`$').replace('.', '/')}: {message}",))
    if said.at.tzinfo is None:
        return Rejection(Reason.invalid, ("/at: must be a date and time with zone as in 2026-01-05T09:00:00Z",))
    return said
