"""Which shelves a fact is for, and who has a memory of it there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ..records import Fact
from .facts import BUCKET_S, FEW
from .readers import Reader, Several

ROUTES_MAX = 20_000  # remembered

Key = Callable[[Reader, Any], str | None]


class Route(NamedTuple):
    """One shelf: who wants every fact at once, and who waits for the end of the bucket."""

    key: str
    at_once: Several
    gathered: Several


class Routes:
    """Which shelves a fact is for. Asked of the deciders once for each kind and subject: there are few of them."""

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._readers = tuple(reader for reader in readers if Fact in reader.decider.reads)
        given = [reader.decider.given for reader in self._readers if hasattr(reader.decider, "given")]
        self.bucket_s: int = min((one.bucket_s for one in given), default=BUCKET_S)
        self._kinds: dict[str, tuple[Several, tuple[str, ...]]] = {}
        self._known: dict[tuple[Any, ...], tuple[Route, ...]] = {}

    def of(self, fact: Fact, key: Key) -> tuple[Route, ...]:
        readers, names = self._kinds.get(fact.kind) or self._kind(fact.kind)
        sums = fact.sums
        # A key may depend on whether something is among the sums, or is nothing.
        place = (fact.kind, fact.subject, *[min(1, sums.get(name, -1)) for name in names])
        found = self._known.get(place)
        if found is None:
            found = _routes(readers, fact, key)
            if all(not route.at_once for route in found):
                if len(self._known) >= ROUTES_MAX:
                    self._known.clear()
                self._known[place] = found
        return found

    def _kind(self, kind: str) -> tuple[Several, tuple[str, ...]]:
        readers = tuple(one for one in self._readers if kind in (getattr(one.decider, "kinds", ()) or (kind,)))
        names = {name for one in readers for name in getattr(one.decider, "by_sums", ())}
        found = (readers, tuple(sorted(names)))
        if len(self._kinds) < FEW:
            self._kinds[kind] = found
        return found


def _routes(readers: Several, fact: Fact, key: Key) -> tuple[Route, ...]:
    found: dict[str, tuple[list[Reader], list[Reader]]] = {}
    for reader in readers:
        name = key(reader, fact)
        if name is not None:
            found.setdefault(name, ([], []))[getattr(reader.decider, "gathered", False)].append(reader)
    return tuple(Route(name, tuple(at_once), tuple(gathered)) for name, (at_once, gathered) in found.items())
