"""A dead letter's wire format: the value as it came, secrets replaced; everything known about it in headers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from .envelope import Position
from .stream import DeadLetter
from .timeline import Headers

RESENT_OF = "tocsin-resent-of"  # on the source topic: which dead letter this message repairs
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_2100_MS = 4_102_444_800_000  # up to here a float of seconds is exact to the microsecond


class DeadLetterHeaders(Struct, frozen=True, omit_defaults=True):
    """The Kafka headers of a dead letter. All are UTF-8 text, except `key`, which is the message's own, as it came."""

    reason: str  # intake's reasons, or `decider:<name>`
    position: str  # `topic/epoch/partition/offset` of the message
    errors: tuple[str, ...]  # a JSON array; each entry is `<JSON pointer>: <message>`
    at: datetime | None = None  # when the source topic got it
    agent: str | None = None  # as far as it could be read
    size: int | None = None  # the original's bytes, where the value was cut
    hash: str | None = None  # blake2b-16 of the original, where the value was cut
    key: str | None = None


def pack(letter: DeadLetter) -> tuple[bytes, bytes | None, list[tuple[str, bytes]]]:
    """Key, value and headers of the Kafka message."""
    headers = [
        ("reason", letter.reason.encode()),
        ("position", str(letter.position).encode()),
        ("errors", msgspec.json.encode(letter.errors)),
    ]
    if letter.at is not None:
        headers.append(("at", letter.at.isoformat().encode()))
    if letter.agent:
        headers.append(("agent", letter.agent.encode(errors="replace")))
    if letter.truncated:
        headers += [("size", str(letter.truncated).encode()), ("hash", (letter.hash or "").encode())]
    if letter.key is not None:
        headers.append(("key", letter.key))
    return str(letter.position).encode(), letter.value, headers


def unpack(value: bytes | None, headers: Headers) -> DeadLetter:
    """Raises KeyError, ValueError or a msgspec error when somebody else wrote to the topic."""
    found = dict(headers)
    source, _, offset = found["position"].decode().rpartition("/")
    return DeadLetter(
        reason=found["reason"].decode(),
        errors=msgspec.json.decode(found["errors"], type=tuple[str, ...]),
        position=Position(source, int(offset)),
        value=value,
        key=found.get("key"),
        at=datetime.fromisoformat(found["at"].decode()) if "at" in found else None,
        agent=found["agent"].decode() if "agent" in found else None,
        truncated=int(found.get("size", b"0")),
        hash=found["hash"].decode() if "hash" in found else None,
    )


def appended(timestamp_ms: int) -> datetime:
    """Kafka's timestamp as a time, whatever a producer wrote into it."""
    if 0 <= timestamp_ms < _YEAR_2100_MS:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    bounded = min(max(timestamp_ms, 0), 253_402_300_799_000)  # the last second of year 9999
    return _EPOCH + timedelta(milliseconds=bounded)
