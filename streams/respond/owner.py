"""What an owner is owed: a page, a ticket, their evidence, and no more a minute than people can read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Due, Incident, Notice, Obligation, Released, Tick
from ..step import Order, Step
from .commenting import Commented, bounded, paced
from .routing import BookValues
from .telling import Telling

MINUTE = timedelta(minutes=1)
WAITING_MAX = 2000  # one beyond that asks again at its next sighting
RELEASED_MAX = 100  # at once, however large the budget
ANSWERS_MAX = 100  # all of a Due's answers come within one fold: these are never many
TELLING = {"page", "ticket"}
WAKING = {"worse", "escalate"}  # of people who know of it


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
    comments: dict[str, Commented] = {}  # by incident: those of the last minutes, or left out


class OwnerDesk:
    """Keyed by owner. The only one who says obligations.

    Teams that events name and the policy does not list share the fallback's budget: they share its channel, too.
    """

    name, version, memory = "owner", 1, Desk
    reads: tuple[type, ...] = (Cleared, Notice)
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values, self.telling = values, Telling(values)
        self.listed = {owner.name for owner in values.owners}

    def key(self, record: Cleared | Notice) -> str | None:
        if isinstance(record, Notice):
            return None if record.incident else self._listed(self.telling.owner_of(record).name)
        return self._desk_of(record.due.incident) if record.by == "clock" else None

    def _desk_of(self, incident: Incident) -> str:
        return self._listed(incident.owner)

    def _listed(self, owner: str) -> str:
        return owner if owner in self.listed else self.values.routing.fallback

    def step(self, memory: Desk | None, record: Any) -> Step[Desk]:
        if isinstance(record, Tick):
            return self._minute_ended(memory, record.at) if memory else Step(None)
        if not isinstance(record, Cleared):
            said = self.telling.notice(record) if isinstance(record, Notice) else ()
            return Step(memory, said, _wake(memory))
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
        incident, want = due.incident, set(due.want)
        if "settled" in want:
            desk = _without(desk, incident.id)
        if not (TELLING | WAKING) & want:
            desk, news = self._news(desk, due)
            return desk, (*news, Cleared(due, "owner"))
        if reasons:
            return self._hidden(_without(desk, incident.id), due, reasons)
        desk, said = self._turned(desk, due.at)
        if desk.told >= self.values.storm.per_minute_max:
            desk, more = self._held_back(desk, due)
            return desk, (*more, *said)
        desk = replace(_without(desk, incident.id), told=desk.told + 1)
        first = self.telling.first(due) if TELLING & want else ()
        desk, news = self._news(desk, due) if not first else (desk, ())
        return desk, (*first, *news, Cleared(due, "owner"), *said)

    def _hidden(self, desk: Desk, due: Due, reasons: tuple[str, ...]) -> tuple[Desk, tuple[Any, ...]]:
        """Nobody is woken; what is written where people look anyway is written."""
        rest = tuple(one for one in due.want if one not in TELLING | WAKING)
        desk, news = self._news(desk, replace(due, want=rest)) if rest else (desk, ())
        return desk, (*news, *(Cleared(due, "owner", reason) for reason in reasons))

    def _news(self, desk: Desk, due: Due) -> tuple[Desk, tuple[Obligation, ...]]:
        name, docs = due.incident.id, self.telling.comments(due)
        if not docs:
            return desk, self.telling.news(due, ())
        known = desk.comments.get(name, Commented())
        known, said = paced(known, docs, due.at, due.incident.told.get("comment", 0))
        others = {key: one for key, one in desk.comments.items() if key != name}
        desk = replace(desk, comments=bounded({**others, name: known}, due.at))
        return desk, self.telling.news(due, said)

    def _turned(self, desk: Desk, at: datetime) -> tuple[Desk, tuple[Any, ...]]:
        """The desk in the minute of `at`; a clock that goes back stays in the minute it was in."""
        if desk.minute is None:
            return replace(desk, minute=_minute(at)), ()
        if at < desk.minute + MINUTE:
            return desk, ()
        ended = self._minute_ended(desk, at)
        after = ended.remember or Desk(desk.owner)
        return replace(after, minute=_minute(at), answers=desk.answers), ended.say

    def _held_back(self, desk: Desk, due: Due) -> tuple[Desk, tuple[Any, ...]]:
        waiting = desk.waiting
        if due.incident.id not in waiting:
            waiting = (*waiting, due.incident.id)[:WAITING_MAX]
        first = not desk.storm
        desk = replace(desk, waiting=waiting, storm=True)
        umbrella = self._umbrella(desk, 1, due.at) if first else ()
        desk, said = self._hidden(desk, due, ("storm",))
        return desk, (*umbrella, *said)

    def _minute_ended(self, desk: Desk, at: datetime) -> Step[Desk]:
        """The umbrella learns the count, and the next ones ask again."""
        if desk.minute is None or at < desk.minute + MINUTE:
            return Step(desk, wake=_wake(desk))
        said: list[Any] = [*self._umbrella(desk, 2, at)] if desk.storm else []
        budget = min(self.values.storm.per_minute_max, RELEASED_MAX)
        said += [Released(incident, "owner", at) for incident in desk.waiting[:budget]]
        waiting = desk.waiting[budget:]
        comments = bounded(desk.comments, at)
        after = replace(desk, minute=_minute(at), told=0, storm=False, waiting=waiting, comments=comments)
        kept = after if waiting or comments else None
        return Step(kept, tuple(said), _wake(kept))

    def _umbrella(self, desk: Desk, ordinal: int, at: datetime) -> list[Obligation]:
        assert desk.minute is not None
        found = self.telling.umbrella((desk.owner, desk.minute), ordinal, desk.waiting, desk.told)
        return [replace(one, at=at) for one in found]


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
