"""Documents as Jira wants them: Atlassian's document format on Cloud, escaped wiki text elsewhere. Text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..messages import TicketDoc

TEXT_MAX = 30_000  # Jira takes 32,767 characters; wiki escapes count too
EVIDENCE_MAX = 15_000
CUT = "… (cut here; the attached evidence and the incident's page have it all)"
_HARMLESS = re.compile(r"https?://[^\s<>\"|\\^`{}\[\]]+\Z")
_MARKUP = re.compile(r"[*_\-+^~{}\[\]()!|#?@\\&]|:(?=//)|(?<=mailto):|(?<=^h[1-6])\.|(?<=^bq)\.")
_AS_ENTITY = "\\&:."

Node = dict[str, Any]


def address(url: str) -> bool:
    """Whether it may become a link."""
    return _HARMLESS.match(url) is not None


def line(text: str, limit: int = 255) -> str:
    """One line of printable characters: what a summary and a label bear."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(shown.split())[:limit]


# -- Atlassian document format: a text node is never parsed -----------------------------------------------------------


def document(doc: TicketDoc) -> Node:
    content: list[Node] = []
    for heading, paragraphs in doc.sections:
        content.append(_heading(heading))
        content += [_paragraph(_text(one)) for one in paragraphs]
    if doc.fields:
        rows = [_row(name, value) for name, value in doc.fields]
        content += [_heading("Details"), {"type": "table", "content": rows}]
    if doc.evidence:
        content += [_heading("Evidence"), {"type": "codeBlock", "content": _text(_fitting(doc.evidence))}]
    links = [_link(label, url) for label, url in doc.links if address(url)]
    content += [_paragraph([link]) for link in links]
    return _doc(content)


def comment(lines: Iterable[str]) -> Node:
    return _doc([_paragraph(_text(one)) for one in lines])


def _doc(content: list[Node]) -> Node:
    return {"type": "doc", "version": 1, "content": content or [_paragraph(_text("(nothing to say)"))]}


def _text(text: str) -> list[Node]:
    return [{"type": "text", "text": text}] if text else []  # an empty text node is refused


def _paragraph(content: list[Node]) -> Node:
    return {"type": "paragraph", "content": content}


def _heading(text: str) -> Node:
    return {"type": "heading", "attrs": {"level": 3}, "content": _text(text)}


def _row(name: str, value: str) -> Node:
    label = {"type": "text", "text": name or "-", "marks": [{"type": "strong"}]}
    return {
        "type": "tableRow",
        "content": [
            {"type": "tableHeader", "attrs": {}, "content": [_paragraph([label])]},
            {"type": "tableCell", "attrs": {}, "content": [_paragraph(_text(value))]},
        ],
    }


def _link(label: str, url: str) -> Node:
    return {"type": "text", "text": label or url, "marks": [{"type": "link", "attrs": {"href": url}}]}


def _fitting(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return text if len(text) <= EVIDENCE_MAX else f"{text[:EVIDENCE_MAX]}\n{CUT}"


# -- wiki text: every sign that could mean something is escaped -------------------------------------------------------


def escape(text: str) -> str:
    """One line in which nothing means anything.

    A backslash cannot escape a backslash (two of them break the line), and addresses become links by themselves:
    those signs are written as entities.
    """
    return _MARKUP.sub(
        lambda found: f"&#{ord(found[0])};" if found[0] in _AS_ENTITY else f"\\{found[0]}", " ".join(text.split())
    )


def wiki(doc: TicketDoc) -> str:
    parts: list[str] = []
    for heading, paragraphs in doc.sections:
        parts += [f"h3. {escape(heading)}", *(escape(one) for one in paragraphs)]
    if doc.fields:
        parts.append("\n".join(f"||{escape(name)}|{escape(value) or ' '}|" for name, value in doc.fields))
    parts += [f"[{escape(label)}|{url}]" for label, url in doc.links if address(url)]
    if doc.evidence:
        parts.append("h3. Evidence")
        parts += [f"* {escape(one)}" for one in doc.evidence]
    return _cut("\n\n".join(parts))


def wiki_comment(lines: Iterable[str]) -> str:
    return _cut("\n\n".join(escape(one) for one in lines)) or "(nothing to say)"


def _cut(text: str) -> str:
    """Never in the middle of an escape."""
    if len(text) <= TEXT_MAX:
        return text
    return f"{text[:TEXT_MAX].rstrip(chr(92))}\n\n{escape(CUT)}"
