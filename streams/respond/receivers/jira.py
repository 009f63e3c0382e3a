"""Jira: one ticket per incident, its evidence, comments under it, closed or opened again unless a person has touched it."""

from __future__ import annotations

from typing import Any

import msgspec

from ...records import Answer, Done, NotDone, Obligation, Refused, Unknown
from ..messages import CommentDoc, EvidenceDoc, LinkDoc, TicketDoc, TransitionDoc, read
from . import jira_text as text
from .jira_comments import Comments, ours
from .jira_files import Files
from .jira_search import Search, gone, number
from .jira_strays import Strays
from .jira_tickets import DEPLOYMENT_MAX, DUPLICATE, OVER, PROPERTY, UNCONFIRMED, Tickets, label
from .jira_wire import Call, Reply, Wire
from .pacing import Allowed, Buckets
from .protocol import Absent, Blind, Doubt, References, Stray

RETIRED = "Opened twice by mistake: an answer of Jira was lost, and this appeared after the linked ticket was recorded."
BURST = Allowed(40, 1 / 40)
SPARE = "tocsin-duplicate"  # label of one that was retired
IDENTITY = frozenset({"project", "issuetype", "summary", "description"})  # what no further field may be instead of


class Jira:
    """The ticket is created with everything in one call, and found again by label, property and key range.

    The other kinds look before they write, by the ticket's id and not through the index: they can be repeated.
    """

    name = "jira"
    confirmed = frozenset({"ticket"})

    def __init__(self, wire: Wire, *, empty_quiet_s: float = 90.0) -> None:
        self._wire = wire
        self._tickets = Tickets(wire)
        self._comments = Comments(wire)
        self._files = Files(wire, self._tickets, self._comments)
        self._search = Search(wire, empty_quiet_s)
        self._strays = Strays(wire)
        self._buckets = Buckets()

    def pace(self, obligation: Obligation, *, asking: bool = False) -> float:
        """Jira allows 50 to 100 a second of each endpoint, and one obligation may be several calls."""
        what = "asks" if asking else "opens" if obligation.kind == "ticket" else "adds"
        return self._buckets.take(what, BURST)

    def edits(self, obligation: Obligation) -> bool:
        del obligation
        return False

    async def close(self) -> None:
        await self._wire.close()

    async def carry(self, obligation: Obligation, references: References, nonce: str) -> Answer:
        try:
            doc = read(obligation.body)
        except msgspec.ValidationError as error:
            return Refused(f"the obligation's body is not a document: {text.line(str(error))}")
        if isinstance(doc, TicketDoc):
            return await self._create(doc, obligation, nonce)
        if not isinstance(doc, EvidenceDoc | CommentDoc | LinkDoc | TransitionDoc):
            return Refused(f"Jira has no use for a {obligation.kind}")
        ticket = references.get(doc.ticket)
        if ticket is None:
            return Refused("there is no ticket to add it to")
        key = ticket.reference
        match doc:
            case EvidenceDoc():
                return await self._files.attach(key, doc, obligation.id)
            case CommentDoc():
                return await self._comments.say(key, doc.lines, obligation.id)
            case LinkDoc() if not text.address(doc.url):
                return Refused("the address of the incident's page is no address that may become a link")
            case LinkDoc():
                return await self._tickets.point(key, doc)
            case TransitionDoc():
                return await self._move(doc, key, obligation, references)

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

    async def strays(self, deployment: str, age_minutes: int) -> list[Stray] | Blind:
        """Tickets of this deployment that were made that long ago and never confirmed."""
        return await self._strays.found(deployment, age_minutes)

    async def same(self, found: Stray, recorded: str) -> bool | Blind:
        return await self._strays.same(found, recorded)

    def reference(self, found: Stray) -> Done:
        return self._done(found.key)

    async def retire(self, found: Stray, recorded: str) -> Answer:
        """It was never recorded, and the incident's ticket is another one."""
        return await self._retire(found.key, recorded, found.obligation)

    async def _create(self, doc: TicketDoc, obligation: Obligation, nonce: str) -> Answer:
        more = {name: value for name, value in doc.more.items() if name not in IDENTITY}
        wished = more.pop("labels", ())
        labels = [*doc.labels, *(wished if isinstance(wished, list) else ())]
        fields: dict[str, Any] = {
            **more,
            "project": {"key": doc.project},
            "issuetype": {"name": doc.issue_type},
            "summary": text.line(doc.summary) or "Incident",
            "description": text.document(doc) if self._wire.cloud else text.wiki(doc),
            "labels": [*dict.fromkeys(filter(_label, labels)), label(doc.seed), UNCONFIRMED],
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

    async def _move(self, doc: TransitionDoc, key: str, obligation: Obligation, references: References) -> Answer:
        if doc.to != "duplicate":
            answer = await self._comments.say(key, doc.lines, obligation.id)
            if not isinstance(answer, Done):
                return answer
            return await (self._close(key, OVER) if doc.to == "done" else self._tickets.open_again(key))
        parent = references.get(doc.parent_ticket)
        if parent is None:
            return Refused("there is no ticket of the other incident")
        if key == parent.reference:
            return Done(key)
        return await self._follow(key, parent.reference, doc.lines, obligation.id)

    async def _retire(self, key: str, canonical: str, mark: str) -> Answer:
        answer = await self._follow(key, canonical, (RETIRED,), f"{mark}:retired:{key}")
        if isinstance(
            answer, Done
        ):  # as well as it goes: a closed ticket may refuse it, and no sweep looks at that one
            labels = [{"remove": UNCONFIRMED}, {"add": SPARE}]
            await self._wire.call(Call("PUT", f"issue/{key}", {"update": {"labels": labels}}))
        return answer

    async def _follow(self, child: str, parent: str, lines: tuple[str, ...], mark: str) -> Answer:
        """Link, say why, close if untouched. Each step looks first."""
        answer = await self._tickets.link(child, parent)
        if not isinstance(answer, Done):
            return answer
        answer = await self._comments.say(child, lines, mark)
        return await self._close(child, DUPLICATE) if isinstance(answer, Done) else answer

    async def _close(self, key: str, named: tuple[str, ...]) -> Answer:
        there = await self._comments.all(key)
        if not isinstance(there, list):
            return there
        return await self._tickets.close_untouched(key, there, ours, named)


def _label(given: Any) -> bool:
    return isinstance(given, str) and bool(given) and not any(sign.isspace() for sign in given)
