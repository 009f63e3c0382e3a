"""Who somebody is: the names that Jira, Slack, GitHub and people themselves use become one, as the policy says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from .ticket import Mark, System

NAME_MAX = 256


class Known(Protocol):
    """A person as the policy's [[people]] writes them."""

    @property
    def name(self) -> str: ...
    @property
    def jira(self) -> list[str]: ...
    @property
    def slack(self) -> list[str]: ...
    @property
    def email(self) -> list[str]: ...
    @property
    def github(self) -> list[str]: ...


class Persons:
    def __init__(self, people: Iterable[Known] = ()) -> None:
        self._names: dict[Mark, str] = {}
        for one in people:
            marks = [Mark("name", one.name)]
            marks += [
                Mark(system, value) for system in ("jira", "slack", "email", "github") for value in _of(one, system)
            ]
            for mark in marks:
                self._names.setdefault(_folded(mark), one.name)

    def named(self, marks: Iterable[Mark], otherwise: str = "") -> str:
        """The person that one of the marks belongs to, the surest first; otherwise the name they were given."""
        for mark in marks:
            if mark.value and (found := self._names.get(_folded(mark))):
                return found
        return otherwise[:NAME_MAX]

    def typed(self, name: str) -> str:
        """Whoever types a name may type any that is theirs."""
        systems: tuple[System, ...] = ("name", "email", "github", "slack", "jira")
        return self.named((Mark(system, name.strip().removeprefix("@")) for system in systems), name)

    def same(self, one: str, other: str) -> bool:
        """Whether two names are one person's. Nobody is the same as somebody unknown."""
        return bool(one and other) and self.typed(one).casefold() == self.typed(other).casefold()


def _of(one: Known, system: str) -> list[str]:
    found: list[str] = getattr(one, system)
    return found


def _folded(mark: Mark) -> Mark:
    """Slack's ids and Jira's are written in one way; names and addresses are not."""
    return Mark(mark.system, mark.value.casefold())
