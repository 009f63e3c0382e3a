"""A page as Slack's blocks: untrusted text as plain text, addresses only from us, within Slack's limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...records import Done
from ..messages import NoteDoc, PageDoc
from . import slack_buttons
from .jira_text import address

TOTAL_MAX = 10_000  # Slack refuses more than about 13,200 characters in all blocks
TEXT_MAX = 2_000
SECTION_MAX = 2_900
FIELD_MAX = 1_900
FIELDS_MAX = 10
HEADER_MAX = 150
_ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")

Block = dict[str, Any]


def escape(text: str) -> str:
    """What stands in mrkdwn. Nothing that a stranger wrote can become a mention, a channel or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mention(who: str) -> str:
    """A handle does not reach anybody, and a group written as a person fails silently."""
    if not _ID.match(who):
        return ""
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"


def summary(doc: PageDoc) -> str:
    """The text beside the blocks: what phones and screen readers show."""
    lines = "\n".join((doc.headline, *(f"{label}: {value}" for label, value in doc.lines[:3])))
    return f"{mention(doc.mention)} {escape(_cut(lines, TEXT_MAX))}".strip()


def blocks(
    doc: PageDoc, references: Mapping[str, Done], *, awaited: bool = False, buttons: bool = False
) -> list[Block]:
    """`awaited`: the edit was to wait for the ticket; if it is not among the references, there will be none.

    `buttons`: one that nobody hears is worse than a link to the page where the same can be done.
    """
    found: list[Block] = [{"type": "header", "text": _plain(doc.headline or "Incident", HEADER_MAX)}]
    if who := mention(doc.mention):
        found.append(_mrkdwn(who))
    lines = [_plain(f"{label}: {value}", FIELD_MAX) for label, value in doc.lines]
    groups = (lines[start : start + FIELDS_MAX] for start in range(0, len(lines), FIELDS_MAX))
    found += [{"type": "section", "fields": group} for group in groups]
    texts = (*doc.evidence, *_numbered(doc.steps), doc.todo)
    found += [{"type": "section", "text": _plain(text, SECTION_MAX)} for text in texts if text]
    if links := _links(doc, references, awaited=awaited):
        found.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links}]})
    if buttons and (pressed := slack_buttons.block(doc.incident, doc.actions)):
        found.append(pressed)
    return _fitting(found)


def note_summary(doc: NoteDoc) -> str:
    return escape(_cut("\n".join((doc.headline, *doc.lines[:3])), TEXT_MAX))


def note(doc: NoteDoc, *, buttons: bool = False) -> list[Block]:
    """News in the thread: no header, nobody is mentioned."""
    found = [_section(text) for text in ("\n".join((doc.headline, *doc.lines)),) if text.strip()]
    if buttons and (pressed := slack_buttons.block(doc.incident, doc.actions)):
        found.append(pressed)
    return _fitting(found or [_section("-")])


def _numbered(steps: Iterable[str]) -> tuple[str, ...]:
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return (text,) if text else ()


def _links(doc: PageDoc, references: Mapping[str, Done], *, awaited: bool) -> str:
    parts = []
    ticket = references.get(doc.ticket)
    if ticket is not None:
        shown = f"Ticket {ticket.reference}"
        parts.append(_link(shown, ticket.url) if ticket.url else escape(shown))
    elif awaited:
        parts.append("Ticket: could not be opened, the incident's page says why")
    elif doc.ticket_pending:
        parts.append(escape(doc.ticket_pending))
    parts += [_link(label, url) for label, url in doc.links if address(url)]
    return _cut(" · ".join(parts), SECTION_MAX) if sum(map(len, parts)) < SECTION_MAX else parts[0][:SECTION_MAX]


def _link(label: str, url: str) -> str:
    return f"<{escape(url)}|{escape(label)}>" if address(url) else escape(label)


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": _cut(text, limit) or "-", "emoji": False}


def _section(text: str) -> Block:
    return {"type": "section", "text": _plain(text, SECTION_MAX)}


def _mrkdwn(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _fitting(found: list[Block]) -> list[Block]:
    """Without its longest plain sections, until all of it fits: headline, mention, links and buttons stay."""
    while _size(found) > TOTAL_MAX:
        longest = max((one for one in found if one["type"] == "section"), key=_size)
        found = [one for one in found if one is not longest]
    return found


def _size(node: Any) -> int:
    if isinstance(node, list):
        return sum(map(_size, node))
    if not isinstance(node, dict):
        return len(node) if isinstance(node, str) else 0
    return sum(map(_size, node.values()))
