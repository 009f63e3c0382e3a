"""What an owner is owed: a page, a ticket, their evidence, and no more a minute than people can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Due, Incident, Obligation, ObligationKind, Released, Tick
from ..step import Order, Step
from . import routing, writing
from .messages import Doc, body
from .routing import BookValues

MINUTE = timedelta(minutes=1)
WAITING_MAX = 2000  # one beyond that asks again at its next sighting
ANSWERS_MAX = 100  # all of a Due's answers come within one fold: these are never many
TELLING = {"page", "ticket"}


class Answers(Struct, frozen=True, array_like=True):
    """To one incident's Dues, until there are as many as it has grouping keys."""

    count: int = 0
    held: tuple[str, ...] = ()


class Desk(Struct, frozen=True, array_like=True):
    """One owner's minute."""

    owner: str
    minute: datetime | None = None
    told: int = 0  # incidents told in this minute
    storm: bool = False  # the umbrella was said for this minute
    waiting: tuple[str, ...] = ()  # incidents held back by storms, the oldest first
    answers: dict[str, Answers] = {}


class OwnerDesk:
    """Keyed by owner. The only one who says obligations.

    Teams that events name and the policy does not list share the fallback's budget: they share its channel, too.
    """

    name, version, memory = "owner", 1, Desk
    reads: tuple[type, ...] = (Cleared,)
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values = values
        self.listed = {owner.name for owner in values.owners}

    def key(self, record: Cleared) -> str | None:
        return self._desk_of(record.due.incident) if record.by == "clock" else None

    def _desk_of(self, incident: Incident) -> str:
        return incident.owner if incident.owner in self.listed else self.values.routing.fallback

    def step(self, memory: Desk | None, record: Any) -> Step[Desk]:
        if isinstance(record, Tick):
            return self._minute_ended(memory, record.at) if memory else Step(None)
        if not isinstance(record, Cleared):
            return Step(memory, wake=_wake(memory))
        desk = memory or Desk(self._desk_of(record.due.incident))
        incident, due = record.due.incident, record.due
        answers = desk.answers.get(incident.id, Answers())
        reasons = tuple(sorted({*answers.held, *((record.held,) if record.held else ())}))
        if answers.count + 1 < due.of:
            waiting = {**desk.answers, incident.id: Answers(answers.count + 1, reasons)}
            desk = replace(desk, answers=dict(list(waiting.items())[-ANSWERS_MAX:]))
            return Step(desk, wake=_wake(desk))
        if incident.id in desk.answers:
            desk = replace(desk, answers={key: value for key, value in desk.answers.items() if key != incident.id})
        desk, said = self._act(desk, due, reasons)
        return Step(desk, said, _wake(desk))

    def _act(self, desk: Desk, due: Due, reasons: tuple[str, ...]) -> tuple[Desk, tuple[Any, ...]]:
        incident = due.incident
        if "settled" in due.want:
            desk = _without(desk, incident.id)
        if not TELLING & set(due.want):
            return desk, (*self._news(due), Cleared(due, "owner"))
        if reasons:
            return _without(desk, incident.id), tuple(Cleared(due, "owner", reason) for reason in reasons)
        desk, said = self._turned(desk, due.at)
        if desk.told >= self.values.storm.per_minute_max:
            desk, more = self._held_back(desk, due)
            return desk, (*more, *said)
        desk = replace(_without(desk, incident.id), told=desk.told + 1)
        return desk, (*self._told(due), Cleared(due, "owner"), *said)

    def _turned(self, desk: Desk, at: datetime) -> tuple[Desk, tuple[Any, ...]]:
        """The desk in the minute of `at`; a clock that goes back stays in the minute it was in."""
        if desk.minute is None:
            return replace(desk, minute=_minute(at)), ()
        if at < desk.minute + MINUTE:
            return desk, ()
        ended = self._minute_ended(desk, at)
        return ended.remember or Desk(desk.owner, _minute(at), answers=desk.answers), ended.say

    def _held_back(self, desk: Desk, due: Due) -> tuple[Desk, tuple[Any, ...]]:
        waiting = desk.waiting
        if due.incident.id not in waiting:
            waiting = (*waiting, due.incident.id)[:WAITING_MAX]
        first = not desk.storm
        desk = replace(desk, waiting=waiting, storm=True)
        umbrella = (self._umbrella(desk, 1, due.at),) if first else ()
        return desk, (*umbrella, Cleared(due, "owner", "storm"))

    def _minute_ended(self, desk: Desk, at: datetime) -> Step[Desk]:
        """The umbrella learns the count, and the next ones ask again."""
        if desk.minute is None or at < desk.minute + MINUTE:
            return Step(desk, wake=_wake(desk))
        said: list[Any] = [self._umbrella(desk, 2, at)] if desk.storm else []
        budget = self.values.storm.per_minute_max
        said += [Released(incident, "owner", at) for incident in desk.waiting[:budget]]
        waiting = desk.waiting[budget:]
        after = replace(desk, minute=_minute(at), told=0, storm=False, waiting=waiting) if waiting else None
        return Step(after, tuple(said), _wake(after))

    def _told(self, due: Due) -> tuple[Obligation, ...]:
        incident, values = due.incident, self.values
        page, ticket = _id(incident, "page", 1), _id(incident, "ticket", 1)
        said: list[Obligation] = []
        if routing.pages(incident) and "page" not in incident.told:
            mention = routing.owner_named(values, incident.owner).mention
            said.append(self._owed(due, "page", 1, writing.page(values, incident, due.at, mention=mention)))
        if "ticket" in due.want and "ticket" not in incident.told:
            said.append(self._owed(due, "ticket", 1, writing.ticket(values, incident, due.at)))
            said.append(self._owed(due, "evidence", 1, writing.evidence(values, incident), ticket))
        if said and said[0].kind == "page":
            said.append(self._owed(due, "page", 2, writing.page(values, incident, due.at), page, ticket))
        return tuple(said)

    def _news(self, due: Due) -> tuple[Obligation, ...]:
        """What people who were told already hear: edits of their page, a comment, a ticket closed as a duplicate."""
        incident, want, values = due.incident, set(due.want), self.values
        page, ticket = _id(incident, "page", 1), _id(incident, "ticket", 1)
        said: list[Obligation] = []
        if "page" in incident.told and want & {"update", "outcome", "duplicate"}:
            after = (page, ticket) if "ticket" in incident.told else (page,)
            page_doc = writing.page(values, incident, due.at, explained=due.explained)
            said.append(self._owed(due, "page", _next(incident, "page"), page_doc, *after))
        if "ticket" in incident.told and "outcome" in want:
            comment = writing.understood(values, incident)
            said.append(self._owed(due, "comment", _next(incident, "comment"), comment, ticket))
        if "ticket" in incident.told and "raised" in want:
            comment = writing.raised(values, incident, due.at)
            said.append(self._owed(due, "comment", _next(incident, "comment"), comment, ticket))
        if "ticket" in incident.told and "duplicate" in want:
            duplicate = writing.duplicate(values, incident)
            ordinal = _next(incident, "transition")
            said.append(self._owed(due, "transition", ordinal, duplicate, ticket, duplicate.parent_ticket))
        return tuple(said)

    def _owed(self, due: Due, kind: ObligationKind, ordinal: int, doc: Doc, *after: str) -> Obligation:
        incident, owner = due.incident, routing.owner_named(self.values, due.incident.owner)
        to = routing.slack(self.values, owner) if kind == "page" else routing.jira(self.values, owner)
        name = _id(incident, kind, ordinal)
        return Obligation(name, incident.id, kind, ordinal, to, body(doc), after, due.at)

    def _umbrella(self, desk: Desk, ordinal: int, at: datetime) -> Obligation:
        owner = routing.owner_named(self.values, desk.owner)
        key = f"storm:{desk.owner}:{desk.minute:%Y-%m-%dT%H:%MZ}"
        root = f"{key}:page:1"
        mention = owner.mention if ordinal == 1 else ""
        doc = writing.umbrella(self.values, key, desk.owner, (desk.told, len(desk.waiting)), mention=mention)
        to = routing.slack(self.values, owner)
        return Obligation(f"{key}:page:{ordinal}", "", "page", ordinal, to, body(doc), (root,) * (ordinal > 1), at)


def _id(incident: Incident, kind: ObligationKind, ordinal: int) -> str:
    return f"{incident.id}:{kind}:{ordinal}"


def _next(incident: Incident, kind: ObligationKind) -> int:
    return incident.told.get(kind, 0) + 1


def _minute(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _without(desk: Desk, incident: str) -> Desk:
    if incident not in desk.waiting:
        return desk
    return replace(desk, waiting=tuple(one for one in desk.waiting if one != incident))


def _wake(desk: Desk | None) -> datetime | None:
    """At the end of a minute in which somebody waits, or has been told that somebody does."""
    if desk is None or desk.minute is None or not (desk.waiting or desk.storm):
        return None
    return desk.minute + MINUTE
