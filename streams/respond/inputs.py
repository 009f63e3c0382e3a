"""The book's inputs, from bytes to records; what cannot be read keeps its place and becomes a dead letter."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..intake.secrets import bytes_without_secrets, without_secrets
from ..records import (
    Acknowledgement,
    Assignment,
    DeadLetter,
    Expired,
    Finding,
    Merge,
    Notice,
    Outcome,
    Position,
    PowerChanged,
    Receipt,
    Sighted,
    Silence,
    Split,
)
from ..records.deadletters import appended
from ..records.timeline import encode
from ..settle import Read

WHY_MAX = 1000
UNDECODABLE = "undecodable"
UNSTORABLE = "unstorable"  # PostgreSQL refuses a value in it

_finding = msgspec.json.Decoder(Finding)
Told = Outcome | Acknowledgement | Assignment | Split | Merge | Silence | Receipt | Expired | PowerChanged | Notice
_told: msgspec.json.Decoder[Told] = msgspec.json.Decoder(Told)


class Input(NamedTuple):
    """One input, where it stood, and what it is called should it have to be buried."""

    record: Any  # None: it cannot be read, `letter` says why
    position: Position
    raw: bytes | None
    kind: str = "finding"  # exposure, inbox, wake; empty: only that it was read
    read: Read | None = None  # what the log had
    inbox: int | None = None  # what somebody told us
    wake: tuple[str, str] | None = None  # a due time: decider and key
    letter: DeadLetter | None = None

    def buried(self, reason: str, why: str) -> DeadLetter:
        at = appended(self.read.timestamp_ms) if self.read else None
        key = self.read.key if self.read else None
        why, value = without_secrets(f": {why}", [])[:WHY_MAX], self.raw and bytes_without_secrets(self.raw, [])
        return DeadLetter(reason, (why,), self.position, value, key, at)


def sighted(read: Read, epoch: int, now: datetime) -> Input:
    topic, _, partition = read.part.rpartition("/")
    found = Input(None, Position(f"{topic}/{epoch}/{partition}", read.offset), read.value, read=read)
    try:
        finding = _finding.decode(storable(read.value or b""))
        if not finding.id:
            raise msgspec.ValidationError("a finding without an id - at `$.id`")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refused(found, error)
    return found._replace(record=Sighted(finding, now))


def refused(found: Input, error: Exception) -> Input:
    return found._replace(letter=found.buried(UNDECODABLE, f"{type(error).__name__}: {error}"))


def told(number: int, record: str) -> Input:
    raw = record.encode()
    found = Input(None, Position("inbox/0/0", number), raw, "inbox", inbox=number)
    try:
        return found._replace(record=_told.decode(raw))
    except msgspec.DecodeError as error:
        return refused(found, error)


def woken(record: Any, wake: tuple[str, str]) -> Input:
    return Input(record, Position("due/0/0", 0), encode(record), "wake", wake=wake)


def storable(value: bytes) -> bytes:
    """PostgreSQL keeps no NUL in text: it is replaced where it stands, as a broken character would be."""
    if b"\\u0000" not in value:
        return value
    return msgspec.json.encode(_clean(msgspec.json.decode(value)))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return value
