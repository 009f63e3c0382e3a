"""Who reads what: looked up once per type and traits, so that an ordinary call only meets those who care for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..records import LlmCalled, ToolCalled
from ..step import Decider, Step
from .shelf import Live
from .traits import traits_of_model, traits_of_tool

ABSENT: Any = object()  # a memory that was not looked at yet
SOMETIME: Any = object()  # it is due, by the store


class Reader(Struct, frozen=True):
    """A decider, with what the loop asks of it on every event looked up before."""

    decider: Decider[Any]
    number: int
    name: str
    version: int
    step: Callable[[Any, Any], Step[Any]]
    decode: Callable[[bytes], Any]
    asks: bool = False  # whether the record is for it, or for nobody, is said by its key
    idle: bool = False  # such a record does not concern it as long as it remembers nothing


Several = tuple[Reader, ...]


class Heard(NamedTuple):
    """Who reads an event, by whose memory it is."""

    all: Several
    own: Several
    of_root: Several


class Readers:
    def __init__(self, deciders: Iterable[Decider[Any]]) -> None:
        self.named = {one.name: _reader(one, number) for number, one in enumerate(deciders)}
        self._events: dict[tuple[type, int], Heard] = {}

    def of(self, event: Any) -> Heard:
        kind = type(event)
        if kind is ToolCalled:
            traits = traits_of_tool(event)
        elif kind is LlmCalled:
            traits = traits_of_model(event)
        else:
            traits = -1
        found = self._events.get((kind, traits))
        if found is None:
            reading = [one for one in self.named.values() if kind in one.decider.reads]
            readers = [_meeting(one, traits) for one in reading if _cares(one, traits)]
            own = tuple(one for one in readers if not getattr(one.decider, "of_root", False))
            above = tuple(one for one in readers if getattr(one.decider, "of_root", False))
            found = self._events[kind, traits] = Heard((*own, *above), own, above)
        return found

    def ready(self, live: Live) -> Live:
        """Room for what each decider remembers, and who is due."""
        live.memories, live.asked = [ABSENT] * len(self.named), [None] * len(self.named)
        for name in live.due:
            if name in self.named:  # a decider may be gone from a newer release
                live.asked[self.named[name].number] = SOMETIME
        return live


def _reader(decider: Decider[Any], number: int) -> Reader:
    decode = msgspec.msgpack.Decoder(decider.memory).decode
    return Reader(decider, number, decider.name, decider.version, decider.step, decode)


def _cares(reader: Reader, traits: int) -> bool:
    only: int = getattr(reader.decider, "only", 0)
    return traits < 0 or not only or bool(only & traits)


def _meeting(reader: Reader, traits: int) -> Reader:
    """As it meets events with these traits."""
    first: int = getattr(reader.decider, "first", 0)
    asks = not getattr(reader.decider, "by_session", False)
    return replace(reader, asks=asks, idle=traits >= 0 and first > 0 and not first & traits)
