"""Silences: what people do not want to hear of for a while, and what they hear of once it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Hushed, Incident, Released, Silence, Tick
from ..step import Order, Step

KEY = "silences"
ACTIVE_MAX = 1000
HELD_MAX = 5000  # one beyond that asks again at its next sighting
RELEASED_MAX = 100  # at once: each has a cascade of its own, and those of one input have an end
WAKING = {"page", "ticket", "worse", "escalate"}


class Silences(Struct, frozen=True, array_like=True):
    active: tuple[Silence, ...] = ()
    held: dict[str, str] = {}  # incident -> the silence that hides it
    known: dict[str, str] = {}  # the same for those that people know of: it keeps them from being woken once more
    more: datetime | None = None  # since when there are more to release


class Hush:
    """One memory for all silences. A silence hides from people, never from gates; nothing is forgotten by it."""

    name, version, memory = "silence", 1, Silences
    reads: tuple[type, ...] = (Silence, Cleared)
    order: Order = "near"

    def key(self, record: Any) -> str | None:
        if isinstance(record, Cleared) and record.by != "group":
            return None
        return KEY

    def step(self, memory: Silences | None, record: Any) -> Step[Silences]:
        if isinstance(record, Silence):
            return _silenced(memory or Silences(), record)
        if isinstance(record, Cleared):
            return _passed(memory or Silences(), record)
        if isinstance(record, Tick) and memory is not None:
            return _ended(memory, record.at)
        return Step(memory, wake=_wake(memory))


def _silenced(memory: Silences, silence: Silence) -> Step[Silences]:
    """A new silence, or a new end for one: of two versions the later one holds."""
    old = next((one for one in memory.active if one.id == silence.id), None)
    if old is not None and old.at > silence.at:
        return Step(memory, wake=_wake(memory))
    others = tuple(one for one in memory.active if one.id != silence.id)
    step = _ended(replace(memory, active=(*others, silence)), silence.at)
    if silence.at < silence.until:
        return Step(step.remember, (Hushed(silence), *step.say), step.wake)
    return step


def _ended(memory: Silences, at: datetime) -> Step[Silences]:
    """What only ended silences hid asks again; the incident knows whether it still matters."""
    active = tuple(one for one in memory.active if at < one.until)[-ACTIVE_MAX:]
    names = {one.id for one in active}
    over = tuple(one for one in memory.active if one.id not in names)
    free = [incident for one in (memory.held, memory.known) for incident, by in one.items() if by not in names]
    if not over and not free:
        after = replace(memory, more=None) if memory.more else memory
        return Step(after, wake=_wake(after))
    more, free = at if len(free) > RELEASED_MAX else None, free[:RELEASED_MAX]
    gone = set(free)
    held, known = ({name: by for name, by in one.items() if name not in gone} for one in (memory.held, memory.known))
    after = Silences(active, held, known, more)
    said = (*(Hushed(one, at) for one in over), *(Released(incident, "silence", at) for incident in free))
    return Step(after, said, _wake(after))


def _passed(memory: Silences, cleared: Cleared) -> Step[Silences]:
    due = cleared.due
    if not WAKING & set(due.want):
        after = memory if not {"settled"} & set(due.want) else _without(memory, due.incident.id)
        return Step(after, (replace(cleared, by="silence"),), _wake(after))
    silence = next((one for one in memory.active if one.hides(due.incident, due.at)), None)
    if silence is None:
        after = _without(memory, due.incident.id)
        # One that nobody may hear of explains nothing to anybody.
        hidden = cleared.held is not None and cleared.held.partition(":")[2] in memory.held
        return Step(after, (Cleared(due, "silence", None if hidden else cleared.held),), _wake(after))
    after = _hidden(memory, due.incident, silence.id)
    said = (Cleared(due, "silence", f"silenced:{silence.id}"),)
    return Step(after, said, _wake(after))


def _hidden(memory: Silences, incident: Incident, silence: str) -> Silences:
    told = "ticket" in incident.told
    if (memory.known if told else memory.held).get(incident.id) == silence:
        return memory
    after = _without(memory, incident.id)
    more = {**(after.known if told else after.held), incident.id: silence}
    more = dict(list(more.items())[-HELD_MAX:])
    return replace(after, known=more) if told else replace(after, held=more)


def _without(memory: Silences, incident: str) -> Silences:
    if incident not in memory.held and incident not in memory.known:
        return memory
    held, known = ({key: by for key, by in one.items() if key != incident} for one in (memory.held, memory.known))
    return replace(memory, held=held, known=known)


def _wake(memory: Silences | None) -> datetime | None:
    if memory is None:
        return None
    return memory.more or min((one.until for one in memory.active), default=None)
