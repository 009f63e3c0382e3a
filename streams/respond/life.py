"""What is remembered of one fingerprint, and how its incident asks for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Due, Incident, Sighted
from ..step import Step
from .routing import pages
from .sighting import Tally, Timed, earliest, releases_of

RECENT_MAX = 64
PAST_MAX = 5
KNOWN_MAX = 200
OVER = ("resolved", "closed")
PARENT = "parent"  # source of an outcome that a grouped incident takes over; its reason is the parent's id


class Life(Struct, frozen=True, array_like=True):
    """What is remembered of one fingerprint."""

    incident: Incident  # the current episode
    tally: Tally
    heard_at: datetime  # wall clock of the last sighting
    known: Timed  # releases of all episodes, with the first time each was seen
    recent: tuple[str, ...]  # hashes of finding ids: an echo that slipped through changes nothing
    horizon: datetime | None = None  # event time up to which the last decision speaks
    decided_at: datetime | None = None
    asked: bool = False  # a Due is on its way, its answers replace the reasons held
    unsaid: bool = False  # people were owed something since the incident was last said
    followed: str | None = None  # the incident whose outcome this one took over
    since: datetime | None = None  # the horizon of the episode before: older events are that one's
    past: tuple[Incident, ...] = ()  # earlier episodes: their receipts and outcomes may be late


def noted(life: Life, record: Sighted, mark: str) -> Life:
    finding = record.finding
    return replace(
        life,
        heard_at=max(life.heard_at, record.at),
        known=earliest(life.known, releases_of(finding), finding.at, KNOWN_MAX),
        recent=(*life.recent, mark)[-RECENT_MAX:] if finding.id else life.recent,
    )


def missing(incident: Incident) -> tuple[str, ...]:
    if "ticket" not in incident.told:
        return ("page", "ticket")
    return ("page",) if pages(incident) and "page" not in incident.told else ()


def asking(life: Life, want: tuple[str, ...], at: datetime) -> Step[Life]:
    """Say the incident and, where people are owed news of it, ask."""
    if not want:
        return Step(life, (life.incident,))
    return Step(replace(life, asked=True), (life.incident, *dues(life.incident, want, at)))


def dues(incident: Incident, want: tuple[str, ...], at: datetime) -> tuple[Due, ...]:
    agent = incident.about.agent or incident.subject.get("agent", "")
    keys = [f"agent:{agent}"] if agent else []
    keys += [f"dependency:{incident.dependency}"] if incident.dependency else []
    keys = keys or [f"alone:{incident.fingerprint}"]
    return tuple(Due(incident, want, key, len(keys), at) for key in keys)


def alone(incident: Incident, want: str, at: datetime) -> tuple[Due, ...]:
    """A Due that no group has to weigh: people were told already."""
    return (Due(incident, (want,), f"alone:{incident.fingerprint}", 1, at),)


def episode(life: Life, name: str) -> Incident | None:
    return next((one for one in (life.incident, *life.past) if one.id == name), None)


def put(life: Life, incident: Incident) -> Life:
    if incident.id == life.incident.id:
        return replace(life, incident=incident)
    return replace(life, past=tuple(incident if one.id == incident.id else one for one in life.past))


def held_under(policy: str, step: Step[Life]) -> Step[Life]:
    """What is held back says which policy did it, and what no longer is says nothing of it."""
    life = step.remember
    if not policy or life is None:
        return step
    said: list[Any] = []
    for one in step.say:
        under = policy if isinstance(one, Incident) and one.held else ""
        if isinstance(one, Incident) and one.held_policy != under:
            one = replace(one, held_policy=under)
            kept = episode(life, one.id)
            life = put(life, replace(kept, held_policy=under)) if kept else life
        said.append(one)
    return step if life is step.remember else Step(life, tuple(said), step.wake)
