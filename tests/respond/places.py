"""Every place where strangers' text appears, how a stranger would read it there, and what it must never become.

A new place is one more entry of `PLACES`: what is written for an incident, the texts people read in it, and a check of
all that is not text.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import builders as b

from streams import records as r
from streams.respond import writing
from streams.respond.messages import Doc, NoteDoc, PageDoc, body, read
from streams.respond.receivers import jira_text, pagerduty, slack_text
from streams.respond.routing import BookValues, Owner
from streams.sandbox.jira import adf
from streams.sandbox.slack import blocks as kit

SITE = "https://tocsin.example"
WIKI = "https://wiki.example/tools"
VALUES = BookValues(
    owners=(Owner(name="payments", agents=("billing",), mention="SPAY"),),
    runbooks={"tool.repeated_error": f"Open the session.\nStop it.\n{WIKI}\n"},
    pages_url=SITE,
    deployment="blue",
)
STAGES: tuple[r.Stage, ...] = get_args(r.Stage)
AT = b.at(300)
JIRA_MAX, SUMMARY_MAX = 32_767, 255


def incident(text: str, stage: r.Stage = "open", **given: Any) -> r.Incident:
    """Whatever an incident can hold of strangers' text is `text`. Its name is ours, as are detector and severity."""
    about = r.About(text, text, text, text, text, text, b.attribution(text))
    event = r.Excerpt(text, text, b.at(0), text, text, text, text, text, text, 1.0, text, text)
    known: dict[str, Any] = {
        "title": text, "subject": {"agent": text, "tool": text, text: text}, "owner": text, "about": about,
        "sessions": (text,), "releases": (text, "8"), "evidence": (event, b.excerpt(1, text=text)), "observed": text,
        "expected": text, "hint": text, "dependency": text, "fixed_in": text, "acknowledged_by": text,
        "resolved_by": text, "previous_ticket": text, "assigned_to": text, "rose": text, "level": 2,
        "changed": (r.Change(b.at(-60), text, text, text),), "outcome": "fixed" if stage == "resolved" else None,
        "previous": r.Previous(text, "fixed", b.at(-9000), text, text, text), "quiet_since": b.at(200),
    }  # fmt: skip
    return b.incident(0, stage=stage, **{**known, **given})


def told(doc: Doc) -> Doc:
    """As the receiver reads it from the database."""
    return read(json.loads(json.dumps(body(doc))))


# -- what is written --------------------------------------------------------------------------------------------------


def pages(one: r.Incident) -> list[PageDoc]:
    docs = [writing.page(VALUES, one, AT, mention="SPAY", explained=one.title), writing.page(VALUES, one, AT)]
    return [doc for doc in map(told, docs) if isinstance(doc, PageDoc)]


def notes(one: r.Incident) -> list[NoteDoc]:
    docs = [told(writing.note(VALUES, one, AT, what)) for what in get_args(writing.News)]
    return [doc for doc in docs if isinstance(doc, NoteDoc)]


def slack_pages(one: r.Incident) -> list[Any]:
    done = {f"{one.id}:ticket:1": r.Done("OPS-1", "https://jira.example/browse/OPS-1")}
    shown = [(doc, references, buttons) for doc in pages(one) for references in ({}, done) for buttons in (True, False)]
    return [[slack_text.summary(doc), slack_text.blocks(doc, done_, buttons=on)] for doc, done_, on in shown]


def slack_notes(one: r.Incident) -> list[Any]:
    return [[slack_text.note_summary(doc), slack_text.note(doc, buttons=True)] for doc in notes(one)]


def umbrella(one: r.Incident) -> list[Any]:
    names = (one.id, f"v1:{one.title}:x#1", one.title)
    doc = told(writing.umbrella(VALUES, "storm:x:1", one.owner, (3, 4), mention="SPAY", waiting=names))
    assert isinstance(doc, PageDoc)
    return [[slack_text.summary(doc), slack_text.blocks(doc, {}, buttons=True)]]


def ticket(one: r.Incident) -> Any:
    return told(writing.ticket(VALUES, one, AT))


def comments(one: r.Incident) -> list[tuple[str, ...]]:
    docs = [writing.understood(VALUES, one), writing.closing(VALUES, one), writing.duplicate(VALUES, one)]
    dated = (writing.raised, writing.recovered_comment, writing.back_comment, writing.assigned_comment)
    return [told(doc).lines for doc in (*docs, *(write(VALUES, one, AT) for write in dated))]


# -- how it is read there, and what it may not be ---------------------------------------------------------------------


def slack_texts(message: Any) -> list[str]:
    summary, found = message
    return [_unescaped(summary), *(_unescaped(one["text"]) for one in _objects(found) if "text" in one)]


def _objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for one in node:
            yield from _objects(one)
    if isinstance(node, dict):
        if node.get("type") in ("mrkdwn", "plain_text"):
            yield node
        for one in node.values():
            yield from _objects(one)


OURS = re.compile(
    r"<!subteam\^SPAY>|<https://(?:tocsin\.example/incidents[^|<> ]*|wiki\.example/tools|jira\.example/browse/OPS-1)\|[^<>]*>"
)


def slack_is_harmless(message: Any) -> None:
    summary, found = message
    assert kit.wrong(found) == []
    assert kit.total(found) <= 10_000
    for marked in (summary, *(one["text"] for one in _objects(found) if one["type"] == "mrkdwn")):
        rest = OURS.sub("", marked)
        assert "<" not in rest and ">" not in rest, rest
        assert re.sub(r"&(?:amp|lt|gt);", "", rest).count("&") == 0
    for button in (one for block in found if block["type"] == "actions" for one in block["elements"]):
        assert button["action_id"].startswith("tocsin:")


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def adf_texts(document: Any) -> list[str]:
    return [node["text"] for node in _nodes(document) if node["type"] == "text"]


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("content", ()):
        yield from _nodes(child)


STRUCTURE = {"doc", "paragraph", "heading", "table", "tableRow", "tableHeader", "tableCell", "orderedList", "listItem"}


def adf_is_harmless(document: Any) -> None:
    """Only text nodes bear text, and nothing of it is an attribute."""
    assert adf.wrong(document) is None
    assert len(json.dumps(document, ensure_ascii=False).encode("utf-16-le")) // 2 <= JIRA_MAX
    for node in _nodes(document):
        if node["type"] == "text":
            assert node.keys() <= {"type", "text", "marks"}
            assert all(_mark_is_ours(mark) for mark in node.get("marks", ()))
            continue
        assert node["type"] in STRUCTURE
        assert node.keys() <= {"type", "content", "attrs", "version"}
        assert node.get("attrs", {}) in ({}, {"level": 3})


def _mark_is_ours(mark: dict[str, Any]) -> bool:
    return mark == {"type": "strong"} or (mark["type"] == "link" and mark["attrs"]["href"].startswith((SITE, WIKI)))


ESCAPED = re.compile(r"\\([*_\-+^~{}\[\]()!|#?@])|&#(\d+);")
LINK = re.compile(r"\[((?:\\.|[^\\\[\]|])*)\|(https://[^\]|]*)\]")
BARE = re.compile(r"[*_+^~{}\[\]!|#?@\\]|(?<!\w)-|--|&#?\w+;|\w+://|mailto:|\A(?:h[1-6]|bq)\.|\(.\)|:\)|:\(")


def wiki_texts(markup: str) -> list[str]:
    return [ESCAPED.sub(lambda found: found[1] or chr(int(found[2])), line) for line in markup.split("\n")]


def wiki_is_harmless(markup: str) -> None:
    """A parser of its own: every line is one of our few forms, and what it holds bears no markup that is not escaped."""
    assert len(markup.encode("utf-16-le")) // 2 <= JIRA_MAX
    for line in markup.split("\n"):
        for held in _held(line):
            assert not BARE.search(ESCAPED.sub("x", held)), line


def _held(line: str) -> tuple[str, ...]:
    if found := LINK.fullmatch(line):
        assert found[2].startswith((SITE, WIKI))
        return (found[1],)
    if line.startswith("||"):
        cells = re.split(r"(?<!\\)\|", line)
        assert (cells[0], cells[1], cells[-1], len(cells)) == ("", "", "", 5), line
        return (cells[2], cells[3])
    return (line.removeprefix("h3. ").removeprefix("# "),)


def plain_texts(document: Any) -> list[str]:
    """All strings of a JSON document, keys too."""
    if isinstance(document, str):
        return [document]
    if isinstance(document, list | tuple):
        return [text for one in document for text in plain_texts(one)]
    if isinstance(document, dict):
        return [text for key, one in document.items() for text in (key, *plain_texts(one))]
    return []


def anything(document: Any) -> None:
    del document


def alerts(one: r.Incident) -> list[Any]:
    found = [pagerduty._event(doc, b.obligation(one.id)) for doc in pages(one)]
    for event in found:
        assert event.get("links", [{"href": SITE}])[0]["href"].startswith(SITE)
        assert len(event.get("payload", {}).get("summary", "")) <= 1024
    return found


class Place(NamedTuple):
    name: str
    written: Callable[[r.Incident], list[Any]]
    texts: Callable[[Any], list[str]]
    harmless: Callable[[Any], None]


def _link(one: r.Incident) -> list[Any]:
    found = body(told(writing.link(VALUES, one)))
    assert found.pop("url").startswith(f"{SITE}/incidents/")
    return [found]


PLACES = (
    Place("page", slack_pages, slack_texts, slack_is_harmless),
    Place("note", slack_notes, slack_texts, slack_is_harmless),
    Place("umbrella", umbrella, slack_texts, slack_is_harmless),
    Place("ticket (Cloud)", lambda one: [jira_text.document(ticket(one))], adf_texts, adf_is_harmless),
    Place("ticket (Data Center)", lambda one: [jira_text.wiki(ticket(one))], wiki_texts, wiki_is_harmless),
    Place("comment (Cloud)", lambda one: list(map(jira_text.comment, comments(one))), adf_texts, adf_is_harmless),
    Place(
        "comment (Data Center)",
        lambda one: list(map(jira_text.wiki_comment, comments(one))),
        wiki_texts,
        wiki_is_harmless,
    ),
    Place("summary", lambda one: [jira_text.line(ticket(one).summary)], lambda line: [line], anything),
    Place("attachment", lambda one: [body(told(writing.evidence(VALUES, one)))], plain_texts, anything),
    Place("remote link", _link, plain_texts, anything),
    Place("PagerDuty", alerts, plain_texts, anything),
    Place("webhook", lambda one: [*map(body, pages(one)), *map(body, notes(one))], plain_texts, anything),
)


def read_html(page: str) -> str:
    """What a browser shows of it."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))
