"""Events and messages for the tests of intake."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from streams.intake.examples import example

NOW = datetime(2026, 1, 5, 9, 0, 1, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
SOURCE = "agent.events/1/0"
TOOL = "agent.tool.called.v1"


class Message(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = NOW_MS


def event(type_name: str = TOOL, /, data: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """An example event with some attributes, and parts of its data, replaced."""
    found = example(type_name)
    found.update(attributes)
    found["data"].update(data or {})
    return found


def raw(type_name: str = TOOL, /, data: dict[str, Any] | None = None, **attributes: Any) -> bytes:
    return msgspec.json.encode(event(type_name, data, **attributes))


def in_session(session: str, **attributes: Any) -> bytes:
    found = event(**attributes)
    found["data"]["ctx"]["session_id"] = session
    return msgspec.json.encode(found)
