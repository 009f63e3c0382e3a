"""Troubles that share an agent or a dependency within minutes: the oldest one speaks for all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Due, Grouped, Outcome, Released
from ..step import Order, Step
from .life import PARENT
from .routing import Grouping, pages

MEMBERS_MAX = 500
TITLE_MAX = 150
REMEMBERED = timedelta(hours=24)  # of event time, for members of no group
TELLING = {"page", "ticket"}


class Member(Struct, frozen=True, array_like=True):
    first_seen: datetime
    fingerprint: str
    incident: str
    pages: bool
    told: bool = False  # this group let it pass
    parent: str | None = None  # the incident that explains it
    over: str = ""  # the incident whose outcome ended it: it still counts as a trouble of its time, speaks for nobody
    elsewhere: bool = False  # merged by another group: by its dependency's, or by its agent's
    title: str = ""

    @property
    def merged(self) -> bool:
        """Its ticket is a duplicate by now. It may get another parent, but never becomes one: no circles."""
        return self.elsewhere or (self.told and self.parent is not None)


class Members(Struct, frozen=True, array_like=True):
    all: tuple[Member, ...] = ()  # by first_seen and fingerprint


class Group:
    """Keyed by what is shared. Who explains whom is a function of the members, not of how they arrived."""

    name, version, memory = "group", 1, Members
    reads: tuple[type, ...] = (Due,)
    order: Order = "near"

    def __init__(self, grouping: Grouping) -> None:
        self.window = timedelta(seconds=grouping.window_s)
        self.least = grouping.members_min

    def key(self, record: Due) -> str | None:
        return record.grouping

    def step(self, memory: Members | None, record: Any) -> Step[Members]:
        if not isinstance(record, Due):
            return Step(memory)
        want = set(record.want)
        if record.grouping.startswith("alone:"):
            return Step(memory, (Cleared(record, "group"),))
        if want & {"settled", "unsettled"}:
            return _settled(memory, record) if "settled" in want else _unsettled(memory, record)
        if not want & TELLING:
            return Step(memory, (Cleared(record, "group"),))
        return self._weighed(memory or Members(), record)

    def _weighed(self, memory: Members, due: Due) -> Step[Members]:
        incident = due.incident
        known = {member.fingerprint: member for member in memory.all}
        old = known.get(incident.fingerprint)
        merged = incident.stage == "merged"
        title = incident.title[:TITLE_MAX]
        this = Member(
            incident.first_seen, incident.fingerprint, incident.id, pages(incident), elsewhere=merged, title=title
        )
        if old is not None and old.incident == incident.id:
            this = replace(this, told=old.told, parent=old.parent)
        known[incident.fingerprint] = this
        members = self._recent(known.values())
        parents = explained(members, self.window, self.least)
        by_name = {member.incident: member for member in members}
        after: list[Member] = []
        said: list[Any] = []
        for member in members:
            parent = by_name.get(parents.get(member.incident, ""))
            changed, news = _moved(member, parent, due, incident.id)
            after.append(changed)
            said += news
        speaker = parents.get(incident.id)
        answer = Cleared(due, "group", f"grouped:{speaker}" if speaker else None)
        return Step(_remembered(memory, _bounded(after, {*parents, *parents.values()})), (answer, *said))

    def _recent(self, members: Iterable[Member]) -> tuple[Member, ...]:
        """Loners for a day, groups until they are resolved."""
        order = sorted(members, key=_order)
        oldest = order[-1].first_seen - REMEMBERED
        if order[0].first_seen >= oldest:
            return tuple(order)
        parents = explained(order, self.window, self.least)
        grouped = {*parents, *parents.values()}
        return tuple(one for one in order if one.first_seen >= oldest or one.incident in grouped)


def _bounded(members: list[Member], grouped: set[str]) -> list[Member]:
    """The oldest loners go first, then a group's newest: its oldest speaks for all, forgetting it would stir up all."""
    excess = len(members) - MEMBERS_MAX
    if excess <= 0:
        return members
    gone = {one.incident for one in [one for one in members if one.incident not in grouped][:excess]}
    return [one for one in members if one.incident not in gone][:MEMBERS_MAX]


def explained(members: Iterable[Member], window: timedelta, least: int) -> dict[str, str]:
    """Which incident is explained by which. The oldest speaks for those within the window after it.

    One that pages is only explained by one that pages: a quiet ticket must not swallow a page.
    """
    found: dict[str, str] = {}
    rest = sorted(members, key=_order)
    while len(rest) >= least:
        near = [one for one in rest if one.first_seen - rest[0].first_seen <= window]
        if len(near) < least:
            rest = rest[1:]
            continue
        rest = rest[len(near) :]
        live = [one for one in near if not one.over]
        speakers = [one for one in live if not one.merged]
        loud = [one for one in speakers if one.pages]
        for one in live:
            parent = next(iter(loud if one.pages else speakers), one)
            if _order(parent) < _order(one):  # always an older one, whichever group is asked: no circles
                found[one.incident] = parent.incident
    return found


def _order(member: Member) -> tuple[datetime, str]:
    return member.first_seen, member.fingerprint


def _moved(member: Member, speaker: Member | None, due: Due, asking: str) -> tuple[Member, tuple[Any, ...]]:
    """A member after the weighing, and what its incident has to hear. The one that asks gets its answer anyway."""
    parent = speaker.incident if speaker else None
    grouped = (Grouped(member.incident, speaker.incident, due.at, speaker.title),) if speaker else ()
    if member.incident == asking:
        told = member.told or parent is None
        # Told before it was explained: its ticket is a duplicate now.
        news = grouped if member.told and parent != member.parent else ()
        return replace(member, told=told, parent=parent or (member.parent if member.merged else None)), news
    if parent == member.parent or member.over:
        return member, ()
    if parent is not None:
        return replace(member, parent=parent), grouped
    if member.told:
        return member, ()  # merged before; it stays with the parent it has
    return replace(member, parent=None), (Released(member.incident, "group", due.at),)


def _settled(memory: Members | None, due: Due) -> Step[Members]:
    """A decision on the one that speaks for others is a decision on those it speaks for."""
    answer, name = Cleared(due, "group"), due.incident.id
    if memory is None:
        return Step(None, (answer,))
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
    return Step(_remembered(memory, after), (answer, *said))


def _unsettled(memory: Members | None, due: Due) -> Step[Members]:
    """Taken back: also for those that followed, not for those that a person decided on."""
    answer, name = Cleared(due, "group"), due.incident.id
    if memory is None:
        return Step(None, (answer,))
    freed = [one for one in memory.all if one.over and name in (one.over, one.incident)]
    after = [replace(one, over="") if one in freed else one for one in memory.all]
    said = (_followed(one.incident, due, reopened=True) for one in freed if one.incident != name)
    return Step(_remembered(memory, after), (answer, *said))


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
    return memory if tuple(after) == memory.all else Members(tuple(after))
