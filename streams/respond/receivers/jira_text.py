"""Documents as Jira wants them: Atlassian's document format on Cloud, escaped wiki text elsewhere. Text stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from ..messages import Pairs, TicketDoc

TEXT_MAX = 32_000  # Jira takes 32,767 characters; wiki escapes count too, and so may the document's own signs
PIECE_MAX = 600  # of a text, where all of them are too long
CUT = "… (cut here; the attached evidence and the incident's page have it all)"
_HARMLESS = re.compile(r"https?://[^\s<>\"|\\^`{}\[\]]+\Z")
_MARKUP = re.compile(r"[*_\-+^~{}\[\]()!|#?@\\&]|:(?=//)|(?<=mailto):|(?<=^h[1-6])\.|(?<=^bq)\.")
_AS_ENTITY = "\\&:."

Node = dict[str, Any]


def address(url: str) -> bool:
    """Whether it may become a link."""
    return _HARMLESS.match(url) is not None


def printable(text: str) -> str:
    """Without control, direction and zero-width signs, NUL and halves of characters. Line breaks stay."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def within(text: str, limit: int) -> int:
    """How much of it: signs beyond the basic plane count twice for those who count as Java does."""
    return limit if text.isascii() or max(text, default="") <= "\uffff" else limit // 2


def line(text: str, limit: int = 255) -> str:
    """One line of printable characters: what a summary and a label bear."""
    shown = " ".join(printable(text).split())
    return shown[: within(shown, limit)]


def _shorter(doc: TicketDoc) -> Iterator[TicketDoc]:
    """What is left out first when it is too long: evidence, which is attached as well."""
    yield replace(doc, evidence=(*(one[:PIECE_MAX] for one in doc.evidence[:20]), CUT))
    yield replace(doc, evidence=(*(one[:PIECE_MAX] for one in doc.evidence[:3]), CUT))
    doc = replace(doc, evidence=(CUT,))
    yield doc
    doc = replace(doc, nine=())
    yield doc
    sections = tuple((name[:80], tuple(one[:PIECE_MAX] for one in texts[:5])) for name, texts in doc.sections[:8])
    fields = tuple((name[:80], value[:PIECE_MAX]) for name, value in doc.fields[:20])
    yield replace(doc, sections=sections, fields=fields, links=doc.links[:3])
    yield replace(doc, sections=(("Incident", (line(doc.summary), CUT)),), fields=(), evidence=(), links=())


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", errors="replace")) // 2


# -- Atlassian document format: a text node is never parsed -----------------------------------------------------------


def document(doc: TicketDoc) -> Node:
    found = _document(doc)
    for shorter in _shorter(doc):
        if _length(json.dumps(found, ensure_ascii=False)) <= TEXT_MAX:
            break
        found = _document(shorter)
    return found


def _document(doc: TicketDoc) -> Node:
    content: list[Node] = []
    for heading, paragraphs in doc.sections[:1]:
        content += _section(heading, paragraphs)
    content += _table("Details", doc.fields)
    content += _table("Evidence", doc.nine)
    if doc.evidence:
        items = [{"type": "listItem", "content": [_paragraph(_text(one))]} for one in doc.evidence]
        content += [_heading("Timeline"), {"type": "orderedList", "content": items}]
    for heading, paragraphs in doc.sections[1:]:
        content += _section(heading, paragraphs)
    links = [_link(label, url) for label, url in doc.links if address(url)]
    content += [_paragraph([link]) for link in links]
    return _doc(content)


def comment(lines: Sequence[str]) -> Node:
    found = _doc([_paragraph(_text(one)) for one in lines])
    if _length(json.dumps(found, ensure_ascii=False)) <= TEXT_MAX:
        return found
    return _doc([_paragraph(_text(one[:PIECE_MAX])) for one in (*lines[:20], CUT)])


def _doc(content: list[Node]) -> Node:
    return {"type": "doc", "version": 1, "content": content or [_paragraph(_text("(nothing to say)"))]}


def _text(text: str) -> list[Node]:
    shown = printable(text)
    return [{"type": "text", "text": shown}] if shown else []  # an empty text node is refused


def _paragraph(content: list[Node]) -> Node:
    return {"type": "paragraph", "content": content}


def _heading(text: str) -> Node:
    return {"type": "heading", "attrs": {"level": 3}, "content": _text(line(text))}


def _section(heading: str, paragraphs: Iterable[str]) -> list[Node]:
    return [_heading(heading), *(_paragraph(_text(one)) for one in paragraphs)]


def _table(heading: str, rows: Pairs) -> list[Node]:
    if not rows:
        return []
    return [_heading(heading), {"type": "table", "content": [_row(name, value) for name, value in rows]}]


def _row(name: str, value: str) -> Node:
    label = {"type": "text", "text": line(name) or "-", "marks": [{"type": "strong"}]}
    return {
        "type": "tableRow",
        "content": [
            {"type": "tableHeader", "attrs": {}, "content": [_paragraph([label])]},
            {"type": "tableCell", "attrs": {}, "content": [_paragraph(_text(value))]},
        ],
    }


def _link(label: str, url: str) -> Node:
    return {"type": "text", "text": line(label) or url, "marks": [{"type": "link", "attrs": {"href": url}}]}


# -- wiki text: every sign that could mean something is escaped -------------------------------------------------------


def escape(text: str) -> str:
    """One line in which nothing means anything.

    A backslash cannot escape a backslash (two of them break the line), and addresses become links by themselves:
    those signs are written as entities.
    """
    return _MARKUP.sub(
        lambda found: f"&#{ord(found[0])};" if found[0] in _AS_ENTITY else f"\\{found[0]}",
        " ".join(printable(text).split()),
    )


def wiki(doc: TicketDoc) -> str:
    found = _wiki(doc)
    for shorter in _shorter(doc):
        if _length(found) <= TEXT_MAX:
            break
        found = _wiki(shorter)
    return found


def _wiki(doc: TicketDoc) -> str:
    parts: list[str] = []
    for heading, paragraphs in doc.sections[:1]:
        parts += _wiki_section(heading, paragraphs)
    parts += _wiki_table("Details", doc.fields)
    parts += _wiki_table("Evidence", doc.nine)
    if doc.evidence:
        parts += ["h3. Timeline", "\n".join(f"# {escape(one) or ' '}" for one in doc.evidence)]
    for heading, paragraphs in doc.sections[1:]:
        parts += _wiki_section(heading, paragraphs)
    parts += [f"[{escape(label)}|{url}]" for label, url in doc.links if address(url)]
    return "\n\n".join(parts)


def _wiki_section(heading: str, paragraphs: Iterable[str]) -> list[str]:
    return [f"h3. {escape(heading)}", *(escape(one) for one in paragraphs)]


def _wiki_table(heading: str, rows: Pairs) -> list[str]:
    if not rows:
        return []
    cells = (f"||{escape(name) or ' '}|{escape(value) or ' '}|" for name, value in rows)
    return [f"h3. {heading}", "\n".join(cells)]


def wiki_comment(lines: Sequence[str]) -> str:
    shown = [escape(one) for one in lines]
    text = "\n\n".join(shown)
    if _length(text) > TEXT_MAX:
        text = "\n\n".join([*(escape(one[:PIECE_MAX]) for one in lines[:20]), escape(CUT)])
    return text or "(nothing to say)"
