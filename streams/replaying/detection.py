"""Detection on virtual time: sessions, their facts, scopes; ticks exactly when something is due."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..detect.catalogue import scope_deciders, session_deciders
from ..detect.facts import aggregate
from ..detect.fold import SCOPE_IDLE_S, Fold, Isolated
from ..policy import Policy
from ..records import Fact, Facts, Position
from .tally import Tally

PARTITION = 0  # a replay has one of everything
GROUP = 64  # events between two writes of what is remembered
TICKS = "ticks"  # facts that were said at a due time have no place in the file


class Store(dict[str, bytes]):
    """What is remembered, as bytes: what a decider does not remember through bytes, it does not remember."""

    def write(self, fold: Fold) -> None:
        for entries in fold.remembered().values():
            for key, value in entries:
                if value is None:
                    self.pop(key, None)
                else:
                    self[key] = value


class Detection:
    """One event in, what is said about it out; then the clock."""

    def __init__(self, policy: Policy) -> None:
        self._shelves, self._scopes_kept = Store(), Store()
        deciders = (*session_deciders(policy.detectors, policy.given), Tally())
        self.sessions = Fold(deciders, self._shelves.get, policy.digest)
        found = scope_deciders(policy.detectors, policy.given)
        self.scopes = Fold(found, self._scopes_kept.get, policy.digest, SCOPE_IDLE_S)
        self._ungrouped = 0
        self._ticks = 0

    @property
    def echoes(self) -> int:
        return self.sessions.echoes

    def isolated(self) -> Iterator[Isolated]:
        """Deciders that raised since the last call."""
        for fold in (self.sessions, self.scopes):
            yield from fold.isolated
            fold.isolated.clear()

    def event(self, event: Any) -> Iterator[Any]:
        yield from self._widened(self.sessions.event(event, PARTITION), event.position)
        self._ungrouped += 1
        if self._ungrouped >= GROUP:
            self._write()

    def tick(self, at_s: float) -> Iterator[Any]:
        """Everything due by `at_s`, each at its own time, sessions before scopes."""
        while (due_s := self._due_s()) is not None and due_s <= at_s:
            self._ticks += 1
            yield from self._widened(self.sessions.tick(PARTITION, due_s), Position(TICKS, self._ticks))
            yield from self.scopes.tick(PARTITION, due_s)
            self._ungrouped += 1
            if self._ungrouped >= GROUP:
                self._write()

    def _due_s(self) -> float | None:
        dues = [due for fold in (self.sessions, self.scopes) if (due := fold.due_s(PARTITION)) is not None]
        return min(dues, default=None)

    def _widened(self, said: Iterable[Any], position: Position) -> Iterator[Any]:
        facts = []
        for saying in said:
            if isinstance(saying, Fact):
                facts.append(saying)
            else:
                yield saying
        if facts:
            yield from self.scopes.facts(Facts(position, aggregate(facts)), PARTITION)

    def _write(self) -> None:
        self._shelves.write(self.sessions)
        self._scopes_kept.write(self.scopes)
        self._ungrouped = 0
