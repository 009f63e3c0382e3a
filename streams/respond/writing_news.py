"""Writes what is said under a ticket: that it is worse, over, back, or another's."""

from __future__ import annotations

from datetime import datetime

from ..records import Incident
from .messages import CommentDoc, TransitionDoc
from .routing import BookValues
from .writing_outcome import CORRECT
from .writing_page import SAY_HOW
from .writing_words import MEANS, clip, how_many, moment


def raised(values: BookValues, incident: Incident, at: datetime) -> CommentDoc:
    """Said under the ticket when the trouble became more severe: the ticket itself is never edited."""
    why = f": {clip(incident.rose)}" if incident.rose else ""
    lines = (
        f"Severity is {incident.severity} now, since {moment(at)}: it rose after this ticket was opened{why}.",
        f"By then seen {how_many(incident)}; first {moment(incident.first_seen)}, last {moment(incident.last_seen)}.",
        "The summary, priority and labels above are those it was opened with.",
    )
    return _comment(values, incident, lines)


def recovered_comment(values: BookValues, incident: Incident, at: datetime) -> CommentDoc:
    quiet = moment(incident.quiet_since or incident.last_seen)
    lines = (
        f"It seems to be over: its agent works on without it since {quiet} (said {moment(at)}).",
        f"Until then seen {how_many(incident)}.",
        SAY_HOW,
    )
    return _comment(values, incident, lines)


def back_comment(values: BookValues, incident: Incident, at: datetime) -> CommentDoc:
    seen = f"It is back: seen again at {moment(incident.last_seen)} (said {moment(at)})."
    return _comment(values, incident, (seen, f"By then seen {how_many(incident)}."))


def assigned_comment(values: BookValues, incident: Incident, at: datetime) -> CommentDoc:
    who = clip(incident.assigned_to or incident.acknowledged_by or "nobody")
    return _comment(values, incident, (f"Assigned to {who} since {moment(at)}. The assignee above is left to people.",))


def closing(values: BookValues, incident: Incident) -> TransitionDoc:
    """Nobody answered the proposal to close it."""
    quiet = moment(incident.quiet_since or incident.last_seen)
    return TransitionDoc(
        incident=incident.id,
        deployment=values.deployment,
        to="done",
        ticket=f"{incident.id}:ticket:1",
        parent="",
        parent_ticket="",
        lines=(f"Closed: not seen since {quiet}, and nobody said how it ended.", MEANS["unspecified"], CORRECT),
    )


def duplicate(values: BookValues, incident: Incident) -> TransitionDoc:
    parent = incident.parent or ""
    return TransitionDoc(
        incident=incident.id,
        deployment=values.deployment,
        to="duplicate",
        ticket=f"{incident.id}:ticket:1",
        parent=parent,
        parent_ticket=f"{parent}:ticket:1",
        lines=("Another incident explains this one or began with it; the linked ticket stands for both.",),
    )


def apart(values: BookValues, incident: Incident) -> TransitionDoc:
    """A person took it out of the incident that spoke for it: its ticket stands for itself again."""
    return TransitionDoc(
        incident=incident.id,
        deployment=values.deployment,
        to="open",
        ticket=f"{incident.id}:ticket:1",
        parent="",
        parent_ticket="",
        lines=("A person said that this is no part of the linked incident: it stands for itself again.",),
    )


def _comment(values: BookValues, incident: Incident, lines: tuple[str, ...]) -> CommentDoc:
    return CommentDoc(incident=incident.id, deployment=values.deployment, ticket=f"{incident.id}:ticket:1", lines=lines)
