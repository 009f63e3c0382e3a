"""Evidence as a file of a Jira ticket: attached once, shortened where it is too big, and the ticket says what is missing."""

from __future__ import annotations

import hashlib
import time

import msgspec
from msgspec.structs import replace

from ...records import Answer, Done, Refused, Unknown
from ..messages import EvidenceDoc
from .jira_comments import Comments
from .jira_tickets import Tickets, unread
from .jira_wire import Call, Reply, Wire

META_S = 3600.0  # how long the site's limit is believed
TOO_BIG = "413"
WHOLE = "This Jira takes no bigger file; the incident's page has all of them."


class Files:
    def __init__(self, wire: Wire, tickets: Tickets, comments: Comments) -> None:
        self._wire, self._tickets, self._comments = wire, tickets, comments
        self._limit: int | None = None
        self._asked = float("-inf")

    async def attach(self, key: str, doc: EvidenceDoc, name: str) -> Answer:
        """`name` is the obligation's: what the comment about missing parts is marked with."""
        limit = await self._site_limit()
        if limit == 0:
            return await self._missing(key, name, Refused("404: attachments are switched off in this Jira"))
        kept = doc if limit is None else _fitting(doc, limit)
        answer = Refused(TOO_BIG) if kept is None else await self._once(key, kept, shortened=kept is not doc)
        if kept is not None and kept.excerpts and _too_big(answer):
            kept = replace(doc, excerpts=())
            answer = await self._once(key, kept, shortened=True)
        if isinstance(answer, Refused):
            return await self._missing(key, name, answer)
        left = len(doc.excerpts) - len(kept.excerpts) if kept else 0
        if isinstance(answer, Done) and left:
            whole = len(doc.excerpts)
            lines = (f"The attached evidence is shortened: {left} of {whole} excerpts are left out. {WHOLE}",)
            said = await self._comments.say(key, lines, f"{name}:missing")
            return answer if isinstance(said, Done | Refused) else said
        return answer

    async def _missing(self, key: str, name: str, answer: Refused) -> Answer:
        """The ticket lists what it lacks; where it may not even be commented, the refusal alone says so."""
        if answer.why.startswith(("403", "404", TOO_BIG)):
            lines = ("The evidence could not be attached to this ticket. The incident's page has it.",)
            said = await self._comments.say(key, lines, f"{name}:missing")
            if not isinstance(said, Done | Refused):
                return said
        return answer

    async def _once(self, key: str, doc: EvidenceDoc, *, shortened: bool) -> Answer:
        """Unless a file of this name and size is there."""
        ending = "-shortened" if shortened else ""
        name = f"evidence-{hashlib.sha256(doc.incident.encode()).hexdigest()[:12]}{ending}.json"
        data = _written(doc)
        there = await self._tickets.read(key, "attachment")
        if not isinstance(there, Reply):
            return unread(there)
        for file in there.body["fields"].get("attachment") or ():
            if file.get("filename") == name and file.get("size") == len(data):
                return Done(str(file.get("id")))
        answer = await self._wire.call(Call("POST", f"issue/{key}/attachments", file=(name, data)))
        if not isinstance(answer, Reply):
            return answer
        try:
            return Done(str(answer.body[0]["id"]))
        except (LookupError, TypeError):
            return Unknown("an answer without the attachment's id")

    async def _site_limit(self) -> int | None:
        """Bytes; 0: no attachments at all; None: it does not say, and a refusal will."""
        if time.monotonic() - self._asked < META_S:
            return self._limit
        answer = await self._wire.call(Call("GET", "attachment/meta"))
        if isinstance(answer, Reply) and isinstance(answer.body, dict):
            limit = answer.body.get("uploadLimit")
            self._limit = limit if isinstance(limit, int) and limit > 0 else None
            if answer.body.get("enabled") is False:
                self._limit = 0
            self._asked = time.monotonic()
        return self._limit


def _written(doc: EvidenceDoc) -> bytes:
    return msgspec.json.format(msgspec.json.encode(doc), indent=2)


def _fitting(doc: EvidenceDoc, limit: int) -> EvidenceDoc | None:
    """With as many of its first excerpts as fit; None: not even without them."""
    if len(_written(doc)) <= limit:
        return doc
    least, most = -1, len(doc.excerpts)
    while most - least > 1:
        middle = (least + most) // 2
        fits = len(_written(replace(doc, excerpts=doc.excerpts[:middle]))) <= limit
        least, most = (middle, most) if fits else (least, middle)
    return replace(doc, excerpts=doc.excerpts[:least]) if least >= 0 else None


def _too_big(answer: Answer) -> bool:
    return isinstance(answer, Refused) and answer.why.startswith(TOO_BIG)
