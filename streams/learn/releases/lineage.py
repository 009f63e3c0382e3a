"""Which release contains which: by what CI registered, never by comparing the names of versions.

A release contains itself, its parents and what they contain. Where CI names no parents but an `order` (a build number),
the parent is the release with the next lower one. Where it says neither, a release contains itself alone. What cannot be
told (a circle, an alias that two releases have) counts against the release: it may contain a fault, never a fix.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from ...records import GateRelease

ANCESTORS_MAX = 1_000  # what lies behind is not contained for certain
COMMIT_MIN = 7  # characters of a commit that name it
COMMIT = "commit:"
NEXT = "next"
NEVER = datetime.max.replace(tzinfo=UTC)


class Resolved(NamedTuple):
    release: str | None  # None: nobody knows it, or it is ambiguous, or implied and not registered
    ambiguous: tuple[str, ...] = ()  # everything the name could mean, where it could mean several things


class Lineage(NamedTuple):
    names: tuple[str, ...]  # ancestors, the nearest first; those that nobody registered as well
    cyclic: bool = False
    unsure: tuple[str, ...] = ()  # behind a parent that could be several releases


class FixedIn(NamedTuple):
    """Where a fix is. Neither a release nor pending: `fixed_in` is ambiguous."""

    release: str | None
    pending: bool = False  # nobody has registered such a release yet
    inferred: bool = False  # our guess: nobody named this very release
    also: tuple[str, ...] = ()  # other releases of the same commit
    ambiguous: tuple[str, ...] = ()


class Graph:
    """The releases of one agent, arranged once for many questions."""

    def __init__(self, releases: Sequence[GateRelease], agent: str) -> None:
        own = [one for one in releases if one.agent == agent]
        self.agent = agent
        self.by_name = {one.release: one for one in own}
        self.registered = sorted((one for one in own if one.registered_at and not one.conflict), key=_age)
        self._aliases: dict[str, list[str]] = {}
        for one in sorted(own, key=_age):
            for alias in dict.fromkeys(one.aliases):
                self._aliases.setdefault(alias, []).append(one.release)
        before = _ordered(own)
        self._parents = {one.release: self._told(one.parents or before.get(one.release, ())) for one in own}
        self._turning = _turning(self._parents)
        self._children: dict[str, list[str]] = {}
        for name, parents in self._parents.items():
            for parent, told in parents:
                if told and name not in self._turning:
                    self._children.setdefault(parent, []).append(name)
        self._lineages: dict[str, Lineage] = {}

    def resolve(self, name: str) -> Resolved:
        """A release's own name wins over aliases, these over commits."""
        known = self.by_name.get(name)
        if known and (known.conflict or (known.implied and not known.registered)):
            return Resolved(None, known.conflict)
        found = [name] if known else self._aliases.get(name) or self.of_commit(name)
        return Resolved(found[0]) if len(found) == 1 else Resolved(None, tuple(found))

    def of_commit(self, commit: str) -> list[str]:
        """The releases of a commit, given whole or by its beginning, those registered first before the others."""
        wanted = commit.lower()
        if len(wanted) < COMMIT_MIN:
            return []
        return [one.release for one in self.registered if one.commit.lower().startswith(wanted)]

    def lineage(self, release: str) -> Lineage:
        if release not in self._lineages:
            self._lineages[release] = self._walked(release)
        return self._lineages[release]

    def descendants(self, release: str) -> tuple[str, ...]:
        """Releases that contain this one for certain, the nearest first; without itself."""
        found = {release: None}
        for name in (waiting := [release]):  # grows
            for child in self._children.get(name, ()):
                if child not in found and len(waiting) <= ANCESTORS_MAX:
                    found[child] = None
                    waiting.append(child)
        return tuple(found)[1:]

    def _walked(self, release: str) -> Lineage:
        sure: dict[str, None] = {}
        unsure: dict[str, None] = {}
        waiting = [(release, True)]
        for name, certain in waiting:  # grows while it is walked: nearest first
            for parent, told in self._parents.get(name, ()):
                known = sure if certain and told else unsure
                if parent in sure or parent in known or len(waiting) > ANCESTORS_MAX:
                    continue
                known[parent] = None
                waiting.append((parent, certain and told))
        names = tuple(one for one in sure if one != release)
        return Lineage(names, release in self._turning, tuple(one for one in unsure if one not in sure))

    def _told(self, parents: Sequence[str]) -> tuple[tuple[str, bool], ...]:
        """Each with whether it is certain. A parent that nobody knows is one all the same."""
        found: dict[str, bool] = {}
        for parent in parents:
            known = self.by_name.get(parent)
            meant = self.resolve(parent) if known is None else Resolved(parent)
            if meant.ambiguous:
                found.update(dict.fromkeys(meant.ambiguous, False))
            else:
                found[meant.release or parent] = not (known and known.conflict)
        return tuple(found.items())


Releases = Sequence[GateRelease] | Graph


def graph_of(releases: Releases, agent: str) -> Graph:
    return releases if isinstance(releases, Graph) else Graph(releases, agent)


def resolve(releases: Releases, agent: str, name: str) -> Resolved:
    """Which release `name` means: a name, an alias, a commit."""
    return graph_of(releases, agent).resolve(name)


def ancestors(releases: Releases, agent: str, release: str) -> Lineage:
    return graph_of(releases, agent).lineage(release)


def contains(releases: Releases, agent: str, release: str, other: str) -> bool:
    """For certain: `other` is the release itself or one of its ancestors. In a circle nothing is certain."""
    lineage = ancestors(releases, agent, release)
    return release == other or (not lineage.cyclic and other in lineage.names)


def faulty_in(releases: Releases, agent: str, release: str, sighted: Collection[str]) -> str | None:
    """The nearest release in which the trouble was sighted that this one contains, or may contain."""
    lineage = ancestors(releases, agent, release)
    return next((name for name in (release, *lineage.names, *lineage.unsure) if name in sighted), None)


def fix_release(
    releases: Releases,
    agent: str,
    fixed_in: str | None,
    outcome_at: datetime,
    names: Collection[str],
    *,
    sighted: Collection[str] | None = None,
) -> FixedIn:
    """Where the fix is: `fixed_in` is a release, an alias, `commit:<hash>`, `next`, or None (as `next`).

    `names` are what releases may call the trouble in `fixes`: incident, ticket, commit. `next` is the first release
    registered after the outcome that names it, else the first one registered after it (inferred). Where `sighted` says in
    which releases the trouble was seen, one registered before the outcome that names it and is not among them comes first.
    """
    graph = graph_of(releases, agent)
    if not fixed_in or fixed_in == NEXT:
        return _next(graph, outcome_at, names, sighted)
    if fixed_in.startswith(COMMIT):
        return _of_commit(graph, fixed_in.removeprefix(COMMIT))
    found = graph.resolve(fixed_in)
    return FixedIn(found.release, not found.release and not found.ambiguous, ambiguous=found.ambiguous)


def contains_fix(releases: Releases, agent: str, release: str, fixed: FixedIn) -> bool:
    """For certain."""
    graph = graph_of(releases, agent)
    return any(contains(graph, agent, release, one) for one in (fixed.release, *fixed.also) if one is not None)


def containing(releases: Releases, agent: str, fixed: FixedIn) -> tuple[str, ...]:
    """The known releases that contain the fix, that in which it is said to be first."""
    graph = graph_of(releases, agent)
    roots = [one for one in (fixed.release, *fixed.also) if one is not None]
    return tuple(dict.fromkeys(name for root in roots for name in (root, *graph.descendants(root))))


def _next(graph: Graph, outcome_at: datetime, names: Collection[str], sighted: Collection[str] | None) -> FixedIn:
    wanted = {name.lower() for name in names if name}
    naming = [one for one in graph.registered if wanted & {fix.lower() for fix in (*one.fixes, one.commit) if fix}]
    after = [one for one in naming if _registered(one) > outcome_at]
    if after:
        return FixedIn(after[0].release)
    if sighted is not None and (before := [one for one in naming if one.release not in sighted]):
        return FixedIn(before[-1].release, inferred=True)
    later = next((one for one in graph.registered if _registered(one) > outcome_at), None)
    return FixedIn(later.release, inferred=True) if later else FixedIn(None, pending=True, inferred=True)


def _of_commit(graph: Graph, commit: str) -> FixedIn:
    found = graph.of_commit(commit)
    if found:
        return FixedIn(found[0], also=tuple(found[1:]))
    wanted = {commit.lower(), COMMIT + commit.lower()}
    naming = [one.release for one in graph.registered if wanted & {fix.lower() for fix in one.fixes}]
    return FixedIn(naming[0], also=tuple(naming[1:])) if naming else FixedIn(None, pending=True)


def _turning(parents: Mapping[str, tuple[tuple[str, bool], ...]]) -> frozenset[str]:
    """Those in a circle, or with one behind them: what is left once everything whose parents are all told is taken away."""
    waiting = {name: {parent for parent, _ in some if parent in parents} for name, some in parents.items()}
    children: dict[str, list[str]] = {}
    for name, some in waiting.items():
        for parent in some:
            children.setdefault(parent, []).append(name)
    free = [name for name, some in waiting.items() if not some]
    for name in free:  # grows
        for child in children.get(name, ()):
            waiting[child].discard(name)
            if not waiting[child]:
                free.append(child)
    return frozenset(parents) - frozenset(free)


def _ordered(releases: Sequence[GateRelease]) -> dict[str, tuple[str, ...]]:
    """By the order that CI says: each after the one with the next lower number. Two with one number are both before."""
    places: dict[int, list[str]] = {}
    for one in releases:
        if one.order is not None:
            places.setdefault(one.order, []).append(one.release)
    before: dict[str, tuple[str, ...]] = {}
    lower: tuple[str, ...] = ()
    for place in sorted(places):
        before |= dict.fromkeys(places[place], lower)
        lower = tuple(sorted(places[place]))
    return before


def _registered(one: GateRelease) -> datetime:
    return one.registered_at or NEVER


def _age(one: GateRelease) -> tuple[datetime, str]:
    return one.registered_at or one.first_seen, one.release
