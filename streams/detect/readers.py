"""Who reads what: looked up once per type and traits, so that an ordinary call only meets those who care for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..records import Fact, LlmCalled, ToolCalled
from ..step import Decider
from .traits import traits_of_model, traits_of_tool

KINDS_MAX = 1000

Deciders = tuple[Decider[Any], ...]


class Heard(NamedTuple):
    """Who reads an event, by whose memory it is."""

    all: Deciders
    own: Deciders
    of_root: Deciders


class Readers:
    def __init__(self, deciders: Iterable[Decider[Any]]) -> None:
        self._deciders = tuple(deciders)
        self._events: dict[tuple[type, int], Heard] = {}
        self._facts: dict[str, Deciders] = {}

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
            deciders = [one for one in self._deciders if kind in one.reads and _cares(one, traits)]
            own = tuple(one for one in deciders if not getattr(one, "of_root", False))
            above = tuple(one for one in deciders if getattr(one, "of_root", False))
            found = self._events[kind, traits] = Heard((*own, *above), own, above)
        return found

    def of_fact(self, kind: str) -> Deciders:
        found = self._facts.get(kind)
        if found is None:
            facts = [one for one in self._deciders if Fact in one.reads]
            found = tuple(one for one in facts if kind in (getattr(one, "kinds", ()) or (kind,)))
            if len(self._facts) < KINDS_MAX:
                self._facts[kind] = found
        return found


def _cares(decider: Decider[Any], traits: int) -> bool:
    only: int = getattr(decider, "only", 0)
    return traits < 0 or not only or bool(only & traits)
