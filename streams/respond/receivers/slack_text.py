"""Pages and notes as Slack's blocks: untrusted text as plain text, addresses only from us, within Slack's limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...records import Done
from ..messages import NoteDoc, PageDoc
from . import slack_buttons
from .jira_text import address, printable, within

TOTAL_MAX = 10_000  # Slack refuses more than about 13,200 characters in all blocks
TEXT_MAX = 2_000
SECTION_MAX = 2_900
FIELD_MAX = 1_900
FIELDS_MAX = 10
HEADER_MAX = 150
BLOCKS_MAX = 50
ELSEWHERE = "Acknowledge, assign, silence and decide on the incident's page."
_ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")

Block = dict[str, Any]


def escape(text: str) -> str:
    """What stands in mrkdwn. Nothing that a stranger wrote can become a mention, a channel or a link."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mention(who: str) -> str:
    """A handle does not reach anybody, and a group written as a person fails silently."""
    if not _ID.match(who):
        return ""
    return f"<!subteam^{who}>" if who.startswith("S") else f"<@{who}>"


def summary(doc: PageDoc) -> str:
    """The text beside the blocks: what phones and screen readers show."""
    lines = "\n".join((doc.headline, *(f"{label}: {value}" for label, value in doc.lines[:3])))
    return f"{mention(doc.mention)} {escape(_cut(lines, TEXT_MAX))}".strip()


def note_summary(doc: NoteDoc) -> str:
    return escape(_cut("\n".join((doc.headline, *doc.lines)), TEXT_MAX))


def blocks(
    doc: PageDoc, references: Mapping[str, Done], *, awaited: bool = False, buttons: bool = False
) -> list[Block]:
    """`awaited`: the edit was to wait for the ticket; if it is not among the references, there will be none.

    `buttons`: somebody hears them. One that nobody hears is worse than a link to where the same can be done.
    """
    found: list[Block] = [{"type": "header", "text": _plain(doc.headline or "Incident", HEADER_MAX)}]
    if who := mention(doc.mention):
        level = f"Level {doc.level}: " if doc.level else ""
        found.append(_mrkdwn(f"{level}{who}"))
    lines = [f"{label}: {value}" for label, value in doc.lines]
    found += [_section(lines[0])] if lines else []
    fields = [_plain(line, FIELD_MAX) for line in lines[1:]]
    groups = (fields[start : start + FIELDS_MAX] for start in range(0, len(fields), FIELDS_MAX))
    found += [{"type": "section", "fields": group} for group in groups]
    telling = tuple(f"Evidence: {one}" for one in doc.evidence)
    found += [_section(text) for text in (*telling, *_numbered(doc.steps), doc.todo) if text]
    pressed = slack_buttons.block(doc.incident, doc.actions) if buttons else None
    found += [pressed] if pressed else []
    held = slack_buttons.controls(doc.incident, doc.controls) if buttons else None
    found += [held] if held else []
    if links := _links(doc, references, awaited=awaited):
        found.append({"type": "context", "elements": [{"type": "mrkdwn", "text": links}]})
    if doc.actions and not buttons and any(address(url) for _, url in doc.links):
        found.append({"type": "context", "elements": [_plain(ELSEWHERE, TEXT_MAX)]})
    return _fitting(found)


def note(doc: NoteDoc, *, buttons: bool = False) -> list[Block]:
    text = "\n".join((doc.headline or "News", *doc.lines))
    pressed = slack_buttons.block(doc.incident, doc.actions) if buttons else None
    return _fitting([_section(text), *([pressed] if pressed else [])])


def _numbered(steps: Iterable[str]) -> tuple[str, ...]:
    text = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    return (f"First steps:\n{text}",) if text else ()


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
    return _joined(parts)


def _joined(parts: list[str]) -> str:
    """As many as fit: half a link is none, and half an escape something else."""
    text = ""
    for part in parts:
        longer = f"{text} · {part}" if text else part
        if len(longer) > SECTION_MAX:
            break
        text = longer
    return text


def _link(label: str, url: str) -> str:
    return f"<{escape(url)}|{escape(label)}>" if address(url) else escape(label)


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": _cut(printable(text).strip(), limit) or "-", "emoji": False}


def _section(text: str) -> Block:
    return {"type": "section", "text": _plain(text, SECTION_MAX)}


def _mrkdwn(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str, limit: int) -> str:
    limit = within(text, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _fitting(found: list[Block]) -> list[Block]:
    """Without its longest plain sections, until all of it fits: headline, mention, links and buttons stay."""
    while _size(found) > TOTAL_MAX or len(found) > BLOCKS_MAX:
        longest = max((one for one in found if one["type"] == "section"), key=_size)
        found = [one for one in found if one is not longest]
    return found


def _size(node: Any) -> int:
    if isinstance(node, list):
        return sum(map(_size, node))
    if not isinstance(node, dict):
        return len(node) if isinstance(node, str) else 0
    return sum(map(_size, node.values()))
