"""Atlassian Document Format: checked as Jira checks it, read as plain text, and shown as HTML made of escaped text."""

from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup, escape

INLINE = frozenset({"text", "hardBreak", "mention", "emoji", "inlineCard", "status", "date"})
BLOCKS = frozenset(
    {"paragraph", "heading", "bulletList", "orderedList", "codeBlock", "blockquote", "panel", "rule", "table", "expand"}
)
LISTED = frozenset({"paragraph", "bulletList", "orderedList", "codeBlock"})
CELL = BLOCKS - {"table", "expand"} | {"nestedExpand"}
CHILDREN: dict[str, frozenset[str]] = {
    "doc": BLOCKS,
    "paragraph": INLINE,
    "heading": INLINE,
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": LISTED,
    "codeBlock": frozenset({"text"}),
    "blockquote": LISTED,
    "panel": frozenset({"paragraph", "heading", "bulletList", "orderedList", "codeBlock", "rule"}),
    "expand": BLOCKS - {"expand"} | {"nestedExpand"},
    "nestedExpand": LISTED | {"heading", "panel", "blockquote"},
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableHeader", "tableCell"}),
    "tableHeader": CELL,
    "tableCell": CELL,
}
NEEDS = {  # attributes that Jira insists on
    "heading": "level",
    "panel": "panelType",
    "mention": "id",
    "emoji": "shortName",
    "inlineCard": "url",
    "status": "text",
    "date": "timestamp",
}
FILLED = frozenset({"bulletList", "orderedList", "listItem", "blockquote", "panel", "table", "tableRow"})
MARKS = frozenset({"strong", "em", "code", "link", "strike", "underline", "textColor", "subsup"})
BREAKS = BLOCKS | {"listItem", "tableRow", "nestedExpand"}
TAGS = {"paragraph": "p", "bulletList": "ul", "orderedList": "ol", "listItem": "li", "blockquote": "blockquote"}
TAGS |= {"tableRow": "tr", "tableHeader": "th", "tableCell": "td"}
MARK_TAGS = {"strong": "strong", "em": "em", "code": "code", "strike": "s", "underline": "u"}


def document(text: str) -> dict[str, Any]:
    """Plain text as a document, one paragraph a line."""
    lines = [[{"type": "text", "text": line}] if line else [] for line in text.split("\n")]
    return {"version": 1, "type": "doc", "content": [{"type": "paragraph", "content": line} for line in lines]}


def wrong(node: Any) -> str | None:
    """What is wrong with a document; None: nothing."""
    if not isinstance(node, dict) or node.get("type") != "doc" or node.get("version") != 1:
        return "not an Atlassian Document of version 1"
    return _wrong(node)


def _wrong(node: dict[str, Any]) -> str | None:
    kind = node.get("type")
    if kind == "text":
        return _wrong_text(node)
    attributes, content = node.get("attrs", {}), node.get("content", [])
    if not isinstance(attributes, dict) or not isinstance(content, list):
        return f"{kind} of the wrong shape"
    if kind in NEEDS and NEEDS[kind] not in attributes:
        return f"{kind} without {NEEDS[kind]}"
    if kind not in CHILDREN:
        return None  # a leaf: its parent has allowed it
    if kind in FILLED and not content:
        return f"{kind} without content"
    for child in content:
        if not isinstance(child, dict) or child.get("type") not in tuple(CHILDREN[kind]):  # it may not be hashable
            return f"{child.get('type') if isinstance(child, dict) else type(child).__name__} inside {kind}"
        if kind == "codeBlock" and child.get("marks"):
            return "marks inside codeBlock"
        if trouble := _wrong(child):
            return trouble
    return None


def _wrong_text(node: dict[str, Any]) -> str | None:
    if not isinstance(node.get("text"), str) or not node["text"]:
        return "text without text"
    marks = node.get("marks", [])
    if not isinstance(marks, list) or not all(isinstance(mark, dict) for mark in marks):
        return "marks of the wrong shape"
    kinds = {str(mark.get("type")) for mark in marks}
    if kinds - MARKS:
        return f"unknown marks {sorted(kinds - MARKS)}"
    if any(mark["type"] == "link" and not _leads_somewhere(mark) for mark in marks):
        return "link without href"
    if "code" in kinds and kinds - {"code", "link"}:
        return "code together with other marks"
    return None


def _leads_somewhere(mark: dict[str, Any]) -> bool:
    return isinstance(mark.get("attrs"), dict) and isinstance(mark["attrs"].get("href"), str)


def plain(node: Any) -> str:
    """A document, or wiki text that is one already, as plain text."""
    if isinstance(node, str):
        return node
    if not isinstance(node, dict):
        return ""
    return _plain(node).strip("\n")


def _plain(node: dict[str, Any]) -> str:
    kind, attributes = node.get("type"), node.get("attrs", {})
    match kind:
        case "text":
            return str(node.get("text", ""))
        case "hardBreak":
            return "\n"
        case "mention" | "status":
            return str(attributes.get("text", ""))
        case "emoji":
            return str(attributes.get("shortName", ""))
        case "inlineCard":
            return str(attributes.get("url", ""))
        case "date":
            return str(attributes.get("timestamp", ""))
    inner = "".join(_plain(child) for child in node.get("content", []))
    if kind in {"tableCell", "tableHeader"}:
        return inner.strip("\n") + "\t"
    return inner.rstrip("\n\t") + "\n" if kind in BREAKS else inner


def html(node: Any) -> Markup:
    """What the page shows: only escaped text between tags from this file; wiki text stays text."""
    if isinstance(node, str):
        return Markup('<div class="text">{}</div>').format(node)
    return _html(node) if isinstance(node, dict) else Markup()


def _html(node: dict[str, Any]) -> Markup:
    kind, attributes = node.get("type"), node.get("attrs", {})
    inner = Markup().join(_html(child) for child in node.get("content", []))
    if kind in TAGS:
        return Markup("<{tag}>{inner}</{tag}>").format(tag=TAGS[kind], inner=inner)
    match kind:
        case "text":
            return _marked(node)
        case "heading":
            level = attributes.get("level") if attributes.get("level") in range(1, 7) else 6
            return Markup("<h{0}>{1}</h{0}>").format(min(level + 2, 6), inner)  # the page's own headings come first
        case "codeBlock":
            return Markup('<pre tabindex="0"><code>{}</code></pre>').format(inner)
        case "rule":
            return Markup("<hr>")
        case "hardBreak":
            return Markup("<br>")
        case "panel":
            return Markup('<div class="panel">{}</div>').format(inner)
        case "table":
            return Markup('<div class="wide"><table>{}</table></div>').format(inner)
        case "expand" | "nestedExpand":
            return Markup("<details><summary>{}</summary>{}</details>").format(attributes.get("title") or "More", inner)
        case "inlineCard":
            url = str(attributes.get("url", ""))
            return anchor(url, escape(url))
        case "status" | "mention" | "emoji" | "date":
            return Markup('<span class="chip">{}</span>').format(_plain(node))
    return inner


def _marked(node: dict[str, Any]) -> Markup:
    shown = escape(node.get("text", ""))
    for mark in node.get("marks", []):
        kind = mark.get("type")
        if kind in MARK_TAGS:
            shown = Markup("<{tag}>{shown}</{tag}>").format(tag=MARK_TAGS[kind], shown=shown)
        elif kind == "link":
            shown = anchor(str(mark.get("attrs", {}).get("href", "")), shown)
    return shown


def anchor(url: str, shown: Markup) -> Markup:
    """A link, when its scheme is harmless; otherwise only what it says."""
    if urlsplit(url).scheme not in {"http", "https", "mailto"}:
        return shown
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(url, shown)
