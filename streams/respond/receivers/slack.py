"""Slack: a page is one message per incident, edited as its life goes on, found again by its metadata."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from ...records import Answer, Done, NotDone, Obligation, Refused, Unknown
from ..messages import NoteDoc, PageDoc, read
from . import slack_text as text
from .pacing import Allowed, Buckets
from .protocol import Absent, Blind, Doubt, References
from .slack_people import OnCall, People
from .slack_search import EVENT, Place, opaque, seen
from .slack_wire import LIMIT, Wire

CLOCKS_S = 60.0  # how far Slack's clock may be behind ours
LATE_S = 900.0  # how much later a post may appear than it was attempted: what came after that need not be read
AGAIN_S = 1.0  # after a refusal for too many calls that does not say how long
GRANTS_MAX = 10_000
NO_THREAD = "thread_"  # in Slack's refusals of an answer: thread_not_found, restricted_action_thread_locked, ...
SITE_S_MAX = 3.0  # an answer that is known waits no longer for its address
SITE_AGAIN_S = 60.0

Said = PageDoc | NoteDoc


class Rates(NamedTuple):
    """What Slack allows: a message a second and channel; 50 calls a minute of the methods of tier 3."""

    posts: Allowed = Allowed(1, 1.05)
    edits: Allowed = Allowed(5, 60 / 44)
    looks: Allowed = Allowed(2, 120 / 44)  # each looks twice


class Slack:
    """A reference is `channel/ts`. Metadata bears opaque hashes: every app of the workspace may read it."""

    name = "slack"
    confirmed: frozenset[str] = frozenset()

    def __init__(
        self,
        wire: Wire,
        *,
        again_s: float = 5.0,
        buttons: bool = False,
        oncall: OnCall | None = None,
        rates: Rates | None = None,
    ) -> None:
        """`buttons`: whether anybody hears them. One that nobody hears is worse than a link."""
        self._wire, self._again_s, self._buttons = wire, again_s, buttons
        self._people = People(oncall)
        self._rates, self._buckets = rates or Rates(), Buckets()
        self._granted: set[str] = set()
        self._site, self._site_again, self._asking = "", 0.0, asyncio.Lock()

    async def close(self) -> None:
        await self._wire.close()

    def pace(self, obligation: Obligation, *, asking: bool = False) -> float:
        """A new message never waits behind an edit, nor one channel behind another."""
        wait = self._taken(obligation, asking=asking)
        if not wait:
            if len(self._granted) >= GRANTS_MAX:
                self._granted.clear()  # taken and never used: whoever is left asks again
            self._granted.add(_granted(obligation, asking=asking))
        return wait

    def edits(self, obligation: Obligation) -> bool:
        body = obligation.body
        wakes = body.get("mention") or body.get("oncall") or body.get("level")
        return body.get("doc") == "page" and obligation.ordinal > 1 and not wakes

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {type(error).__name__}")
        if not isinstance(doc, PageDoc | NoteDoc):
            return Refused(f"Slack has no use for a {obligation.kind}")
        if wait := self._waits(obligation, asking=False):
            return NotDone("Slack takes no more at the moment", wait)
        root = _root(obligation, doc, references)
        if self.edits(obligation) and root is not None and isinstance(doc, PageDoc):
            return await self._edit(doc, obligation, references, root)
        return await self._post(doc, obligation, references, nonce)

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        """An edit may simply be made again. A post is looked for twice: Slack promises nothing about reading back.

        Where we may never look, absence is believed: a page twice is better than no page.
        """
        doc = read(obligation.body)
        if not isinstance(doc, PageDoc | NoteDoc):
            return Absent("nothing that Slack would have")
        root = _root(obligation, doc, references)
        if self.edits(obligation) and root is not None:
            return Absent("an edit")
        if self._waits(obligation, asking=True):
            return Blind("Slack may not be read so often")
        channel, thread = _place(obligation, doc, root)
        since = doubt.since.timestamp()
        place = Place(channel, thread, f"{since - CLOCKS_S:.6f}", f"{since + LATE_S:.6f}")
        found = await seen(self._wire, obligation.id, place)
        if isinstance(found, Absent):
            await asyncio.sleep(self._again_s)
            found = await seen(self._wire, obligation.id, place)
        return Done(f"{channel}/{found}", await self._link(channel, found)) if isinstance(found, str) else found

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation
        return reference

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        """Two roots are a cosmetic trouble: the older is adopted, the younger stays as it is."""
        del obligation, reference
        return Done("")

    async def _post(self, doc: Said, obligation: Obligation, references: References, nonce: str) -> Answer:
        channel, thread = _place(obligation, doc, _root(obligation, doc, references))
        body: dict[str, Any] = {
            "channel": channel,
            **await self._words(doc, references),
            "metadata": {
                "event_type": EVENT,
                "event_payload": {
                    "incident": opaque(doc.incident),
                    "obligation": opaque(obligation.id),
                    "nonce": nonce,
                },
            },
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread is not None:
            body |= {"thread_ts": thread, "reply_broadcast": isinstance(doc, PageDoc)}
        answer = await self._wire.call(lambda slack: slack.chat_postMessage(**body))
        if thread is not None and isinstance(doc, PageDoc) and isinstance(answer, Refused) and NO_THREAD in answer.why:
            # Somebody has deleted the root, or locked its thread: whoever is to be woken is woken beside it.
            alone = {name: value for name, value in body.items() if name not in ("thread_ts", "reply_broadcast")}
            answer = await self._wire.call(lambda slack: slack.chat_postMessage(**alone))
        if isinstance(answer, dict):
            return await self._posted(str(answer.get("channel") or channel), answer.get("ts"))
        if isinstance(answer, NotDone) and answer.why == LIMIT:
            wait = answer.after_s or AGAIN_S
            self._buckets.hold(f"post {obligation.destination}", self._rates.posts, wait)
            return NotDone(answer.why, wait)
        return answer

    async def _words(self, doc: Said, references: References) -> dict[str, Any]:
        """Who is mentioned is asked when it is sent: on call changes while a page waits."""
        if isinstance(doc, NoteDoc):
            return {"text": text.note_summary(doc), "blocks": text.note(doc, buttons=self._buttons)}
        whom = await self._people.whom(doc.oncall, doc.mention)
        remark = (("Mentioned", whom.remark),) if whom.remark else ()
        doc = msgspec.structs.replace(doc, mention=whom.mention, lines=(*doc.lines, *remark))
        return {"text": text.summary(doc), "blocks": text.blocks(doc, references, buttons=self._buttons)}

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
            "blocks": text.blocks(doc, references, awaited=awaited, buttons=self._buttons),
        }
        answer = await self._wire.call(lambda slack: slack.chat_update(**body))
        if isinstance(answer, NotDone) and answer.why == LIMIT:
            wait = answer.after_s or AGAIN_S
            self._buckets.hold("edits", self._rates.edits, wait)
            return NotDone(answer.why, wait)
        return root if isinstance(answer, dict) else answer

    async def _link(self, channel: str, ts: str) -> str | None:
        """Where a browser finds the message; the workspace's address is asked for once, and not insisted on."""
        async with self._asking:
            if not self._site and time.monotonic() >= self._site_again:
                self._site = await self._asked_site()
                self._site_again = time.monotonic() + SITE_AGAIN_S
        return f"{self._site}/archives/{channel}/p{ts.replace('.', '')}" if self._site else None

    async def _asked_site(self) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(SITE_S_MAX):
                answer = await self._wire.call(lambda slack: slack.auth_test())
            site = answer.get("url") if isinstance(answer, dict) else None
            return site.rstrip("/") if isinstance(site, str) else ""
        return ""

    def _waits(self, obligation: Obligation, *, asking: bool) -> float:
        """Seconds, unless its place was taken before."""
        granted = _granted(obligation, asking=asking)
        if granted in self._granted:
            self._granted.remove(granted)
            return 0.0
        return self._taken(obligation, asking=asking)

    def _taken(self, obligation: Obligation, *, asking: bool) -> float:
        if self.edits(obligation):
            return 0.0 if asking else self._buckets.take("edits", self._rates.edits)
        if asking:
            return self._buckets.take("looks", self._rates.looks)
        return self._buckets.take(f"post {obligation.destination}", self._rates.posts)


def _root(obligation: Obligation, doc: Said, references: References) -> Done | None:
    """The first of the incident's pages that was sent, which this one edits or answers."""
    if isinstance(doc, NoteDoc):
        return references.get(doc.page)
    pages = f"{obligation.id.rpartition(':')[0]}:"
    sent = (int(name.removeprefix(pages)) for name in references if name.removeprefix(pages).isdecimal())
    first = min((ordinal for ordinal in sent if ordinal < obligation.ordinal), default=None)
    return references[f"{pages}{first}"] if first is not None else None


def _place(obligation: Obligation, doc: Said, root: Done | None) -> tuple[str, str | None]:
    """News go where the page is; a page of another channel is a page of its own."""
    own = obligation.destination.partition(":")[2]
    channel, _, ts = root.reference.partition("/") if root else ("", "", "")
    if not ts or (isinstance(doc, PageDoc) and channel != own):
        return own, None
    return channel, ts


def _granted(obligation: Obligation, *, asking: bool) -> str:
    return f"{'ask' if asking else 'do'} {obligation.id}"
