"""Troubles that share an agent, a dependency, an event or what a rule names: one of them speaks for the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Due, Grouped, Outcome, Released, Tick
from ..step import Order, Step
from .explaining import CAUSED, Explained, Explaining, Member, age
from .life import PARENT

MEMBERS_MAX = 500
REMEMBERED = timedelta(hours=24)  # of event time, for members of no group
NAMED = timedelta(hours=1)  # of the wall clock: how long an event is looked for after anybody last spoke of it
NAMED_MOVES = timedelta(minutes=10)
TELLING = {"page", "ticket"}
WEIGHED = {*TELLING, "seen"}


class Members(Struct, frozen=True, array_like=True):
    all: tuple[Member, ...] = ()  # by first_seen and fingerprint
    until: datetime | None = None  # wall clock: when an event's group may be forgotten


class Group:
    """Keyed by what is shared. Who explains whom is a function of the members, not of how they arrived."""

    name, version, memory = "group", 1, Members
    reads: tuple[type, ...] = (Cleared,)
    order: Order = "near"

    def __init__(self, explaining: Explaining) -> None:
        self.explaining = explaining

    def key(self, record: Cleared) -> str | None:
        return record.due.grouping if record.by == "power" and not record.held else None

    def step(self, memory: Members | None, record: Any) -> Step[Members]:
        if isinstance(record, Tick):
            return _forgotten(memory, record.at)
        if not isinstance(record, Cleared):
            return Step(memory)
        due = record.due
        if due.grouping.startswith("alone:"):
            return Step(memory, (Cleared(due, "group"),))
        step = self._noted(memory, due)
        if not due.grouping.startswith(CAUSED) or step.remember is None:
            return step
        kept = _kept(step.remember, due.at)
        return Step(kept, step.say, kept.until)

    def _noted(self, memory: Members | None, due: Due) -> Step[Members]:
        want = set(due.want)
        if want & WEIGHED:
            return self._weighed(memory or Members(), due, asks=bool(want & TELLING))
        if memory is None:
            return Step(None)
        if "settled" in want:
            return _settled(memory, due)
        return _unsettled(memory, due) if "unsettled" in want else Step(memory)

    def _weighed(self, memory: Members, due: Due, *, asks: bool) -> Step[Members]:
        incident, key = due.incident, due.grouping
        known = {member.fingerprint: member for member in memory.all}
        old = known.get(incident.fingerprint)
        this = self.explaining.member(key, incident, due.began)
        if old is not None and old.incident == incident.id:
            parent = None if old.parent in this.apart else old.parent
            this = replace(this, told=this.told or old.told, parent=parent, why=old.why)
        known[incident.fingerprint] = this
        members = self._recent(key, known.values())
        parents = self.explaining.parents(key, members)
        by_name = {member.incident: member for member in members}
        after: list[Member] = []
        said: list[Any] = []
        for member in members:
            found = parents.get(member.incident)
            title = by_name[found.parent].title if found else ""
            changed, news = _moved(member, found, due, title, asks=asks and member is this)
            after.append(changed)
            said += news
        found = parents.get(incident.id)
        answer = (Cleared(due, "group", f"{found.why}:{found.parent}" if found else None),) if asks else ()
        return Step(_remembered(memory, _bounded(after, _grouped(parents))), (*answer, *said))

    def _recent(self, key: str, members: Iterable[Member]) -> tuple[Member, ...]:
        """Loners for a day, groups until they are resolved."""
        order = sorted(members, key=age)
        oldest = max(one.until for one in order) - REMEMBERED
        if order[0].until >= oldest:
            return tuple(order)
        grouped = _grouped(self.explaining.parents(key, order))
        return tuple(one for one in order if one.until >= oldest or one.incident in grouped)


def _grouped(parents: Mapping[str, Explained]) -> set[str]:
    return {*parents, *(found.parent for found in parents.values())}


def _bounded(members: list[Member], grouped: set[str]) -> list[Member]:
    """The oldest loners go first, then a group's newest: its oldest speaks for all, forgetting it would stir up all."""
    excess = len(members) - MEMBERS_MAX
    if excess <= 0:
        return members
    gone = {one.incident for one in [one for one in members if one.incident not in grouped][:excess]}
    return [one for one in members if one.incident not in gone][:MEMBERS_MAX]


def _moved(
    member: Member, found: Explained | None, due: Due, title: str, *, asks: bool
) -> tuple[Member, tuple[Any, ...]]:
    """A member after the weighing, and what its incident has to hear. The one that asks gets its answer anyway."""
    parent, why = found or (None, member.why)
    grouped = (Grouped(member.incident, found.parent, due.at, title, found.why, due.grouping),) if found else ()
    if asks:
        told = member.told or parent is None
        # Told before it was explained: its ticket is a duplicate now.
        news = grouped if member.told and parent != member.parent else ()
        parent = parent or (member.parent if member.merged else None)
        return replace(member, told=told, parent=parent, why=why), news
    if (parent, why) == (member.parent, member.why) or member.over:
        return member, ()
    if parent is not None:
        return replace(member, parent=parent, why=why), grouped
    if member.told:
        return member, ()  # merged before; it stays with the parent it has
    return replace(member, parent=None), (Released(member.incident, "group", due.at, due.grouping),)


def _settled(memory: Members, due: Due) -> Step[Members]:
    """A decision on the one that speaks for others is a decision on those it speaks for."""
    name = due.incident.id
    after: list[Member] = []
    said: list[Outcome] = []
    for member in memory.all:
        if member.incident == name:
            keeps = member.over and "outcome" not in due.want  # it follows its parent's, which this group knows
            member = member if keeps else replace(member, over=name)
        elif member.parent == name and not member.over:
            member = replace(member, over=name)
            said.append(_followed(member.incident, due, reopened=False))
        after.append(member)
    return Step(_remembered(memory, after), tuple(said))


def _unsettled(memory: Members, due: Due) -> Step[Members]:
    """Taken back: also for those that followed. Each says itself if it is open again; some have been decided on."""
    name = due.incident.id
    after = [replace(one, over="") if one.incident == name else one for one in memory.all]
    followers = (one.incident for one in memory.all if one.over == name and one.incident != name)
    said = (_followed(one, due, reopened=True) for one in followers)
    return Step(_remembered(memory, after), tuple(said))


def _followed(incident: str, due: Due, *, reopened: bool) -> Outcome:
    decided = due.incident
    return Outcome(
        incident=incident,
        outcome=decided.outcome or "unspecified",
        at=due.at,
        actor=decided.resolved_by or "",
        source=PARENT,
        fixed_in=decided.fixed_in,
        reason=decided.id,
        reopened=reopened,
    )


def _remembered(memory: Members, after: list[Member]) -> Members:
    return memory if tuple(after) == memory.all else replace(memory, all=tuple(after))


def _kept(memory: Members, at: datetime) -> Members:
    """An event is looked for a while after anybody last spoke of it."""
    until = at + NAMED
    return memory if memory.until and memory.until >= until - NAMED_MOVES else replace(memory, until=until)


def _forgotten(memory: Members | None, at: datetime) -> Step[Members]:
    """Nobody names that event any more; what it explains stays explained until that is over."""
    if memory is None or memory.until is None:
        return Step(memory)
    if at < memory.until:
        return Step(memory, wake=memory.until)
    if not any(one.parent and not one.over for one in memory.all):
        return Step(None)
    until = at + REMEMBERED
    return Step(replace(memory, until=until), wake=until)
