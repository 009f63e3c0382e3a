"""Silences: what people do not want to hear of for a while, and what they hear of once it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Incident, Released, Silence, Tick
from ..step import Order, Step

KEY = "silences"
ACTIVE_MAX = 1000
HELD_MAX = 5000  # one beyond that asks again at its next sighting
TELLING = {"page", "ticket"}


class Silences(Struct, frozen=True, array_like=True):
    active: tuple[Silence, ...] = ()
    held: dict[str, str] = {}  # incident -> the silence that hides it


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


def matches(silence: Silence, incident: Incident, at: datetime) -> bool:
    """All matchers must match; none at all, or one that nobody knows, matches nothing."""
    found = {
        "agent": incident.about.agent or incident.subject.get("agent", ""),
        "detector": incident.detector,
        "environment": incident.about.environment,
        "owner": incident.owner,
        "incident": incident.id,
        "fingerprint": incident.fingerprint,
    }
    known = bool(silence.matchers) and all(found.get(key) == value for key, value in silence.matchers.items())
    return known and at < silence.until


def _silenced(memory: Silences, silence: Silence) -> Step[Silences]:
    """A new silence, or a new end for one: of two versions the later one holds."""
    old = next((one for one in memory.active if one.id == silence.id), None)
    if old is not None and old.at > silence.at:
        return Step(memory, wake=_wake(memory))
    others = tuple(one for one in memory.active if one.id != silence.id)
    return _ended(replace(memory, active=(*others, silence)[-ACTIVE_MAX:]), silence.at)


def _ended(memory: Silences, at: datetime) -> Step[Silences]:
    """What only ended silences hid asks again; the incident knows whether it still matters."""
    active = tuple(one for one in memory.active if at < one.until)
    names = {one.id for one in active}
    free = [incident for incident, silence in memory.held.items() if silence not in names]
    if len(active) == len(memory.active) and not free:
        return Step(memory, wake=_wake(memory))
    held = {incident: silence for incident, silence in memory.held.items() if silence in names}
    after = Silences(active, held)
    return Step(after, tuple(Released(incident, "silence", at) for incident in free), _wake(after))


def _passed(memory: Silences, cleared: Cleared) -> Step[Silences]:
    due = cleared.due
    if not TELLING & set(due.want):
        after = memory if not {"settled"} & set(due.want) else _without(memory, due.incident.id)
        return Step(after, (replace(cleared, by="silence"),), _wake(after))
    silence = next((one for one in memory.active if matches(one, due.incident, due.at)), None)
    if silence is None:
        after = _without(memory, due.incident.id)
        # One that nobody may hear of explains nothing to anybody.
        hidden = cleared.held is not None and cleared.held.partition(":")[2] in memory.held
        return Step(after, (Cleared(due, "silence", None if hidden else cleared.held),), _wake(after))
    after = memory
    if memory.held.get(due.incident.id) != silence.id:
        held = {**_without(memory, due.incident.id).held, due.incident.id: silence.id}
        after = replace(memory, held=dict(list(held.items())[-HELD_MAX:]))
    said = (Cleared(due, "silence", f"silenced:{silence.id}"),)
    return Step(after, said, _wake(after))


def _without(memory: Silences, incident: str) -> Silences:
    if incident not in memory.held:
        return memory
    return replace(memory, held={key: value for key, value in memory.held.items() if key != incident})


def _wake(memory: Silences | None) -> datetime | None:
    return min((one.until for one in memory.active), default=None) if memory else None
