"""What is in a channel already: a message that bears an obligation's mark, found by its metadata."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from slack_sdk.web.async_client import AsyncWebClient

from ...records import Refused
from .protocol import Absent, Blind
from .slack_wire import Body, Failure, Wire

EVENT = "tocsin_incident"
PAGE_SIZE = 200
PAGES_MAX = 10


class Place(NamedTuple):
    """A channel, or a thread in it, from when on and until when."""

    channel: str
    thread: str | None
    oldest: str
    latest: str


def opaque(name: str) -> str:
    """Every app of the workspace may read metadata."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


async def seen(wire: Wire, obligation: str, place: Place) -> str | Absent | Blind:
    """The ts of the oldest message that bears the obligation."""
    mark, cursor = opaque(obligation), ""
    found: list[str] = []
    for _ in range(PAGES_MAX):
        answer = await _page(wire, place, cursor)
        if isinstance(answer, Refused):
            return Absent(f"nobody lets us look: {answer.why}")
        if not isinstance(answer, dict):
            return Blind(f"the channel cannot be read: {answer.why}")
        messages = answer.get("messages")
        if not isinstance(messages, list):
            return Blind("the channel cannot be read: an answer without messages")
        found += [str(one["ts"]) for one in messages if _payload(one).get("obligation") == mark and _is_ts(one)]
        cursor = _cursor(answer)
        if not cursor:
            break
    if found:
        return min(found, key=float)
    # It only becomes more: who waits here waits for ever, and a page twice is better than no page.
    return Absent("the channel has too many messages to look through" if cursor else "")


async def _page(wire: Wire, place: Place, cursor: str) -> Body | Failure:
    def method(slack: AsyncWebClient) -> Any:
        given: dict[str, Any] = {"inclusive": True, "include_all_metadata": True, "limit": PAGE_SIZE}
        given |= {"channel": place.channel, "oldest": place.oldest, "latest": place.latest}
        if cursor:
            given["cursor"] = cursor
        if place.thread is not None:
            return slack.conversations_replies(ts=place.thread, **given)
        return slack.conversations_history(**given)

    return await wire.call(method)


def _cursor(answer: Body) -> str:
    found = answer.get("response_metadata")
    return str(found.get("next_cursor") or "") if isinstance(found, dict) else ""


def _is_ts(message: Any) -> bool:
    try:
        float(message["ts"])
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _payload(message: Any) -> dict[str, Any]:
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}
