"""A record of a replay as one line of JSON that follows the published schemas."""

from __future__ import annotations

from typing import Any

import msgspec

from ..records import DeadLetter
from ..records.deadletters import DeadLetterHeaders
from ..records.timeline import encode


def written(record: Any) -> bytes:
    """A dead letter is written as it stands in its topic: the headers, and the value as text."""
    if not isinstance(record, DeadLetter):
        return encode(record)
    headers = DeadLetterHeaders(
        reason=record.reason,
        position=str(record.position),
        errors=record.errors,
        at=record.at,
        agent=record.agent,
        size=record.truncated or None,
        hash=record.hash,
        key=None if record.key is None else record.key.decode(errors="replace"),
    )
    value = None if record.value is None else record.value.decode(errors="replace")
    return encode({"record": "dead_letter", **msgspec.to_builtins(headers), "value": value})


def of_side(side: str, record: Any) -> bytes:
    """The same, and which of two replays said it."""
    return b'{"side":"%s",%s' % (side.encode(), written(record)[1:])
