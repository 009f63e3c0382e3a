"""What Jira's answers say of people, comments and links, in either version of its API. Nothing of it is relied on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from .ticket import Comment, Mark

COMMENTS = "orderBy=-created&maxResults=100&expand=properties"
PROPERTY = "tocsin.comment"  # which our own comments bear
TEXT_MAX = 32_767
DEPTH_MAX = 20


def comment(found: Any, own: str) -> Comment | None:
    """None: it cannot be read. `own`: our account."""
    name, at = part(found, "id"), when(part(found, "updated")) or when(part(found, "created"))
    if not name or at is None:
        return None
    edited = part(found, "updated") != part(found, "created")
    who = part(found, "updateAuthor" if edited else "author") or part(found, "author")
    marked = any(part(one, "key") == PROPERTY for one in parts(found, "properties"))
    machine = part(who, "accountType") == "app"
    ours = marked or machine or (bool(own) and own in (identity(who), identity(part(found, "author"))))
    return Comment(str(name), text(part(found, "body")), at, name_of(who), marks(who), ours)


def text(body: Any) -> str:
    """Wiki text as it is; of a document its words, a line for each paragraph."""
    return (body if isinstance(body, str) else _plain(body, 0))[:TEXT_MAX]


def _plain(node: Any, depth: int) -> str:
    if depth > DEPTH_MAX:
        return ""
    match part(node, "type"):
        case "text":
            return str(part(node, "text") or "")
        case "hardBreak":
            return "\n"
        case "mention" | "emoji" | "status" | "date":
            return str(part(part(node, "attrs"), "text") or "")
        case "inlineCard":
            return str(part(part(node, "attrs"), "url") or "")
    inside = "".join(_plain(one, depth + 1) for one in parts(node, "content"))
    return f"{inside}\n" if part(node, "type") in ("paragraph", "heading", "codeBlock") else inside


def duplicated(links: Iterable[Any]) -> str:
    """The key of the ticket that this one duplicates."""
    for one in links:
        kind, original = part(one, "type"), part(one, "outwardIssue")
        words = f"{part(kind, 'name')} {part(kind, 'outward')}".lower()
        if original and "duplicate" in words and "cloned" not in words:
            return str(part(original, "key") or "")
    return ""


def marks(who: Any) -> tuple[Mark, ...]:
    """All by which the site knows them, the surest first."""
    found = [Mark("jira", str(part(who, name))) for name in ("accountId", "name", "key") if part(who, name)]
    found += [Mark("email", str(part(who, "emailAddress")))] if part(who, "emailAddress") else []
    return (*found, Mark("name", name_of(who))) if name_of(who) else tuple(found)


def identity(who: Any) -> str:
    return str(part(who, "accountId") or part(who, "key") or part(who, "name") or "")


def name_of(who: Any) -> str:
    return str(part(who, "displayName") or part(who, "name") or "")


def when(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


def part(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) and name else None


def parts(found: Any, name: str) -> Iterable[Any]:
    inside = part(found, name)
    return inside if isinstance(inside, list) else []
