"""What people say about which incident is part of which, against what the groups say."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..records import SEVERITIES, Cleared, Incident, Merge, Outcome, Speaks, Split, SpokenFor, Under, Worsened
from ..step import Step
from . import quiet
from .life import OVER, PARENT, PERSON, Life, alone, answered, awake, episode, missing, notices, questions, spokesman

APART_MAX = 50
SPEAKS_MAX = 200
HOPS_MAX = 100


def split(life: Life, record: Split) -> Step[Life]:
    """It stands for itself again, tells people itself, and is never put under the same parents by a group."""
    incident = life.incident
    parents = {one.partition(":")[2] for one in life.spoken_for.values()} | {incident.parent or ""} - {""}
    if incident.id != record.incident or incident.stage in OVER or not parents:
        return Step(life)
    was, merged = life.spoken_for.get(PERSON), incident.stage == "merged"
    incident = replace(
        incident,
        stage=_awake(incident) if merged else incident.stage,
        parent=None,
        held=(),
        apart=tuple(dict.fromkeys((*incident.apart, *sorted(parents))))[-APART_MAX:],
    )
    want = missing(incident)
    # A ticket that we closed as a duplicate before may be read as decided afterwards: the last word is this one.
    life = replace(life, incident=incident, spoken_for={}, followed=None, asked=bool(want), decided_at=record.at)
    told = merged and bool(incident.told)
    news = alone(incident, ("split", "update"), record.at) if told else ()
    asks = questions(life, want, record.at) if want else notices(life, incident, ("seen",), record.at)
    return Step(life, (incident, *_no_longer(incident, was, record.at), *news, *asks))


def merged(life: Life, record: Merge) -> Step[Life]:
    """The person's word stands until they say otherwise, whatever the groups find."""
    incident = life.incident
    said = f"grouped:{record.parent}"
    own = record.parent == incident.id
    if incident.id != record.incident or incident.stage in OVER or own or life.spoken_for.get(PERSON) == said:
        return Step(life)
    was = _no_longer(incident, life.spoken_for.get(PERSON), record.at)
    incident = replace(
        awake(incident),
        stage="merged",
        parent=record.parent,
        held=(),
        apart=tuple(one for one in incident.apart if one != record.parent),
    )
    life = replace(answered(life, PERSON, said), incident=incident, asked=False)
    # The groups first: the parent may answer that it is over.
    seen = notices(life, incident, ("seen",), record.at)
    return Step(life, (incident, *was, *seen, Speaks(record.parent, incident.id, record.at)))


def spoken_for(life: Life, record: SpokenFor) -> Step[Life]:
    """Whoever knows of it hears where it belongs now; its ticket is a duplicate once there is one to be linked to."""
    incident = life.incident
    if incident.id != record.incident or incident.stage != "merged" or incident.parent != record.parent:
        return Step(life)
    linked = "ticket" not in incident.told or "transition" in incident.told
    want = "duplicate" if record.ticket and not linked else "update"
    asks = (replace(due, explained=record.title) for due in alone(incident, (want,), record.at))
    return Step(life, tuple(asks) if incident.told else ())


def nobody(record: Any) -> Step[Life]:
    """Nothing is known of the incident that the record is to: what does not exist speaks for nothing."""
    asks = isinstance(record, Speaks) and not record.no_longer
    return Step(None, (Split(record.other, record.at, ""),) if asks else ())


def under(life: Life, record: Under) -> Step[Life]:
    """Upwards until somebody speaks for itself. A circle ends where a group closed it, or before a person did."""
    incident = life.incident
    parent = spokesman(life) or incident.parent
    if incident.id != record.incident or incident.stage in OVER or not parent or record.hops > HOPS_MAX:
        return Step(life)
    if parent != record.other:
        return Step(life, (replace(record, incident=parent, hops=record.hops + 1),))
    return Step(life, (Split(incident.id if record.person else record.other, record.at, ""),))


def speaks(life: Life, record: Speaks) -> Step[Life]:
    """The parent's side."""
    incident = life.incident
    if incident.id != record.incident:
        before = episode(life, record.incident)
        if before is not None and before.stage in OVER and not record.no_longer:
            return Step(life, (_outcome(before, record.other, record.at, reopened=False),))
        return Step(life, nobody(record).say)
    others = tuple(one for one in life.speaks if one != record.other)
    if record.no_longer:
        return Step(life if len(others) == len(life.speaks) else replace(life, speaks=others))
    if record.other not in life.speaks:
        life = replace(life, speaks=(*others, record.other)[-SPEAKS_MAX:])
    if incident.stage in OVER:
        return Step(life, (_outcome(incident, record.other, record.at, reopened=False),))
    return Step(life, (_spoken_for(incident, record.other, record.at),))


def followed(before: Life | None, step: Step[Life], record: Any) -> Step[Life]:
    """What is decided about it is decided about those that people merged into it."""
    life = step.remember
    if before is None or life is None or before.incident.id != life.incident.id:
        return step
    was, now = before.incident, life.incident
    if now.parent and now.parent != was.parent:
        at, person = record.due.at if isinstance(record, Cleared) else record.at, PERSON in life.spoken_for
        step = Step(life, (*step.say, Under(now.parent, now.id, at, person)))
    if not life.speaks:
        return step
    if "ticket" in now.told and "ticket" not in was.told:
        return Step(life, (*step.say, *(_spoken_for(now, one, record.at or life.heard_at) for one in life.speaks)))
    if (was.stage, was.outcome, was.fixed_in) == (now.stage, now.outcome, now.fixed_in):
        return step
    reopened = was.stage in OVER and now.stage not in OVER
    if now.stage not in OVER and not reopened:
        return step
    said = (_outcome(now, one, record.at, reopened=reopened) for one in life.speaks)
    return Step(life, (*step.say, *said))


def rose(step: Step[Life], before: Incident, after: Incident, at: datetime) -> Step[Life]:
    """People have its parent's ticket and page: they are told there."""
    if not _worse(after, before) or not after.parent:
        return step
    return Step(step.remember, (*step.say, Worsened(after.parent, after.title, after.severity, at)))


def worsened(life: Life, record: Worsened) -> Step[Life]:
    """At least as severe as what it speaks for: a ticket must not swallow a page."""
    before = life.incident
    stale = before.id != record.incident or before.stage in OVER
    if stale or SEVERITIES.index(record.severity) >= SEVERITIES.index(before.severity):
        return Step(life)
    stage = _awake(before) if before.stage == "mitigated" else before.stage
    incident = replace(awake(before), stage=stage, severity=record.severity, rose=f"“{record.title}” is part of it")
    tally = replace(life.tally, severity=record.severity)
    if incident.stage == "merged":
        return rose(Step(replace(life, incident=incident, tally=tally), (incident,)), before, incident, record.at)
    want, news = missing(incident), quiet.news(before, incident)
    life = replace(life, incident=incident, tally=tally, asked=life.asked or bool(want))
    asks = questions(life, want, record.at) if want else ()
    return Step(life, (incident, *asks, *(alone(incident, news, record.at) if news else ())))


def _awake(incident: Incident) -> Any:
    return "acknowledged" if incident.acknowledged_by or incident.assigned_to else "open"


def _worse(after: Incident, before: Incident) -> bool:
    return SEVERITIES.index(after.severity) < SEVERITIES.index(before.severity)


def _no_longer(incident: Incident, said: str | None, at: datetime) -> tuple[Speaks, ...]:
    return (Speaks(said.partition(":")[2], incident.id, at, no_longer=True),) if said else ()


def _spoken_for(parent: Incident, other: str, at: datetime) -> SpokenFor:
    return SpokenFor(other, parent.id, at, parent.title, "ticket" in parent.told)


def _outcome(parent: Incident, other: str, at: datetime, *, reopened: bool) -> Outcome:
    return Outcome(
        incident=other,
        outcome=parent.outcome or "unspecified",
        at=at,
        actor=parent.resolved_by or "",
        source=PARENT,
        fixed_in=parent.fixed_in,
        reason=parent.id,
        reopened=reopened,
    )
