"""Tickets as Jira puts them on the wire, in version 2 and version 3."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from streams.sandbox.jira import adf
from streams.sandbox.jira.catalogue import (
    FIELDS,
    LINK_KINDS,
    OUTCOME,
    PRIORITIES,
    RESOLUTIONS,
    TRANSITIONS,
    kind_bean,
    named_bean,
    option_bean,
    project_bean,
    screen_bean,
    status_bean,
    user_bean,
)
from streams.sandbox.jira.rules import Workflow
from streams.sandbox.jira.state import Book
from streams.sandbox.jira.ticket import Change, Comment, File, Link, RemoteLink, Ticket

HISTORY_NAMES = {
    "versions": ("Fix Version", "fixVersions"),
    "outcome": ("Outcome", OUTCOME),
    "due": ("duedate", "duedate"),
    "kind": ("issuetype", "issuetype"),
    "files": ("Attachment", "attachment"),
    "key": ("Key", "Key"),
}


class Wire(NamedTuple):
    """Whose tickets, in which version of the API, seen from which address."""

    book: Book
    api: str
    base: str
    cloud: bool = True

    def address(self, path: str) -> str:
        return f"{self.base}/rest/api/{self.api}/{path}"

    def user(self, person: str) -> dict[str, Any]:
        return user_bean(self.base, person, cloud=self.cloud)

    def rich(self, body: Any) -> Any:
        """Jira converts what was written through the other version."""
        if body is None:
            return None
        if self.api == "3":
            return adf.document(body) if isinstance(body, str) else body
        return adf.plain(body)

    def issue(self, ticket: Ticket, wanted: Iterable[str], properties: Iterable[str] = ()) -> dict[str, Any]:
        """`wanted` as the query says it: names, `*all`, `*navigable`, `-name`; `id` alone gives the id alone."""
        names = list(wanted)
        if names == ["id"]:
            return {"id": str(ticket.id)}
        bean: dict[str, Any] = {
            "expand": "changelog",
            "id": str(ticket.id),
            "self": self.address(f"issue/{ticket.id}"),
            "key": ticket.key,
            "fields": {name: READERS[name](self, ticket) for name in selected(names)},
        }
        if keys := list(properties):
            known = ticket.properties
            bean["properties"] = dict(known) if "*all" in keys else {key: known[key] for key in keys if key in known}
        return bean

    def comment(self, ticket: Ticket, comment: Comment, *, properties: bool = True) -> dict[str, Any]:
        author = self.user(comment.author)
        bean: dict[str, Any] = {
            "self": self.address(f"issue/{ticket.id}/comment/{comment.id}"),
            "id": str(comment.id),
            "author": author,
            "updateAuthor": self.user(comment.editor or comment.author),
            "body": self.rich(comment.body),
            "created": comment.at,
            "updated": comment.edited or comment.at,
        }
        if self.cloud:
            bean["jsdPublic"] = True
        if comment.properties and properties:
            bean["properties"] = comment.properties
        return bean

    def comments(
        self, ticket: Ticket, part: slice = slice(0, 5000), *, newest: bool = False, properties: bool = False
    ) -> dict[str, Any]:
        start, limit = part.start, part.stop - part.start
        shown = (ticket.comments[::-1] if newest else ticket.comments)[part]
        return {
            "comments": [self.comment(ticket, comment, properties=properties) for comment in shown],
            "maxResults": limit,
            "startAt": start,
            "total": len(ticket.comments),
        }

    def file(self, file: File) -> dict[str, Any]:
        return {
            "self": self.address(f"attachment/{file.id}"),
            "id": str(file.id),
            "filename": file.name,
            "author": self.user(file.author),
            "created": file.at,
            "size": file.size,
            "mimeType": file.media,
            "content": self.address(f"attachment/content/{file.id}"),
        }

    def remote(self, ticket: Ticket, link: RemoteLink) -> dict[str, Any]:
        bean = {"id": link.id, "self": self.address(f"issue/{ticket.key}/remotelink/{link.id}"), **link.body}
        return bean if link.global_id is None else {**bean, "globalId": link.global_id}

    def link(self, link: Link) -> dict[str, Any] | None:
        other = self.book.find(str(link.other))
        if other is None:
            return None
        name, inward, outward = LINK_KINDS[link.kind]
        return {
            "id": str(link.id),
            "self": self.address(f"issueLink/{link.id}"),
            "type": {
                "id": link.kind,
                "name": name,
                "inward": inward,
                "outward": outward,
                "self": self.address(f"issueLinkType/{link.kind}"),
            },
            "outwardIssue" if link.outward else "inwardIssue": self.issue(other, ["summary", "status", "priority"]),
        }

    def change(self, change: Change) -> dict[str, Any]:
        items = []
        for item in change.items:
            name, field = HISTORY_NAMES.get(item.field, (item.field, item.field))
            texts = {"fromString": item.old, "toString": item.new, "from": item.old, "to": item.new}
            custom = "custom" if field == OUTCOME else "jira"
            written = {key: text for key, text in texts.items() if text is not None}
            items.append({"field": name, "fieldtype": custom, "fieldId": field, **written})
        return {"id": str(change.id), "author": self.user(change.author), "created": change.at, "items": items}

    def transitions(self, ticket: Ticket, ends: Workflow, *, with_fields: bool) -> list[dict[str, Any]]:
        beans = []
        for transition in TRANSITIONS:
            done = transition.name == "Done"
            if ticket.status not in transition.start or (done and not ends.done):
                continue
            bean: dict[str, Any] = {
                "id": transition.id,
                "name": transition.name,
                "to": status_bean(self.base, transition.to),
                "hasScreen": done,
                "isGlobal": False,
                "isInitial": False,
                "isAvailable": True,
                "isConditional": False,
                "looped": False,
            }
            if with_fields:
                bean["fields"] = {
                    name: screen_bean(self.base, name, required=must)
                    for name, must in (asked(ends) if done else {}).items()
                }
                for field in bean["fields"].values():
                    del field["fieldId"]  # the create screen names it, this one does not
            beans.append(bean)
        return beans

    def version(self, project: str, number: str) -> dict[str, Any]:
        return {
            "self": self.address(f"version/{number}"),
            "id": number,
            "name": self.book.versions[project][number],
            "archived": False,
            "released": False,
            "projectId": int(self.book.projects[project]),
        }

    def project(self, key: str) -> dict[str, Any]:
        return project_bean(self.base, self.book.projects[key], key)


def asked(ends: Workflow) -> dict[str, bool]:
    """What the screen of the last step shows, and whether it insists on it."""
    shown = {"resolution": ends.resolution == "required", "fixVersions": False, OUTCOME: False}
    if ends.resolution == "hidden":
        del shown["resolution"]
    return shown | dict.fromkeys(ends.needs, True)


def selected(wanted: list[str]) -> list[str]:
    """Field ids in a steady order; unknown names are ignored, as Jira does."""
    everything = {"*all", "*navigable"} & set(wanted) or all(name.startswith("-") for name in wanted)
    left_out = {name[1:] for name in wanted if name.startswith("-")}
    by_name = {FIELDS[name].name.lower(): name for name in FIELDS}
    named = {by_name.get(name.lower(), name) for name in wanted}
    return [name for name in READERS if (everything or name in named) and name not in left_out]


def _resolution(wire: Wire, ticket: Ticket) -> Any:
    number = ticket.resolution
    return None if number is None else named_bean(wire.base, "resolution", number, RESOLUTIONS[number])


READERS: dict[str, Callable[[Wire, Ticket], Any]] = {
    "summary": lambda _, ticket: ticket.summary,
    "description": lambda wire, ticket: wire.rich(ticket.description),
    "issuetype": lambda wire, ticket: kind_bean(wire.base, ticket.kind),
    "project": lambda wire, ticket: wire.project(ticket.project),
    "status": lambda wire, ticket: status_bean(wire.base, ticket.status),
    "resolution": _resolution,
    "resolutiondate": lambda _, ticket: ticket.resolved,
    "labels": lambda _, ticket: list(ticket.labels),
    "priority": lambda wire, ticket: named_bean(wire.base, "priority", ticket.priority, PRIORITIES[ticket.priority]),
    "assignee": lambda wire, ticket: wire.user(ticket.assignee) if ticket.assignee else None,
    "reporter": lambda wire, ticket: wire.user(ticket.author),
    "creator": lambda wire, ticket: wire.user(ticket.author),
    "created": lambda _, ticket: ticket.created,
    "updated": lambda _, ticket: ticket.updated,
    "duedate": lambda _, ticket: ticket.due,
    "fixVersions": lambda wire, ticket: [wire.version(ticket.project, number) for number in ticket.versions],
    "attachment": lambda wire, ticket: [wire.file(file) for file in ticket.files],
    "comment": lambda wire, ticket: wire.comments(ticket),
    "issuelinks": lambda wire, ticket: [bean for link in ticket.links if (bean := wire.link(link))],
    OUTCOME: lambda wire, ticket: option_bean(wire.base, ticket.outcome) if ticket.outcome else None,
}
