"""What is said when a promise to people is broken, and what a made-up incident looks like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from ..detect.fingerprint import fingerprint
from ..records import About, Finding, Obligation
from .messages import CommentDoc, NoteDoc, TransitionDoc, body
from .routing import CANARY

Broken = Literal["page", "ticket", "waiting", "refused", "event_time", "canary"]

SELF = "pipeline.self"  # the detector that finds the pipeline's own troubles; its runbook is theirs
RESPOND = "tocsin-respond"
REPEAT_S = 300  # while it lasts it is said again, so that its incident stays alive
SAYS: Mapping[Broken, str] = {
    "page": "incidents are without their page for longer than promised",
    "ticket": "incidents are without their ticket for longer than promised",
    "waiting": "comments and evidence have waited for longer than promised",
    "refused": "pages or tickets of open incidents were refused, and nobody has looked at it",
    "event_time": "event time stands still: intake or detection is down or far behind, and nothing is found meanwhile",
    "canary": "the made-up incident did not arrive in time: neither will a real one",
}


class Late(Protocol):
    """An open incident that people are owed, and what of it is missing."""

    @property
    def incident(self) -> str: ...
    @property
    def kind(self) -> str: ...  # page or ticket
    @property
    def why(self) -> str | None: ...
    @property
    def since(self) -> datetime: ...
    @property
    def other(self) -> str | None: ...  # what of the two was done
    @property
    def elsewhere(self) -> str | None: ...  # where that went


def broken(what: Broken, count: int, oldest: datetime | None, policy: str, at: datetime) -> Finding:
    """The pipeline's own trouble, found by the wall clock. The same in five minutes is the same finding."""
    subject = {"agent": RESPOND, "number": f"promise.{what}"}
    mark = fingerprint(SELF, RESPOND, f"promise.{what}")
    since = f", the first since {oldest.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if oldest else ""
    return Finding(
        SELF, 1, mark, subject, f"{RESPOND}: {SAYS[what]}", "high", at,
        observed=f"{count}{since}", expected="0", id=f"{mark}:{int(at.timestamp()) // REPEAT_S}", policy=policy,
        about=About(agent=RESPOND, environment="prod"),
    )  # fmt: skip


def elsewhere(late: Late, deployment: str, at: datetime) -> Obligation | None:
    """The page is missing: a comment on the ticket. The ticket is missing: a note under the page. Once per incident."""
    if late.other is None or late.elsewhere is None:
        return None
    waited = max(0, int((at - late.since).total_seconds()))
    lines = (
        f"The {late.kind} of this incident has not arrived for {waited} s. Tocsin goes on trying.",
        f"Last answer: {late.why}" if late.why else "There was no answer yet.",
    )
    if late.kind == "page":
        comment = CommentDoc(incident=late.incident, deployment=deployment, ticket=late.other, lines=lines)
        return _owed(late, "comment", body(comment), at)
    if not late.elsewhere.startswith("slack:"):
        return None
    note = NoteDoc(
        incident=late.incident, deployment=deployment, page=late.other, headline=lines[0], lines=lines[1:]
    )  # fmt: skip
    return _owed(late, "note", body(note), at)


def _owed(late: Late, kind: Literal["comment", "note"], doc: dict[str, Any], at: datetime) -> Obligation:
    """Ordinal 0: the book counts its own from 1."""
    after = (late.other or "",)
    return Obligation(f"{late.incident}:{kind}:0", late.incident, kind, 0, late.elsewhere or "", doc, after, at)


def slot_of(at: datetime, every_s: float) -> int:
    return int(at.timestamp() // every_s)


def canary_mark(slot: int, every_s: float) -> str:
    return fingerprint(CANARY, f"{every_s:g}", str(slot))


def canary(slot: int, every_s: float, policy: str, at: datetime) -> Finding:
    """One for each slot of the schedule, whoever says it and how often. Of no agent: no gate, no group sees it."""
    mark = canary_mark(slot, every_s)
    return Finding(
        CANARY, 1, mark, {"slot": str(slot)}, "Canary: this is a drill, nobody has to do anything", "high", at,
        observed="made up by Tocsin to see that pages and tickets arrive", expected="it closes itself within minutes",
        id=f"{mark}:1", policy=policy, about=About(environment="prod"),
    )  # fmt: skip


def canary_closed(incident: str, ticket: str, destination: str, at: datetime, *, deployment: str) -> Obligation:
    """Its ticket is closed by whoever made it up."""
    doc = TransitionDoc(
        incident=incident, deployment=deployment, to="done", ticket=ticket, parent="", parent_ticket="",
        lines=("The drill is over: page and ticket arrived.",),
    )  # fmt: skip
    return Obligation(f"{incident}:transition:0", incident, "transition", 0, destination, body(doc), (ticket,), at)
