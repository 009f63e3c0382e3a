"""What is done with one Jira ticket by its key: read, linked, closed as a duplicate. Never through the index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from ...records import Answer, Done, NotDone, Unknown
from .jira_wire import Call, Failure, Reply, Wire

PROPERTY = "tocsin.incident"  # entity property: incident, deployment, obligation, nonce
UNCONFIRMED = "tocsin-unconfirmed"
DEPLOYMENT_MAX = 255
COMMENTS_MAX = 100


def label(seed: str) -> str:
    """The label that finds an incident's ticket: search knows labels, not properties."""
    return f"tocsin-{hashlib.sha256(seed.encode()).hexdigest()[:20]}"


class Tickets:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(self, key: str, fields: str = "labels", *, properties: str = "") -> Reply | Failure:
        params = {"fields": fields, **({"properties": properties} if properties else {})}
        answer = await self._wire.call(Call("GET", f"issue/{key}", params=params))
        if isinstance(answer, Reply) and not (
            isinstance(answer.body, dict) and isinstance(answer.body.get("fields"), dict)
        ):
            return Unknown("a ticket without fields")
        return answer

    async def comments(self, key: str) -> Reply | Failure:
        """The newest ones with their properties: ours is among them if it was written lately."""
        params = {"expand": "properties", "orderBy": "-created", "maxResults": str(COMMENTS_MAX)}
        answer = await self._wire.call(Call("GET", f"issue/{key}/comment", params=params))
        if isinstance(answer, Reply) and not (
            isinstance(answer.body, dict) and isinstance(answer.body.get("comments"), list)
        ):
            return Unknown("no list of comments")
        return answer

    async def link(self, child: str, parent: str) -> Answer:
        """`child` duplicates `parent`; Jira itself keeps such a link only once."""
        there = await self.read(child, "issuelinks")
        if not isinstance(there, Reply):
            return NotDone(there.why) if isinstance(there, Unknown) else there
        for link in there.body["fields"].get("issuelinks") or ():
            if (link.get("outwardIssue") or {}).get("key") == parent:
                return Done(parent)
        body = {"type": {"name": "Duplicate"}, "inwardIssue": {"key": child}, "outwardIssue": {"key": parent}}
        answer = await self._wire.call(Call("POST", "issueLink", body))
        return Done(parent) if isinstance(answer, Reply) else answer

    async def close_untouched(self, key: str, ours: Callable[[dict[str, Any]], bool]) -> Answer:
        """Done either way: a ticket that a person has moved, taken or commented stays as that person left it."""
        there = await self.read(key, "status,assignee")
        if not isinstance(there, Reply):
            return there
        comments = await self.comments(key)
        if not isinstance(comments, Reply):
            return comments
        fields = there.body["fields"]
        category = (fields.get("status") or {}).get("statusCategory", {}).get("key")
        people = [one for one in comments.body["comments"] if not ours(one)]
        if category != "new" or fields.get("assignee") or people:
            return Done(key)
        return await self._close(key)

    async def _close(self, key: str) -> Answer:
        params = {"expand": "transitions.fields"}
        offered = await self._wire.call(Call("GET", f"issue/{key}/transitions", params=params))
        if not isinstance(offered, Reply):
            return offered
        for one in offered.body.get("transitions", []) if isinstance(offered.body, dict) else ():
            if one.get("to", {}).get("statusCategory", {}).get("key") == "done":
                body: dict[str, Any] = {"transition": {"id": str(one["id"])}}
                if _duplicate_offered(one):
                    body["fields"] = {"resolution": {"name": "Duplicate"}}
                answer = await self._wire.call(Call("POST", f"issue/{key}/transitions", body))
                return Done(key) if isinstance(answer, Reply) else answer
        return Done(key)  # this workflow has no way there: the link and the comment say it


def _duplicate_offered(transition: dict[str, Any]) -> bool:
    allowed = (transition.get("fields") or {}).get("resolution", {}).get("allowedValues") or ()
    return any(one.get("name") == "Duplicate" for one in allowed)
