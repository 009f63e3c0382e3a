"""Slack: a page is one message per incident, edited as its life goes on, found again by its metadata."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
from slack_sdk.web.async_client import AsyncWebClient

from ...records import Answer, Done, Obligation, Refused, Unknown
from ..messages import PageDoc, read
from . import slack_text as text
from .protocol import Absent, Blind, Doubt, References
from .slack_wire import Body, Failure, Wire

EVENT = "tocsin_incident"
CLOCKS_S = 60.0  # how far Slack's clock may be behind ours
PAGE_SIZE = 200
PAGES_MAX = 10


class Slack:
    """A reference is `channel/ts`. Metadata bears opaque hashes: every app of the workspace may read it."""

    name = "slack"
    confirmed: frozenset[str] = frozenset()

    def __init__(self, wire: Wire, *, again_s: float = 5.0) -> None:
        self._wire, self._again_s = wire, again_s
        self._site: str | None = None

    async def close(self) -> None:
        await self._wire.close()

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {type(error).__name__}")
        if not isinstance(doc, PageDoc):
            return Refused(f"Slack has no use for a {obligation.kind}")
        root = _root(obligation, references)
        if obligation.ordinal > 1 and not doc.mention and root is not None:
            return await self._edit(doc, obligation, references, root)
        return await self._post(doc, obligation, references, nonce)

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        """An edit may simply be made again. A post is looked for twice: Slack promises nothing about reading back.

        Where we may never look, absence is believed: a page twice is better than no page.
        """
        doc = read(obligation.body)
        root = _root(obligation, references)
        if obligation.ordinal > 1 and not (isinstance(doc, PageDoc) and doc.mention) and root is not None:
            return Absent("an edit")
        oldest = f"{doubt.since.timestamp() - CLOCKS_S:.6f}"
        for attempt in range(2):
            if attempt:
                await asyncio.sleep(self._again_s)
            found = await self._seen(obligation, oldest, _thread(obligation, root))
            if not isinstance(found, Absent):
                return found
        return Absent("looked twice")

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation
        return reference

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        """Two roots are a cosmetic trouble: the older is adopted, the younger stays as it is."""
        del obligation, reference
        return Done("")

    async def _post(self, doc: PageDoc, obligation: Obligation, references: References, nonce: str) -> Answer:
        channel = _channel(obligation)
        thread = _thread(obligation, _root(obligation, references))
        body: dict[str, Any] = {
            "channel": channel,
            "text": text.summary(doc),
            "blocks": text.blocks(doc, references),
            "metadata": {
                "event_type": EVENT,
                "event_payload": {
                    "incident": _opaque(doc.incident),
                    "obligation": _opaque(obligation.id),
                    "nonce": nonce,
                },
            },
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread is not None:
            body |= {"thread_ts": thread, "reply_broadcast": True}
        answer = await self._wire.call(lambda slack: slack.chat_postMessage(**body))
        if not isinstance(answer, dict):
            return answer
        return await self._posted(str(answer.get("channel") or channel), answer.get("ts"))

    async def _posted(self, channel: str, ts: Any) -> Done | Unknown:
        if not isinstance(ts, str) or not ts:
            return Unknown("an answer without the message's ts")
        return Done(f"{channel}/{ts}", await self._link(channel, ts))

    async def _edit(self, doc: PageDoc, obligation: Obligation, references: References, root: Done) -> Answer:
        channel, _, ts = root.reference.partition("/")
        awaited = doc.ticket in obligation.after
        body: dict[str, Any] = {
            "channel": channel,
            "ts": ts,
            "text": text.summary(doc),
            "blocks": text.blocks(doc, references, awaited=awaited),
        }
        answer = await self._wire.call(lambda slack: slack.chat_update(**body))
        return root if isinstance(answer, dict) else answer

    async def _seen(self, obligation: Obligation, oldest: str, thread: str | None) -> Done | Absent | Blind:
        """The oldest message that bears the obligation."""
        mark, channel, cursor = _opaque(obligation.id), _channel(obligation), ""
        found: list[str] = []
        for _ in range(PAGES_MAX):
            answer = await self._page(channel, oldest, thread, cursor)
            if isinstance(answer, Refused):
                return Absent(f"nobody lets us look: {answer.why}")
            if not isinstance(answer, dict):
                return Blind(f"the channel cannot be read: {answer.why}")
            found += [
                str(one.get("ts")) for one in answer.get("messages") or () if _payload(one).get("obligation") == mark
            ]
            cursor = str((answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
        if not found:
            return Blind("the channel has too many messages to look through") if cursor else Absent()
        ts = min(found, key=float)
        return Done(f"{channel}/{ts}", await self._link(channel, ts))

    async def _page(self, channel: str, oldest: str, thread: str | None, cursor: str) -> Body | Failure:
        def method(slack: AsyncWebClient) -> Any:
            given: dict[str, Any] = {
                "oldest": oldest,
                "inclusive": True,
                "include_all_metadata": True,
                "limit": PAGE_SIZE,
            }
            if cursor:
                given["cursor"] = cursor
            if thread is not None:
                return slack.conversations_replies(channel=channel, ts=thread, **given)
            return slack.conversations_history(channel=channel, **given)

        return await self._wire.call(method)

    async def _link(self, channel: str, ts: str) -> str | None:
        """Where a browser finds the message; the workspace's address is asked for once, and not insisted on."""
        if self._site is None:
            answer = await self._wire.call(lambda slack: slack.auth_test())
            site = answer.get("url") if isinstance(answer, dict) else None
            self._site = str(site).rstrip("/") if site else None
        return f"{self._site}/archives/{channel}/p{ts.replace('.', '')}" if self._site else None


def _root(obligation: Obligation, references: References) -> Done | None:
    """The incident's first page, which this one edits or answers."""
    return references.get(f"{obligation.id.rpartition(':')[0]}:1") if obligation.ordinal > 1 else None


def _thread(obligation: Obligation, root: Done | None) -> str | None:
    channel, _, ts = root.reference.partition("/") if root else ("", "", "")
    return ts if channel == _channel(obligation) else None


def _channel(obligation: Obligation) -> str:
    return obligation.destination.partition(":")[2]


def _opaque(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _payload(message: Any) -> dict[str, Any]:
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, dict) else {}
