"""Writes what learn has to say: about an incident into its thread and under its ticket, or to an agent's owner."""

from __future__ import annotations

from ..records import Incident, Notice
from .messages import CommentDoc, NoteDoc, PageDoc
from .routing import BookValues
from .writing_words import clip

HEADLINE_MAX = 150
LINES_MAX = 12


def remark(values: BookValues, incident: Incident, said: tuple[str, ...], page: str) -> NoteDoc:
    headline, *lines = said
    return NoteDoc(
        incident=incident.id,
        deployment=values.deployment,
        page=page,
        headline=clip(headline, HEADLINE_MAX),
        lines=tuple(clip(line) for line in lines[:LINES_MAX]),
    )


def remark_comment(values: BookValues, incident: Incident, said: tuple[str, ...]) -> CommentDoc:
    lines = tuple(clip(line) for line in said[: LINES_MAX + 1])
    return CommentDoc(incident=incident.id, deployment=values.deployment, ticket=f"{incident.id}:ticket:1", lines=lines)


def notice(values: BookValues, name: str, owner: str, said: Notice) -> PageDoc:
    """A message that wakes nobody and belongs to no incident."""
    where = " in ".join(one for one in (said.agent, said.environment) if one)
    lines = tuple((f"{number}." if len(said.lines) > 1 else "What", line) for number, line in enumerate(said.lines, 1))
    shown = (("Agent", where), ("Owner", owner), *lines)
    return PageDoc(
        incident=name,
        deployment=values.deployment,
        severity="low",
        state="open",
        headline=clip(said.headline, HEADLINE_MAX),
        lines=tuple((label, clip(value)) for label, value in shown if value)[:LINES_MAX],
        links=(("More", f"{values.pages_url}{said.link}"),) if values.pages_url and said.link else (),
    )
