"""The tickets of a sandbox Jira: kept, journalled, and handed to an index that lags."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from streams.sandbox.jira.catalogue import DONE, PRIORITIES, RESOLUTIONS, STATUSES, people
from streams.sandbox.jira.index import Index
from streams.sandbox.jira.ticket import Change, Comment, File, Item, Link, Ticket, now
from streams.sandbox.journal import Journal


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the journal: the newest one about a thing is the thing."""

    sequence: int
    ticket: Ticket | None = None
    deleted: int | None = None
    file: int | None = None
    data: bytes | None = None
    version: str | None = None
    project: str | None = None


Heard = Callable[[str, Ticket, Change | Comment | None], None]


class Book:
    """All tickets. Every change is in the journal and waits for the index before the caller answers."""

    def __init__(self, projects: tuple[str, ...], index_lag: float, path: Path | None) -> None:
        self.projects = {key: str(10000 + place) for place, key in enumerate(projects)}
        self.versions: dict[str, dict[str, str]] = {key: {} for key in projects}  # project -> id -> name
        self.index = Index(index_lag)
        self._tickets: dict[int, Ticket] = {}
        self._keys: dict[str, int] = {}
        self._numbers = dict.fromkeys(projects, 0)
        self._data: dict[int, bytes] = {}
        self._sequence = 10_000
        self.heard: Heard = lambda _event, _ticket, _what: None
        self._journal = Journal(path)
        for raw in self._journal.read():
            self._replay(msgspec.json.decode(raw, type=Line))
        for ticket in self._tickets.values():
            self.index.changed(ticket.id, ticket)

    def _replay(self, line: Line) -> None:
        self._sequence = max(self._sequence, line.sequence)
        if line.ticket is not None and line.ticket.project in self._numbers:
            ticket = line.ticket
            self._tickets[ticket.id] = ticket
            self._keys[ticket.key] = ticket.id
            self._numbers[ticket.project] = max(self._numbers[ticket.project], ticket.number)
        if line.deleted is not None:
            gone = self._tickets.pop(line.deleted, None)
            self._keys = {key: number for key, number in self._keys.items() if gone is None or number != gone.id}
        if line.file is not None and line.data is not None:
            self._data[line.file] = line.data
        if line.project in self.versions and line.version is not None:
            self.versions[line.project][str(line.sequence)] = line.version

    def close(self) -> None:
        self._journal.close()

    def next_id(self) -> int:
        self._sequence += 1
        return self._sequence

    def create(self, project: str, author: str, values: dict[str, Any]) -> Ticket:
        self._numbers[project] += 1
        at = now()
        ticket = Ticket(
            id=self.next_id(),
            key=f"{project}-{self._numbers[project]}",
            created=at,
            updated=at,
            author=author,
            **values,
        )
        self._tickets[ticket.id] = ticket
        self._keys[ticket.key] = ticket.id
        self.keep(ticket)
        self.heard("jira:issue_created", ticket, None)
        return ticket

    def find(self, id_or_key: str) -> Ticket | None:
        if id_or_key.isdecimal():
            return self._tickets.get(int(id_or_key))
        return self._tickets.get(self._keys.get(id_or_key.upper(), 0))

    def tickets(self) -> Iterator[Ticket]:
        yield from self._tickets.values()

    def change(self, ticket: Ticket, author: str, values: dict[str, Any]) -> None:
        """Set attributes; what really changes goes to the history and moves `updated`."""
        items = []
        for name, value in values.items():
            old = getattr(ticket, name)
            if old == value:
                continue
            setattr(ticket, name, value)
            if name != "resolved":
                items.append(Item(name, self.words(ticket, name, old), self.words(ticket, name, value)))
        if items:
            at = self.touch(ticket)
            ticket.history.append(Change(self.next_id(), author, at, items))
        self.keep(ticket)
        if items:
            self.heard("jira:issue_updated", ticket, ticket.history[-1])

    def rekey(self, ticket: Ticket, author: str, project: str) -> None:
        """Move it to another project: it gets a new key, and is found by its old one as well."""
        self._numbers[project] += 1
        new = f"{project}-{self._numbers[project]}"
        self._keys[new] = ticket.id
        self.change(ticket, author, {"versions": [], "key": new})

    def comment(
        self, ticket: Ticket, author: str, body: Any, properties: list[dict[str, Any]] | None = None
    ) -> Comment:
        comment = Comment(self.next_id(), author, self.touch(ticket), body, properties or [])
        ticket.comments.append(comment)
        self.keep(ticket)
        self.heard("comment_created", ticket, comment)
        return comment

    def edit_comment(self, ticket: Ticket, author: str, comment: Comment, body: Any) -> None:
        comment.body, comment.editor, comment.edited = body, author, self.touch(ticket)
        self.keep(ticket)
        self.heard("comment_updated", ticket, comment)

    def drop_comment(self, ticket: Ticket, comment: Comment) -> None:
        ticket.comments.remove(comment)
        self.touch(ticket)
        self.keep(ticket)
        self.heard("comment_deleted", ticket, comment)

    def move(self, ticket: Ticket, author: str, status: str, values: dict[str, Any]) -> None:
        """One step of the workflow: being done comes with a resolution and a date, being reopened takes both away."""
        if status == DONE:
            values = {"resolution": "10000", **values, "resolved": now()}
        else:
            values = {**values, "resolution": None, "resolved": None}
        self.change(ticket, author, {"status": status, **values})

    def words(self, ticket: Ticket, name: str, value: Any) -> str | None:
        """A value as the history shows it."""
        match name:
            case _ if value is None:
                return None
            case "status":
                return STATUSES[value][0]
            case "resolution":
                return RESOLUTIONS[value]
            case "priority":
                return PRIORITIES[value]
            case "assignee":
                person = people(value)
                return person.name if person else value
            case "versions":
                return ", ".join(self.versions[ticket.project][one] for one in value)
            case "labels":
                return " ".join(value)
            case "description" if not isinstance(value, str):
                return "(document)"
        return str(value)

    def touch(self, ticket: Ticket) -> str:
        ticket.updated = now()
        return ticket.updated

    def keep(self, ticket: Ticket) -> None:
        self._journal.append(Line(self._sequence, ticket=ticket))
        self.index.changed(ticket.id, ticket)

    def delete(self, ticket: Ticket) -> None:
        del self._tickets[ticket.id]
        self._keys = {key: number for key, number in self._keys.items() if number != ticket.id}
        for file in ticket.files:
            self._data.pop(file.id, None)
        self._journal.append(Line(self._sequence, deleted=ticket.id))
        self.index.changed(ticket.id, None)
        self.heard("jira:issue_deleted", ticket, None)

    def attach(self, ticket: Ticket, author: str, name: str, media: str, data: bytes) -> File:
        file = File(self.next_id(), author, self.touch(ticket), name, media, len(data))
        self._data[file.id] = data
        ticket.files.append(file)
        self._journal.append(Line(file.id, file=file.id, data=data))
        self.keep(ticket)
        return file

    def file(self, number: int) -> tuple[File, bytes] | None:
        data = self._data.get(number)
        found = (file for ticket in self._tickets.values() for file in ticket.files if file.id == number)
        file = next(found, None)
        return None if data is None or file is None else (file, data)

    def version(self, project: str, name: str) -> str:
        """The id of the version with this name, made when it is new."""
        for number, known in self.versions[project].items():
            if known == name:
                return number
        number = str(self.next_id())
        self.versions[project][number] = name
        self._journal.append(Line(int(number), version=name, project=project))
        return number

    def link(self, kind: str, inward: Ticket, outward: Ticket) -> None:
        number = self.next_id()
        for ticket, other, is_outward in ((inward, outward, True), (outward, inward, False)):
            ticket.links.append(Link(number, kind, other.id, is_outward))
            self.touch(ticket)
            self.keep(ticket)
