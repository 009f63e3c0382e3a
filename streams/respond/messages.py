"""What people read, as neutral documents in an obligation's body. Plain text only; receivers escape and lay out.

The body is the document as JSON: tuples are lists, `doc` says which one it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

Pairs = tuple[tuple[str, str], ...]


class PageDoc(Struct, frozen=True, kw_only=True, tag="page", tag_field="doc"):
    """Kind `page`. Ordinal 1 is posted, with the mention; a later ordinal edits that message.

    Where the receipt of the obligation `ticket` is among the references, its key and address are shown,
    otherwise `ticket_pending`. An empty text means: leave that part out.
    """

    incident: str  # id; opaque, for metadata and buttons; `storm:<owner>:<minute>` for an umbrella
    deployment: str
    severity: str
    state: Literal["open", "acknowledged", "mitigated", "resolved", "closed", "merged", "storm"]
    headline: str  # at most 150 characters
    lines: Pairs  # (label, value), at most 12, a value at most 300 characters
    evidence: tuple[str, ...] = ()  # the most telling piece
    steps: tuple[str, ...] = ()  # the runbook's first three
    todo: str = ""  # what to do next, in a sentence
    links: Pairs = ()  # (label, address); addresses come from settings and policy only
    mention: str = ""  # U… a person, S… a user group; only on messages that are to wake somebody
    oncall: str = ""  # who is on call, asked when it is sent; nobody known: the mention
    level: int = 0  # of escalation; 0: the owner's own page
    wakes: bool = False  # whoever is on call, wherever it goes; an edit wakes nobody
    ticket: str = ""  # id of the ticket's obligation
    ticket_pending: str = ""
    actions: tuple[str, ...] = ()  # which buttons make sense now: acknowledge, fixed, false_positive, …
    controls: tuple[tuple[str, str, str], ...] = ()  # what may be done to agents: name, label, what is asked before


class TicketDoc(Struct, frozen=True, kw_only=True, tag="ticket", tag_field="doc"):
    """Kind `ticket`, ordinal 1."""

    incident: str
    deployment: str
    fingerprint: str
    seed: str  # what the label `tocsin-<hash>` is made of
    severity: str
    project: str
    issue_type: str
    priority: str
    summary: str  # one line, at most 255 characters
    sections: tuple[tuple[str, tuple[str, ...]], ...]  # (heading, paragraphs)
    fields: Pairs  # a table of (field, value)
    nine: Pairs = ()  # what an audit asks for, each said or said to be unknown
    evidence: tuple[str, ...] = ()  # the timeline: one event a line, in their order
    links: Pairs = ()
    labels: tuple[str, ...] = ("tocsin",)
    more: dict[str, Any] = {}  # further fields, from the policy, as Jira's API takes them


class NoteDoc(Struct, frozen=True, kw_only=True, tag="note", tag_field="doc"):
    """Kind `note`: news in the thread of the incident's page. Wakes nobody."""

    incident: str
    deployment: str
    page: str  # id of the page's obligation, ordinal 1
    headline: str
    lines: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class LinkDoc(Struct, frozen=True, kw_only=True, tag="link", tag_field="doc"):
    """Kind `link`: the way back from the ticket to the incident's page, one per ticket however often it is set."""

    incident: str
    deployment: str
    ticket: str
    url: str
    title: str
    summary: str = ""
    resolved: bool = False


class EvidenceDoc(Struct, frozen=True, kw_only=True, tag="evidence", tag_field="doc"):
    """Kind `evidence`: what is attached to the ticket as JSON. `excerpts` are records.Excerpt as JSON."""

    incident: str
    deployment: str
    ticket: str  # id of the ticket's obligation
    fingerprint: str
    detector: str
    title: str
    subject: dict[str, str]
    first_seen: str
    last_seen: str
    sessions: tuple[str, ...]
    releases: tuple[str, ...]
    excerpts: tuple[dict[str, Any], ...]


class CommentDoc(Struct, frozen=True, kw_only=True, tag="comment", tag_field="doc"):
    """Kind `comment`: paragraphs under the ticket."""

    incident: str
    deployment: str
    ticket: str
    lines: tuple[str, ...]


class TransitionDoc(Struct, frozen=True, kw_only=True, tag="transition", tag_field="doc"):
    """Kind `transition`: link the ticket to the parent's and, if no person has touched it, close it as a duplicate."""

    incident: str
    deployment: str
    to: Literal[
        "duplicate", "done", "open"
    ]  # done: nobody answered that it is over; open: it is no duplicate after all
    ticket: str  # ids of the tickets' obligations, both in `after`
    parent: str  # the incident that explains this one
    parent_ticket: str
    lines: tuple[str, ...]  # the comment that goes with it


class Webhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a signed webhook: a page, or news of one. Of those of one incident a higher `ordinal` is newer."""

    type: Literal["incident.page", "incident.note"]
    id: str  # the same as in the header webhook-id; a repeat has the same
    timestamp: datetime | None = None  # when it was promised; the header webhook-timestamp says when it was sent
    obligation: str
    ordinal: int
    data: PageDoc | NoteDoc


Doc = PageDoc | NoteDoc | TicketDoc | EvidenceDoc | CommentDoc | LinkDoc | TransitionDoc
_read: msgspec.json.Decoder[Doc] = msgspec.json.Decoder(Doc)


def body(doc: Doc) -> dict[str, Any]:
    """An obligation's body: the document exactly as it looks after a trip through JSON."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(doc))
    return found


def read(found: Mapping[str, Any]) -> Doc:
    """The document of an obligation's body. Raises msgspec.ValidationError."""
    return _read.decode(msgspec.json.encode(found))
