"""A trouble that is not seen any more: told once, proposed for closing, and closed when nobody answers."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from ..records import SEVERITIES, Incident, Passed, Sustained, Watched, Worsened
from ..step import Step
from .life import OVER, STILL_SEEN, Life, alone, asking, awake, missing, notices, spokesman
from .routing import BookValues, pages, unpaged

WATCHING = ("open", "acknowledged")
QUIET = "quiet"  # who closed it, when nobody did
HOPS_MAX = 100
OWN = "tocsin-"  # the pipeline's roles: no minute of theirs is counted, their time is everybody's
HEARD = timedelta(minutes=5)  # wall clock: event time may have been read ahead of the findings after an outage


def watching(values: BookValues, step: Step[Life]) -> Step[Life]:
    """While it is open the clock is asked once: an ordinary sighting says nothing more."""
    life = step.remember
    if life is None:
        return step
    if life.close_at is not None and life.incident.stage != "mitigated":
        life = replace(life, close_at=None)
        step = Step(life, step.say)
    live = life.incident.stage in WATCHING
    if life.watched is None:
        if not live:
            return step
        asks = until(values, life)
    elif not live:
        asks = None
    elif life.incident.last_seen > life.watched + _after(values):
        asks = until(values, life)  # the clock has forgotten it, or its agent's minutes are not counted
    else:
        return step
    return Step(replace(life, watched=asks), (*step.say, _watched(life.incident, asks)))


def until(values: BookValues, life: Life) -> datetime:
    """Event time by which it is quiet. One that a person has reopened gets its time, too."""
    return max(_seen(life), life.decided_at or life.incident.last_seen) + _after(values)


def passed(values: BookValues, life: Life, record: Passed) -> Step[Life]:
    """Its agent has worked on until then. Whether without it is looked at now, not at each sighting."""
    incident = life.incident
    if incident.id != record.incident or incident.stage not in WATCHING or life.watched is None:
        return Step(life)
    asks, heard = until(values, life), min(HEARD, _after(values))
    if asks <= record.at and record.seen - life.heard_at < heard:
        asks = record.at + heard
    if asks > record.at:
        return Step(life if asks == life.watched else replace(life, watched=asks), (_watched(incident, asks),))
    incident = replace(incident, stage="mitigated", quiet_since=_seen(life), mitigated_at=record.seen)
    close_at = record.seen + timedelta(seconds=values.quiet.close_s)
    news = alone(incident, ("recovered",), record.seen) if incident.told else ()
    return Step(replace(life, incident=incident, watched=None, close_at=close_at), (incident, *news))


def due(values: BookValues, life: Life, at: datetime) -> Step[Life] | None:
    """Nobody has answered the proposal to close it. None: that is not what the clock is about."""
    del values
    if life.close_at is None or life.incident.stage != "mitigated":
        return None
    if at < life.close_at:
        return Step(life)
    incident = replace(
        awake(life.incident),
        stage="closed",
        outcome="unspecified",  # to gates: nobody said that nothing was wrong in its releases
        resolved_at=at,
        resolved_by=QUIET,
        held=() if life.incident.told else life.incident.held,
    )
    # It speaks for what was seen, not for what waits to be read; and it is no decision: a person's comes later.
    life = replace(life, incident=incident, close_at=None, horizon=incident.last_seen)
    want = ("settled", "outcome")
    asks = (*alone(incident, (*want, "closing"), at), *notices(life, incident, want, at))
    return Step(life, (incident, *asks))


def sustained(life: Life, record: Sustained) -> Step[Life]:
    """Something that it speaks for is seen: it goes on, and if people have not been told of it, somebody has to be."""
    before = life.incident
    stale = record.at - life.heard_at > STILL_SEEN
    fresh = record.until > _seen(life)
    if before.id != record.incident or before.stage in OVER:
        return Step(life)
    if fresh or stale:
        life = replace(life, sustained=max(record.until, _seen(life)), heard_at=max(life.heard_at, record.at))
    above = before.parent if before.stage == "merged" else spokesman(life)
    if above and (before.stage == "merged" or missing(before)):
        further = (replace(record, incident=above, hops=record.hops + 1),) if record.hops < HOPS_MAX else ()
        return Step(life, further)
    return _upheld(life, record, stale=stale)


def _upheld(life: Life, record: Sustained, *, stale: bool) -> Step[Life]:
    """It speaks for itself, and aloud enough for what it speaks for."""
    before = life.incident
    worse = SEVERITIES.index(record.severity) < SEVERITIES.index(before.severity)
    louder = (Worsened(before.id, record.title, record.severity, record.at),) if worse else ()
    incident = returned(before, before, record.until)
    life, told = replace(life, incident=incident), news(before, incident)
    asks = missing(incident) if incident.stage in WATCHING and (stale or incident is not before) else ()
    if not asks and incident is before:
        return Step(life, louder)
    step = asking(life, asks, record.at)
    return Step(step.remember, (*step.say, *(alone(incident, told, record.at) if told else ()), *louder))


def sustaining(incident: Incident, at: datetime) -> tuple[Sustained, ...]:
    """To the one that speaks for it."""
    if not incident.parent:
        return ()
    severity = incident.severity if unpaged(incident) else "low"
    return (Sustained(incident.parent, incident.last_seen, at, incident.title, severity),)


def returned(before: Incident, after: Incident, at: datetime) -> Incident:
    """Seen again while closing was proposed. What comes late only counts."""
    if before.stage != "mitigated" or before.quiet_since is None or at <= before.quiet_since:
        return after
    return awake(replace(after, stage="acknowledged" if after.acknowledged_by else "open"))


def news(before: Incident, after: Incident) -> tuple[str, ...]:
    """What those who were told already have to hear of a sighting."""
    rose = SEVERITIES.index(after.severity) < SEVERITIES.index(before.severity)
    back = before.stage == "mitigated" and after.stage in WATCHING
    worse = rose and (back or after.severity == "critical") and pages(after) and after.stage in (*WATCHING, "mitigated")
    wants = (
        ("back", back and bool(after.told)),
        ("raised", rose and "ticket" in after.told),
        ("worse", worse and "page" in after.told),
    )
    found = tuple(want for want, wanted in wants if wanted)
    return (*found, "update") if {"back", "worse"} & set(found) else found


def _after(values: BookValues) -> timedelta:
    return timedelta(seconds=values.quiet.after_s)


def _seen(life: Life) -> datetime:
    """Itself, or what it speaks for."""
    return max(life.incident.last_seen, life.sustained or life.incident.last_seen)


def _watched(incident: Incident, asks: datetime | None) -> Watched:
    agent = "" if incident.about.agent.startswith(OWN) else incident.about.agent
    return Watched(incident.id, agent, asks, incident.about.environment)
