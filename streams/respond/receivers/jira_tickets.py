"""What is done with one Jira ticket by its key: read, linked, closed, opened again. Never through the index."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from ...records import Answer, Done, NotDone, Unknown
from ..messages import LinkDoc
from .jira_text import line
from .jira_wire import Call, Failure, Reply, Wire

PROPERTY = "tocsin.incident"  # entity property: incident, deployment, obligation, nonce
UNCONFIRMED = "tocsin-unconfirmed"
DEPLOYMENT_MAX = 255
GLOBAL_ID_MAX = 255
DUPLICATE = ("Duplicate",)
OVER = ("Done", "Resolved", "Closed", "Fixed")  # where a resolution is asked for and nobody has one to give
CLOSED_TWICE = 2

Ours = Callable[[dict[str, Any]], bool]


def label(seed: str) -> str:
    """The label that finds an incident's ticket: search knows labels, not properties."""
    return f"tocsin-{hashlib.sha256(seed.encode()).hexdigest()[:20]}"


def unread(failure: Failure) -> Answer:
    """A look that failed before anything was written: certainly nothing happened."""
    return NotDone(failure.why) if isinstance(failure, Unknown) else failure


class Tickets:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(
        self, key: str, fields: str = "labels", *, properties: str = "", expand: str = ""
    ) -> Reply | Failure:
        params = {"fields": fields, "properties": properties, "expand": expand}
        given = {name: value for name, value in params.items() if value}
        answer = await self._wire.call(Call("GET", f"issue/{key}", params=given))
        if isinstance(answer, Reply) and not (
            isinstance(answer.body, dict) and isinstance(answer.body.get("fields"), dict)
        ):
            return Unknown("a ticket without fields")
        return answer

    async def link(self, child: str, parent: str) -> Answer:
        """`child` duplicates `parent`; Jira itself keeps such a link only once."""
        there = await self.read(child, "issuelinks")
        if not isinstance(there, Reply):
            return unread(there)
        for link in there.body["fields"].get("issuelinks") or ():
            if (link.get("outwardIssue") or {}).get("key") == parent:
                return Done(parent)
        body = {"type": {"name": "Duplicate"}, "inwardIssue": {"key": child}, "outwardIssue": {"key": parent}}
        answer = await self._wire.call(Call("POST", "issueLink", body))
        return Done(parent) if isinstance(answer, Reply) else answer

    async def point(self, key: str, doc: LinkDoc) -> Answer:
        """The way back to the incident's page. Jira keeps one link for each global id: repeating it changes nothing."""
        name = f"tocsin:{doc.deployment}:{doc.incident}"
        if len(name) > GLOBAL_ID_MAX:
            name = f"tocsin:{hashlib.sha256(name.encode()).hexdigest()}"
        target = {"url": doc.url, "title": line(doc.title) or "Incident", "status": {"resolved": doc.resolved}}
        if summary := line(doc.summary):
            target["summary"] = summary
        body = {
            "globalId": name,
            "application": {"type": "io.tocsin", "name": "Tocsin"},
            "relationship": "is described by",
            "object": target,
        }
        answer = await self._wire.call(Call("POST", f"issue/{key}/remotelink", body))
        if not isinstance(answer, Reply):
            return answer
        written = answer.body.get("id") if isinstance(answer.body, dict) else None
        return Done(str(written)) if written else Unknown("an answer without the link's id")

    async def close_untouched(
        self, key: str, comments: Sequence[dict[str, Any]], ours: Ours, named: tuple[str, ...]
    ) -> Answer:
        """Done either way: a ticket that a person has changed, moved or commented stays as that person left it."""
        there = await self.read(key, "status,creator", expand="changelog")
        if not isinstance(there, Reply):
            return unread(there)
        people = [one for one in comments if not ours(one)]
        if _category(there.body) == "done" or people or _changed_by_others(there.body):
            return Done(key)
        return await self._move(key, "done", named)

    async def open_again(self, key: str) -> Answer:
        """Unless a person has closed it twice: then it stays closed."""
        there = await self.read(key, "status,creator", expand="changelog")
        if not isinstance(there, Reply):
            return unread(there)
        if _category(there.body) != "done" or _closed_by_others(there.body) >= CLOSED_TWICE:
            return Done(key)
        return await self._move(key, "new", ())

    async def _move(self, key: str, category: str, named: tuple[str, ...]) -> Answer:
        """One step of the workflow to a status of that category; anything but done opens a ticket."""
        offered = await self._wire.call(
            Call("GET", f"issue/{key}/transitions", params={"expand": "transitions.fields"})
        )
        if not isinstance(offered, Reply):
            return unread(offered)
        steps = offered.body.get("transitions", []) if isinstance(offered.body, dict) else ()
        fitting = [one for one in steps if (_step(one) == "done") == (category == "done")]
        for one in sorted(fitting, key=lambda one: _step(one) != category)[:1]:
            body: dict[str, Any] = {"transition": {"id": str(one["id"])}}
            if resolution := _resolution(one, named):
                body["fields"] = {"resolution": {"name": resolution}}
            answer = await self._wire.call(Call("POST", f"issue/{key}/transitions", body))
            return Done(key) if isinstance(answer, Reply) else answer
        return Done(key)  # this workflow has no way there: links and comments say it


def _category(ticket: dict[str, Any]) -> str:
    return str(((ticket["fields"].get("status") or {}).get("statusCategory") or {}).get("key"))


def _step(transition: dict[str, Any]) -> str:
    return str(((transition.get("to") or {}).get("statusCategory") or {}).get("key"))


def _person(found: Any) -> str:
    """An account id on Cloud, a name elsewhere."""
    known = found if isinstance(found, dict) else {}
    return str(known.get("accountId") or known.get("key") or known.get("name") or "")


def _others(ticket: dict[str, Any]) -> list[dict[str, Any]]:
    """What somebody else than the ticket's creator has changed: we have created it."""
    us = _person(ticket["fields"].get("creator"))
    histories = (ticket.get("changelog") or {}).get("histories") or []
    return [one for one in histories if _person(one.get("author")) != us]


def _changed_by_others(ticket: dict[str, Any]) -> bool:
    return bool(_others(ticket))


def _closed_by_others(ticket: dict[str, Any]) -> int:
    """How often: closing sets the resolution, or moves it to a status that a later step left again."""
    items = [item for one in _others(ticket) for item in one.get("items") or () if isinstance(item, dict)]
    resolved = sum(1 for item in items if item.get("field") == "resolution" and item.get("toString"))
    moves = sum(1 for item in items if item.get("field") == "status")
    return max(resolved, moves // 2)


def _resolution(transition: dict[str, Any], named: tuple[str, ...]) -> str | None:
    """One of those named; any, where the screen insists on one."""
    field = (transition.get("fields") or {}).get("resolution") or {}
    allowed = [str(one.get("name")) for one in field.get("allowedValues") or ()]
    insists = bool(field.get("required"))
    wanted = named if named == DUPLICATE or insists else ()
    return next((one for one in wanted if one in allowed), allowed[0] if insists and allowed else None)
