"""Who is told next when nobody answers, and who has answered."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from ..records import Assignment, Cleared, Due, Incident
from ..step import Step
from .life import OVER, STILL_SEEN, Life, alone
from .routing import BookValues, levels

WAKING = {"worse", "escalate"}  # of people who know of it


def assigned(life: Life, record: Assignment) -> Step[Life]:
    """Whoever it is given to is on it."""
    incident = life.incident
    over = incident.stage in (*OVER, "merged")
    if incident.id != record.incident or over or incident.assigned_to == record.to:
        return Step(life)
    incident = replace(
        incident,
        stage="acknowledged" if incident.stage == "open" else incident.stage,
        assigned_to=record.to,
        acknowledged_by=incident.acknowledged_by or record.actor or record.to,
    )
    asks = alone(incident, ("update", "assigned"), record.at)
    return Step(replace(life, incident=incident), (incident, *asks))


def due(values: BookValues, life: Life, at: datetime) -> Step[Life] | None:
    """The next level asks to be told, if nobody has answered by now. None: that is not what the clock is about."""
    if life.escalate_at is None:
        return None
    if at < life.escalate_at:
        return Step(life)
    life = replace(life, escalate_at=None)
    if life.incident.stage != "open" or life.incident.level >= len(levels(values, life.incident.owner)):
        return Step(life)
    return Step(life, _asking(life, ("escalate",), at))


def again(life: Life, at: datetime, news: tuple[str, ...] = (), *, anyway: bool = False) -> tuple[Due, ...]:
    """News, and what was held back asks once more: in one Due, since each numbers what people are owed."""
    wanting = life.wanting if anyway or at - life.heard_at <= STILL_SEEN else ()
    want = tuple(dict.fromkeys((*news, *wanting)))
    return _asking(life, want, at) if want else ()


def reached(life: Life, incident: Incident, record: Cleared) -> tuple[Life, Incident]:
    """The owner's answer: who was told, or that somebody has to be later."""
    want = set(record.due.want)
    waking = tuple(one for one in record.due.want if one in WAKING)
    if incident.id != life.incident.id or not (waking or "page" in want):
        return life, incident
    wanting = (waking or life.wanting) if record.held else ()
    if wanting != life.wanting:
        life = replace(life, wanting=wanting)
    if record.held:
        return life, incident
    level = record.due.incident.level if "escalate" in want else 0
    return life, replace(incident, level=level)


def timed(values: BookValues, before: Life | None, step: Step[Life], record: Any) -> Step[Life]:
    """Time runs while it is open and somebody was paged; whatever else becomes of it, it stops."""
    life = step.remember
    if life is None:
        return step
    if life.incident.stage != "open":
        return _ended(step, life)
    if isinstance(record, Cleared):
        return _begun(values, step, record.due.at) if _told(life, record) else step
    back = before is not None and before.incident.id == life.incident.id and before.incident.stage != "open"
    if not back or life.incident.told.get("page", 0) <= life.incident.expired:
        return step
    return _begun(values, _changed(step, life, level=0), record.at)


def _told(life: Life, record: Cleared) -> bool:
    due = record.due
    waking = ("page" in due.want and "page" in life.incident.told) or WAKING & set(due.want)
    return bool(record.by == "owner" and not record.held and due.incident.id == life.incident.id and waking)


def _begun(values: BookValues, step: Step[Life], at: datetime) -> Step[Life]:
    """From the level that was told last, or the owner's own page."""
    life = step.remember
    assert life is not None
    ladder = levels(values, life.incident.owner)
    level = life.incident.level
    escalate_at = at + timedelta(seconds=ladder[level].after_s) if level < len(ladder) else None
    return step if escalate_at == life.escalate_at else Step(replace(life, escalate_at=escalate_at), step.say)


def _ended(step: Step[Life], life: Life) -> Step[Life]:
    if life.wanting:
        held = () if "ticket" in life.incident.told else life.incident.held
        step = _changed(Step(replace(life, wanting=()), step.say), replace(life, wanting=()), held=held)
        life = step.remember or life
    return Step(replace(life, escalate_at=None), step.say) if life.escalate_at else step


def _changed(step: Step[Life], life: Life, **what: Any) -> Step[Life]:
    """With another incident, wherever it is said."""
    incident = replace(life.incident, **what)
    if incident == life.incident:
        return Step(life, step.say)
    say = tuple(_with(one, incident.id, what) for one in step.say)
    return Step(replace(life, incident=incident), say)


def _with(saying: Any, name: str, what: dict[str, Any]) -> Any:
    if isinstance(saying, Incident) and saying.id == name:
        return replace(saying, **what)
    if isinstance(saying, Due) and saying.incident.id == name:
        return replace(saying, incident=replace(saying.incident, **what))
    return saying


def _asking(life: Life, want: tuple[str, ...], at: datetime) -> tuple[Due, ...]:
    incident = life.incident
    if "escalate" in want:
        incident = replace(incident, level=incident.level + 1)
    return alone(incident, want, at)
