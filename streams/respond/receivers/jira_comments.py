"""Comments under a Jira ticket: each bears a mark, is written once, and there is an end to them."""

from __future__ import annotations

import hashlib
from typing import Any

from ...records import Answer, Done, Refused, Unknown
from . import jira_text as text
from .jira_tickets import unread
from .jira_wire import Call, Failure, Reply, Wire

COMMENT_PROPERTY = "tocsin.comment"
PAGE = 100
PAGES_MAX = 10
OURS_MAX = 200
ENOUGH = f"the ticket bears {OURS_MAX} of our comments, which is enough: the incident's page has the rest"


class Comments:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def all(self, key: str) -> list[dict[str, Any]] | Failure:
        """The newest first, with their properties: ours is among the first if it was written lately."""
        found: list[dict[str, Any]] = []
        for page in range(PAGES_MAX):
            params = {
                "expand": "properties",
                "orderBy": "-created",
                "maxResults": str(PAGE),
                "startAt": str(page * PAGE),
            }
            answer = await self._wire.call(Call("GET", f"issue/{key}/comment", params=params))
            if not isinstance(answer, Reply):
                return answer
            shown = answer.body.get("comments") if isinstance(answer.body, dict) else None
            if not isinstance(shown, list):
                return Unknown("no list of comments")
            found += shown
            if len(shown) < PAGE or len(found) >= int(answer.body.get("total") or 0):
                break
        return found

    async def say(self, key: str, lines: tuple[str, ...], name: str) -> Answer:
        """A comment that bears a mark made of `name`, unless it is there already."""
        mark = hashlib.sha256(name.encode()).hexdigest()[:20]
        there = await self.all(key)
        if not isinstance(there, list):
            return unread(there)
        for comment in there:
            if marked(comment) == mark:
                return Done(str(comment.get("id")))
        if sum(ours(one) for one in there) >= OURS_MAX:
            return Refused(ENOUGH)
        body = {
            "body": text.comment(lines) if self._wire.cloud else text.wiki_comment(lines),
            "properties": [{"key": COMMENT_PROPERTY, "value": {"mark": mark}}],
        }
        answer = await self._wire.call(Call("POST", f"issue/{key}/comment", body))
        if not isinstance(answer, Reply):
            return answer
        written = answer.body.get("id") if isinstance(answer.body, dict) else None
        return Done(str(written)) if written else Unknown("an answer without the comment's id")


def marked(comment: dict[str, Any]) -> str | None:
    """Which of our comments it is; None: somebody else's."""
    for one in comment.get("properties") or ():
        if one.get("key") == COMMENT_PROPERTY and isinstance(one.get("value"), dict):
            return str(one["value"].get("mark"))
    return None


def ours(comment: dict[str, Any]) -> bool:
    return marked(comment) is not None
