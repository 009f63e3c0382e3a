"""The incident book: seven deciders, handed each other's sayings, and a fold that needs nothing but memories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from ..records import Tick
from ..step import Decider
from .clock import Clock
from .explaining import Explaining
from .group import Group
from .holding import Holding
from .incident import IncidentLife
from .owner import OwnerDesk
from .power import PowerDesk
from .routing import BookValues
from .silence import Hush

__all__ = ["BookValues", "Folded", "Isolated", "Missing", "Woken", "deciders", "fold"]

Address = tuple[str, str]  # a decider's name and the key of one of its memories
STEPS_MAX = 100_000  # of one input; more is a circle, not work: a decision on five hundred takes tens of thousands


class Woken(Struct, frozen=True, tag="woken", tag_field="record"):
    """A due time that has come: `at` is the wall clock."""

    decider: str
    key: str
    at: datetime


class Isolated(NamedTuple):
    """An input that made a decider raise. Nothing of it was kept or said; the others went on."""

    decider: str
    record: Any
    why: str


class Folded(NamedTuple):
    """What to write. `said` is everything in the order it was said; of several states of an incident the last holds."""

    memories: dict[Address, Any]  # the changed ones; None: forget
    said: list[Any]
    wakes: dict[Address, datetime | None]  # of every memory that was stepped; None: no due time
    isolated: list[Isolated]


class Missing(NamedTuple):
    """Load these, None where absent, and fold again."""

    keys: set[Address]


def deciders(values: BookValues) -> tuple[Decider[Any], ...]:
    """In the order in which they answer."""
    explaining = Explaining(values.grouping, values.inhibitions)
    weighing = (PowerDesk(values.power_start), Group(explaining), Hush(), Clock(values))
    holding = Holding(values.controls, values.breaker.lease_s)
    return (IncidentLife(values, explaining), *weighing, OwnerDesk(values), holding)


def fold(deciders: Sequence[Decider[Any]], memories: Mapping[Address, Any], inputs: Iterable[Any]) -> Folded | Missing:
    """Pure: the same memories and inputs give the same answer. Each input's cascade is kept whole or not at all."""
    book = _Fold(deciders, memories)
    for record in inputs:
        book.take(record)
    if book.missing:
        return Missing(book.missing)
    changed = {address: memory for address, memory in book.after.items() if memory is not memories[address]}
    return Folded(changed, book.said, book.wakes, book.isolated)


class _Fold:
    def __init__(self, deciders: Sequence[Decider[Any]], memories: Mapping[Address, Any]) -> None:
        self.deciders, self.before = deciders, memories
        self.after: dict[Address, Any] = {}
        self.said: list[Any] = []
        self.wakes: dict[Address, datetime | None] = {}
        self.isolated: list[Isolated] = []
        self.missing: set[Address] = set()

    def take(self, record: Any) -> None:
        draft = _Draft(self)
        for decider, key, step_record in self._first(record):
            try:
                draft.step(decider, key, step_record)
            except _StepRaised as raised:
                self.isolated.append(Isolated(raised.decider, record, raised.why))
                return
        draft.keep()

    def _first(self, record: Any) -> list[tuple[Decider[Any], str, Any]]:
        if isinstance(record, Woken):
            return [(one, record.key, Tick(record.at)) for one in self.deciders if one.name == record.decider]
        return self.readers(record)

    def readers(self, record: Any) -> list[tuple[Decider[Any], str, Any]]:
        kind = type(record)
        keyed = ((decider, decider.key(record)) for decider in self.deciders if kind in decider.reads)
        return [(decider, key, record) for decider, key in keyed if key is not None]


class _StepRaised(Exception):
    def __init__(self, decider: str, why: str) -> None:
        super().__init__(why)
        self.decider, self.why = decider, why


class _Draft:
    """One input's cascade. Depth first: an incident has heard its answer before the next one asks."""

    def __init__(self, book: _Fold) -> None:
        self.book = book
        self.memories: dict[Address, Any] = {}
        self.said: list[Any] = []
        self.wakes: dict[Address, datetime | None] = {}
        self.steps = 0

    def step(self, decider: Decider[Any], key: str, record: Any) -> None:
        stack: list[tuple[Decider[Any], str, Any]] = [(decider, key, record)]
        while stack:
            said = self._stepped(*stack.pop())
            self.said += said
            for saying in reversed(said):
                stack += reversed(self.book.readers(saying))

    def _stepped(self, decider: Decider[Any], key: str, record: Any) -> tuple[Any, ...]:
        address = (decider.name, key)
        self.steps += 1
        memory = self.memories.get(address, self.book.after.get(address, _UNKNOWN))
        if memory is _UNKNOWN:
            memory = self.book.before.get(address, _UNKNOWN)
        if memory is _UNKNOWN:
            self.book.missing.add(address)
            return ()
        if self.steps > STEPS_MAX:
            raise _StepRaised(decider.name, "the deciders talk in circles")
        try:
            step = decider.step(memory, record)
        except Exception as error:
            raise _StepRaised(decider.name, repr(error)) from error
        self.memories[address] = step.remember
        self.wakes[address] = step.wake
        return step.say

    def keep(self) -> None:
        self.book.after.update(self.memories)
        self.book.wakes.update(self.wakes)
        self.book.said += self.said


_UNKNOWN = object()
