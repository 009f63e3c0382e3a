"""Who reads what: looked up once per type and traits, so that an ordinary call only meets those who care for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..records import Fact, LlmCalled, ToolCalled
from ..step import Decider, Step
from .detector import SessionDetector
from .traits import traits_of_model, traits_of_tool

KINDS_MAX = 1000


class Reader(NamedTuple):
    """A decider, with what the loop asks of it on every event looked up before."""

    decider: Decider[Any]
    name: str
    version: int
    step: Callable[[Any, Any], Step[Any]]
    always: bool  # keyed by the session: there is no need to ask for the key


Several = tuple[Reader, ...]


class Heard(NamedTuple):
    """Who reads an event, by whose memory it is."""

    all: Several
    own: Several
    of_root: Several


class Readers:
    def __init__(self, deciders: Iterable[Decider[Any]]) -> None:
        self.named = {
            one.name: Reader(one, one.name, one.version, one.step, isinstance(one, SessionDetector)) for one in deciders
        }
        self._events: dict[tuple[type, int], Heard] = {}
        self._facts: dict[str, Several] = {}

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
            readers = [one for one in self.named.values() if kind in one.decider.reads and _cares(one, traits)]
            own = tuple(one for one in readers if not getattr(one.decider, "of_root", False))
            above = tuple(one for one in readers if getattr(one.decider, "of_root", False))
            found = self._events[kind, traits] = Heard((*own, *above), own, above)
        return found

    def of_fact(self, kind: str) -> Several:
        found = self._facts.get(kind)
        if found is None:
            facts = [one for one in self.named.values() if Fact in one.decider.reads]
            found = tuple(one for one in facts if kind in (getattr(one.decider, "kinds", ()) or (kind,)))
            if len(self._facts) < KINDS_MAX:
                self._facts[kind] = found
        return found


def _cares(reader: Reader, traits: int) -> bool:
    only: int = getattr(reader.decider, "only", 0)
    return traits < 0 or not only or bool(only & traits)
