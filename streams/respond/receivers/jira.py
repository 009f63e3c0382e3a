"""Jira: one ticket per incident, its evidence, comments under it, duplicates closed unless a person has touched them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from ...records import Answer, Done, NotDone, Obligation, Refused, Unknown
from ..messages import CommentDoc, EvidenceDoc, TicketDoc, TransitionDoc, read
from . import jira_text as text
from .jira_search import Search, gone, number
from .jira_tickets import DEPLOYMENT_MAX, PROPERTY, UNCONFIRMED, Tickets, label
from .jira_wire import Call, Failure, Reply, Wire
from .protocol import Absent, Blind, Doubt, References

COMMENT_PROPERTY = "tocsin.comment"
RETIRED = "Opened twice by mistake: an answer of Jira was lost, and this appeared after the linked ticket was recorded."


class Jira:
    """The ticket is created with everything in one call, and found again by label, property and key range.

    The other kinds look before they write, by the ticket's id and not through the index: they can be repeated.
    """

    name = "jira"
    confirmed = frozenset({"ticket"})

    def __init__(self, wire: Wire, *, empty_quiet_s: float = 90.0) -> None:
        self._wire = wire
        self._tickets = Tickets(wire)
        self._search = Search(wire, empty_quiet_s)

    async def close(self) -> None:
        await self._wire.close()

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {text.line(str(error))}")
        match doc:
            case TicketDoc():
                return await self._create(doc, obligation, nonce)
            case EvidenceDoc():
                return await self._attach(doc, references)
            case CommentDoc():
                return await self._comment(doc, obligation, references)
            case TransitionDoc():
                return await self._duplicate(doc, obligation, references)
        return Refused(f"Jira has no use for a {obligation.kind}")

    async def find(self, obligation: Obligation, references: References, doubt: Doubt) -> Done | Absent | Blind:
        del references
        if obligation.kind != "ticket":
            return Absent("looks by itself before it writes")
        doc = read(obligation.body)
        assert isinstance(doc, TicketDoc)
        found = await self._search.tickets(doc, doubt)
        if isinstance(found, Absent | Blind):
            return found
        return self._done(min(found, key=number))

    async def confirm(self, obligation: Obligation, reference: Done) -> Answer:
        del obligation
        body = {"update": {"labels": [{"remove": UNCONFIRMED}]}}
        answer = await self._wire.call(Call("PUT", f"issue/{reference.reference}", body))
        return reference if isinstance(answer, Reply) else answer

    async def audit(self, obligation: Obligation, reference: Done) -> Answer:
        """Tickets of this incident that are neither recorded nor confirmed are ours alone: they are closed."""
        doc = read(obligation.body)
        assert isinstance(doc, TicketDoc)
        recorded = await self._tickets.read(reference.reference)
        if not isinstance(recorded, Reply):
            return Done("") if gone(recorded) else recorded
        canonical = str(recorded.body.get("key"))  # a person may have moved it
        found = await self._search.labelled(doc, canonical)
        if isinstance(found, Blind):
            return NotDone(found.why)
        retired = []
        for key in found:
            ticket = await self._tickets.read(key)
            if not isinstance(ticket, Reply):
                return ticket
            if key == canonical or UNCONFIRMED not in ticket.body["fields"].get("labels", []):
                continue
            answer = await self._retire(key, canonical, obligation.id)
            if not isinstance(answer, Done):
                return answer
            retired.append(key)
        return Done(" ".join(retired))

    async def _create(self, doc: TicketDoc, obligation: Obligation, nonce: str) -> Answer:
        fields: dict[str, Any] = {
            "project": {"key": doc.project},
            "issuetype": {"name": doc.issue_type},
            "summary": text.line(doc.summary) or "Incident",
            "description": text.document(doc) if self._wire.cloud else text.wiki(doc),
            "labels": [*(one for one in doc.labels if one and not one.isspace()), label(doc.seed), UNCONFIRMED],
        }
        if doc.priority:
            fields["priority"] = {"name": doc.priority}
        mark = {
            "incident": doc.incident,
            "deployment": doc.deployment[:DEPLOYMENT_MAX],
            "obligation": obligation.id,
            "nonce": nonce,
        }
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": mark}]}
        answer = await self._wire.call(Call("POST", "issue", body, fresh=True))
        if not isinstance(answer, Reply):
            return answer
        key = answer.body.get("key") if isinstance(answer.body, dict) else None
        return self._done(key) if isinstance(key, str) and key else Unknown("an answer without the ticket's key")

    def _done(self, key: str) -> Done:
        return Done(key, f"{self._wire.url}/browse/{key}")

    async def _attach(self, doc: EvidenceDoc, references: References) -> Answer:
        key = references[doc.ticket].reference
        name = f"evidence-{hashlib.sha256(doc.incident.encode()).hexdigest()[:12]}.json"
        data = msgspec.json.format(msgspec.json.encode(doc), indent=2)
        there = await self._tickets.read(key, "attachment")
        if not isinstance(there, Reply):
            return _unread(there)
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

    async def _comment(self, doc: CommentDoc, obligation: Obligation, references: References) -> Answer:
        return await self._say(references[doc.ticket].reference, doc.lines, obligation.id)

    async def _say(self, key: str, lines: tuple[str, ...], mark: str) -> Answer:
        """A comment that bears `mark`, unless it is there already."""
        mark = hashlib.sha256(mark.encode()).hexdigest()[:20]
        there = await self._tickets.comments(key)
        if not isinstance(there, Reply):
            return _unread(there)
        for comment in there.body["comments"]:
            if _mark(comment) == mark:
                return Done(str(comment.get("id")))
        body = {
            "body": text.comment(lines) if self._wire.cloud else text.wiki_comment(lines),
            "properties": [{"key": COMMENT_PROPERTY, "value": {"mark": mark}}],
        }
        answer = await self._wire.call(Call("POST", f"issue/{key}/comment", body))
        if not isinstance(answer, Reply):
            return answer
        written = answer.body.get("id") if isinstance(answer.body, dict) else None
        return Done(str(written)) if written else Unknown("an answer without the comment's id")

    async def _duplicate(self, doc: TransitionDoc, obligation: Obligation, references: References) -> Answer:
        child, parent = references[doc.ticket], references[doc.parent_ticket]
        if child.reference == parent.reference:
            return child
        return await self._follow(child.reference, parent.reference, doc.lines, obligation.id)

    async def _retire(self, key: str, canonical: str, mark: str) -> Answer:
        return await self._follow(key, canonical, (RETIRED,), f"{mark}:retired:{key}")

    async def _follow(self, child: str, parent: str, lines: tuple[str, ...], mark: str) -> Answer:
        """Link, say why, close. Untouched is judged before any of it is written; each step looks first."""
        answer = await self._tickets.link(child, parent)
        if not isinstance(answer, Done):
            return answer
        answer = await self._say(child, lines, mark)
        if not isinstance(answer, Done):
            return answer
        return await self._tickets.close_untouched(child, lambda comment: _mark(comment) is not None)


def _mark(comment: dict[str, Any]) -> str | None:
    """Which of our comments it is; None: somebody else's."""
    for one in comment.get("properties") or ():
        if one.get("key") == COMMENT_PROPERTY and isinstance(one.get("value"), dict):
            return str(one["value"].get("mark"))
    return None


def _unread(failure: Failure) -> Answer:
    """A look that failed before anything was written: certainly nothing happened."""
    return NotDone(failure.why) if isinstance(failure, Unknown) else failure
