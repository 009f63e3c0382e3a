"""People in the sandbox Jira: tickets of their own, copies of ours, edits of ours; what they did has to survive."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
from msgspec import Struct, field

from streams.sandbox.jira.catalogue import DOING, DONE, RESOLUTIONS, people
from streams.sandbox.jira.state import Book
from streams.sandbox.jira.ticket import Comment, Ticket, now

PROPERTY = "tocsin.incident"
UNCONFIRMED = "tocsin-unconfirmed"
EVERY_S = 0.5
_ADA = people("ada@example.com")
assert _ADA is not None
ADA = _ADA.id


class Edit(Struct, frozen=True):
    """What a person left in a ticket of ours."""

    key: str
    name: str
    value: Any


class Promised(Struct):
    theirs: dict[str, bytes] = field(default_factory=dict)  # key -> the ticket as its owner left it
    edits: list[Edit] = field(default_factory=list)


class People:
    """They work on tickets that are there for good: an unconfirmed one is nobody's yet."""

    def __init__(self, book: Book, project: str, source: random.Random) -> None:
        self._book, self._project, self._random = book, project, source
        self.promised = Promised()
        self.resting = False
        self._edited: set[int] = set()

    def strangers(self, count: int) -> None:
        for n in range(count):
            values = {"kind": "10001", "summary": f"Somebody's ticket {n}", "labels": ["theirs"]}
            self._keep(self._book.create(self._project, ADA, values))

    async def work(self) -> None:
        """Now and then, for as long as there is something to do."""
        while not self.resting:
            await asyncio.sleep(EVERY_S)
            ours = [one for one in self._book.tickets() if PROPERTY in one.properties and one.status != DONE]
            ours = [one for one in ours if UNCONFIRMED not in one.labels and one.id not in self._edited]
            if ours:
                one = self._random.choice(ours)
                self._random.choice((self._reword, self._comment, self._start, self._copy, self._own))(one)

    def resolve(self, keys: list[str], resolution: str) -> None:
        number = next(number for number, name in RESOLUTIONS.items() if name == resolution)
        for key in keys:
            if ticket := self._book.find(key):
                self._book.move(ticket, ADA, DONE, {"resolution": number})

    def _reword(self, ticket: Ticket) -> None:
        self._change(ticket, "summary", f"Ada's words for {ticket.key}")
        self._change(ticket, "priority", "5")

    def _start(self, ticket: Ticket) -> None:
        self._edited.add(ticket.id)
        self._book.move(ticket, ADA, DOING, {"assignee": ADA})
        self.promised.edits += [Edit(ticket.key, "status", DOING), Edit(ticket.key, "assignee", ADA)]

    def _comment(self, ticket: Ticket) -> None:
        self._edited.add(ticket.id)
        comment = Comment(self._book.next_id(), ADA, now(), f"looked at {ticket.key}")
        ticket.comments.append(comment)
        self._book.touch(ticket)
        self._book.keep(ticket)
        self.promised.edits.append(Edit(ticket.key, "comment", comment.id))

    def _copy(self, ticket: Ticket) -> None:
        """A clone has our labels, and not our property; sometimes it even looks unconfirmed."""
        labels = [*ticket.labels, *([UNCONFIRMED] if self._random.random() < 0.5 else [])]
        values = {"kind": ticket.kind, "summary": f"CLONE - {ticket.summary}", "labels": labels}
        self._keep(self._book.create(self._project, ADA, values))

    def _own(self, _: Ticket) -> None:
        """Keys in between ours."""
        self.strangers(1)

    def _change(self, ticket: Ticket, name: str, value: Any) -> None:
        self._edited.add(ticket.id)
        self._book.change(ticket, ADA, {name: value})
        self.promised.edits.append(Edit(ticket.key, name, value))

    def _keep(self, ticket: Ticket) -> None:
        self.promised.theirs[ticket.key] = msgspec.msgpack.encode(ticket)
