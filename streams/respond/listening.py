"""What an incident hears: answers to its questions, receipts, clicks, what others say of it."""

from __future__ import annotations

from msgspec.structs import replace

from ..records import (
    Acknowledgement,
    Cleared,
    Done,
    Expired,
    Grouped,
    Incident,
    Notice,
    Obligation,
    Receipt,
    Released,
    Sustained,
)
from ..step import Step
from . import escalation, quiet
from .life import (
    OVER,
    Life,
    alone,
    answered,
    asking,
    awake,
    episode,
    held,
    let_go,
    missing,
    put,
    speaker,
    spokesman,
)

FURTHER = ("pagerduty:", "webhook:")


def acknowledged(life: Life, record: Acknowledgement) -> Step[Life]:
    incident = life.incident
    late = incident.stage not in ("open", "mitigated") or incident.acknowledged_by is not None
    if incident.id != record.incident or late:
        return Step(life)
    stage = incident.stage if incident.stage == "mitigated" else "acknowledged"
    incident = replace(incident, stage=stage, acknowledged_by=record.actor)
    return Step(replace(life, incident=incident), (incident, *alone(incident, ("update",), record.at)))


def remarked(life: Life, record: Notice) -> Step[Life]:
    """Learn has something to say about it: people who were told of it hear that, too."""
    incident = episode(life, record.incident)
    if incident is None or not incident.told:
        return Step(life)
    asks = alone(incident, ("remark",), record.at)
    return Step(life, tuple(replace(one, remark=(record.headline, *record.lines)) for one in asks))


def receipted(life: Life, record: Receipt) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is not None and record.was:
        return _followed(life, incident, record)
    if incident is None or not isinstance(record.answer, Done):
        return Step(life)
    answer = record.answer
    if record.kind == "ticket" and incident.ticket is None:
        incident = replace(incident, ticket=answer.reference, ticket_url=answer.url)
    elif record.kind == "page" and incident.page is None and _in_slack(record):
        incident = replace(incident, page=answer.reference)
    else:
        return Step(life)  # the first recorded reference wins
    return Step(put(life, incident), (incident,))


def _followed(life: Life, incident: Incident, record: Receipt) -> Step[Life]:
    """A person has moved its ticket, or deleted it: then none is opened by itself, and people hear why."""
    if record.kind != "ticket" or incident.ticket != record.was:
        return Step(life)
    if isinstance(record.answer, Done):
        incident = replace(incident, ticket=record.answer.reference, ticket_url=record.answer.url)
    else:
        incident = replace(incident, ticket_url=None)
    want = "update" if isinstance(record.answer, Done) else "gone"
    told = incident.stage not in OVER and incident.id == life.incident.id
    return Step(put(life, incident), (incident, *(alone(incident, (want,), record.at) if told else ())))


def grouped(life: Life, record: Grouped) -> Step[Life]:
    incident = life.incident
    if incident.id != record.incident or incident.stage in OVER or record.parent == incident.id:
        return Step(life)
    if record.parent in incident.apart:
        return Step(life)  # a person knows better
    life = answered(life, record.grouping, f"{record.why}:{record.parent}")
    if "ticket" not in incident.told:
        return held(life)
    parent = spokesman(life)
    if parent == incident.parent:
        return Step(life)
    incident = replace(awake(incident), stage="merged", parent=parent)
    # A ticket is closed once; should the parent change afterwards, the page says so.
    want = "update" if "transition" in incident.told else "duplicate"
    title = record.title if parent == record.parent else ""
    asks = tuple(replace(due, explained=title) for due in alone(incident, (want,), record.at))
    return Step(replace(life, incident=incident), (incident, *asks))


def released(life: Life, record: Released) -> Step[Life]:
    incident = life.incident
    if incident.id != record.incident or incident.stage in OVER or not incident.held:
        return Step(life)
    life = answered(life, record.grouping, None)
    if life.wanting and not missing(incident):
        # Nobody has answered, seen again or not: a storm only delays it.
        return Step(life, escalation.again(life, record.at, anyway=record.by == "owner"))
    return let_go(life, record.at, anyway=record.by != "group")


def owed(life: Life, record: Obligation) -> Step[Life]:
    """Counted by kind; what goes to other receivers than Slack by where it goes, so that they hear how it ends."""
    incident = episode(life, record.incident)
    counted = record.destination if record.destination.startswith(FURTHER) else record.kind
    if incident is None or incident.told.get(counted, 0) >= record.ordinal:
        return Step(life)
    return Step(replace(put(life, replace(incident, told={**incident.told, counted: record.ordinal})), unsaid=True))


def expired(life: Life, record: Expired) -> Step[Life]:
    """Nobody was woken by its page, so nobody has to answer; should it need people again, that is a page of its own."""
    incident = episode(life, record.incident)
    if incident is None or incident.expired >= record.ordinal or incident.page is not None:
        return Step(life)
    incident = replace(incident, expired=max(record.ordinal, incident.told.get("page", 0)))
    life = put(life, incident)
    if incident.id != life.incident.id or incident.stage not in ("open", "acknowledged"):
        return Step(life, (incident,))
    return asking(replace(life, escalate_at=None), missing(incident), record.at)


def weighed(life: Life, record: Cleared) -> Step[Life]:
    """A group's answer: should another group change its mind, this one's is still known."""
    due = record.due
    if due.incident.id != life.incident.id or not {"page", "ticket"} & set(due.want):
        return Step(life)
    return Step(answered(life, due.grouping, record.held))


def cleared(life: Life, record: Cleared) -> Step[Life]:
    """The owner's answer: why people were not told, or that they were."""
    before = incident = episode(life, record.due.incident.id)
    if incident is None:
        return Step(life)
    want = set(record.due.want)
    if want & {"page", "ticket"}:
        incident = replace(incident, power=record.due.incident.power)
    if record.held and record.held.partition(":")[2] in incident.apart:
        record = replace(record, held=None)  # said before a person, or a circle, parted them
    if want & {"page", "ticket", *escalation.WAKING}:
        reasons = (record.held,) if record.held else ()
        held = tuple(sorted({*reasons, *(() if life.asked or want & escalation.WAKING else incident.held)}))
        incident = replace(incident, held=held, parent=incident.parent if incident.stage == "merged" else speaker(held))
        life, incident = escalation.reached(life, incident, record)
    if record.due.incident.changed and not incident.changed:
        incident = replace(incident, changed=record.due.incident.changed)
    said = (incident,) if life.unsaid or incident != before else ()
    current = incident.id == life.incident.id
    if said or life.asked:
        life = replace(put(life, incident), asked=False, unsaid=False)
    return Step(life, (*said, *(_further(life, record) if current else ())))


def _further(life: Life, record: Cleared) -> tuple[Sustained, ...]:
    """The one that speaks for it goes on as long as it does."""
    asked = record.held and {"page", "ticket"} & set(record.due.want)
    return quiet.sustaining(life.incident, record.due.at) if asked else ()


def _in_slack(record: Receipt) -> bool:
    """What goes elsewhere has its destination in its name."""
    return record.obligation.removeprefix(f"{record.incident}:page:").isdigit()
