"""One trouble's life: sighted, told, acknowledged, decided, and perhaps back again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..records import (
    Acknowledgement,
    Assignment,
    Cleared,
    Done,
    Grouped,
    Incident,
    Merge,
    Obligation,
    Outcome,
    Passed,
    Previous,
    Receipt,
    Released,
    Sighted,
    Split,
    Tick,
)
from ..step import Order, Step
from . import apart, escalation, quiet
from .deciding import DRY_RUN, decided, reopened
from .explaining import CAUSED, Explaining
from .life import (
    OVER,
    PAST_MAX,
    Life,
    alone,
    answered,
    asking,
    awake,
    episode,
    held,
    held_under,
    let_go,
    missing,
    noted,
    notices,
    put,
    shared,
    speaker,
    wake,
)
from .recurrence import judge
from .routing import BookValues
from .sighting import REGRESSED, Tally, absorb, digest, opened


class IncidentLife:
    """Keyed by fingerprint; at most one open incident for each.

    As long as people have not been told, every sighting asks again: a hold that ended needs nobody to remember it.
    """

    name, version, memory = "incident", 1, Life
    reads: tuple[type, ...] = (
        Sighted,
        Outcome,
        Acknowledgement,
        Receipt,
        Grouped,
        Released,
        Obligation,
        Cleared,
        Assignment,
        Split,
        Merge,
        Passed,
    )
    order: Order = "near"

    def __init__(self, values: BookValues, explaining: Explaining) -> None:
        self.values, self.explaining = values, explaining

    def key(self, record: Any) -> str | None:
        if isinstance(record, Sighted):
            return record.finding.fingerprint
        if isinstance(record, Cleared):
            return record.due.incident.fingerprint if record.by in ("group", "owner") else None
        return record.incident.rpartition("#")[0] or None  # an umbrella belongs to no incident

    def step(self, memory: Life | None, record: Any) -> Step[Life]:
        step = quiet.watching(self.values, held_under(self.values.policy, self._step(memory, record)))
        return Step(step.remember, step.say, wake(step.remember))

    def _step(self, memory: Life | None, record: Any) -> Step[Life]:
        if isinstance(record, Sighted):
            return self._sighted(memory, record)
        if memory is None:
            return Step(None)
        if isinstance(record, Outcome):
            return reopened(memory, record) if record.reopened else decided(memory, record)
        if isinstance(record, Acknowledgement):
            return _acknowledged(memory, record)
        if isinstance(record, Receipt):
            return _answered(memory, record)
        if isinstance(record, Grouped):
            return _grouped(memory, record)
        if isinstance(record, Released):
            return _released(memory, record)
        if isinstance(record, Obligation):
            return _owed(memory, record)
        if isinstance(record, Cleared):
            return _weighed(memory, record) if record.by == "group" else _cleared(memory, record)
        return self._decreed(memory, record)

    def _decreed(self, life: Life, record: Any) -> Step[Life]:
        """What people and clocks say to it."""
        if isinstance(record, Assignment):
            return escalation.assigned(life, record)
        if isinstance(record, Split):
            return apart.split(life, record)
        if isinstance(record, Merge):
            return apart.merged(life, record)
        if isinstance(record, Passed):
            return quiet.passed(self.values, life, record)
        if isinstance(record, Tick):
            step = quiet.due(self.values, life, record.at) or Step(life)
            return step if step.say else escalation.due(self.values, life, record.at) or Step(life)
        return Step(life)

    def _sighted(self, life: Life | None, record: Sighted) -> Step[Life]:
        finding = record.finding
        mark = digest(finding.id)
        if life is None:
            return self._opened(None, record, mark)
        if finding.id and mark in life.recent:
            return Step(life)
        if life.since is not None and finding.at <= life.since:
            return _belated(noted(life, record, mark))
        incident = life.incident
        judged = "late"
        if incident.stage in OVER:
            judged = judge(incident, life.horizon or incident.last_seen, life.known, finding)
            if judged == "again":
                return self._opened(life, record, mark)
        before = incident
        incident, tally = absorb(before, life.tally, finding, self.values.upgrades)
        if judged == "muted" and DRY_RUN not in incident.held:
            incident = replace(incident, held=(str(incident.outcome),))
        incident = quiet.returned(before, incident, finding)
        life = replace(life, incident=incident, tally=tally)
        step = self._told(noted(life, record, mark), record, before)
        news = quiet.news(before, incident)
        if not news or incident.stage in OVER or finding.dry_run:
            return step
        # After the question for a page, whose answers replace the reasons held.
        return Step(step.remember, (*step.say, *alone(incident, news, record.at)))

    def _opened(self, life: Life | None, record: Sighted, mark: str) -> Step[Life]:
        before = life.incident if life else None
        fresh = opened(self.values, record, before.episode + 1 if before else 1)
        incident, tally = absorb(fresh, Tally(), record.finding, self.values.upgrades)
        if life is None or before is None:
            return self._told(noted(Life(incident, tally, record.at, (), ()), record, mark), record, incident)
        title = f"{REGRESSED}{incident.title}" if before.outcome == "fixed" else incident.title
        incident = replace(incident, title=title, previous_ticket=before.ticket, previous=_previous(life, before))
        past = (*life.past, replace(before, evidence=()))[-PAST_MAX:]
        kept = tuple(key for key in life.shared if not key.startswith(CAUSED))  # where the one before is known
        new = Life(incident, tally, record.at, life.known, life.recent, since=life.horizon, past=past, shared=kept)
        return self._told(noted(new, record, mark), record, incident)

    def _told(self, life: Life, record: Sighted, before: Incident) -> Step[Life]:
        """Say the incident and, while people are owed news of it, that they are."""
        incident = life.incident
        if record.finding.dry_run and not incident.told and not incident.held:
            life = replace(life, incident=replace(incident, held=(DRY_RUN,)))
            return Step(life, (life.incident,))
        if incident.stage in (*OVER, "mitigated") or record.finding.dry_run:
            return Step(life, (incident,))
        life, fresh = shared(life, self.explaining.keys(incident))
        want = missing(incident)
        if want:
            return asking(life, want, record.at)
        longer = _minute(incident.last_seen) > _minute(before.last_seen)
        goes_on = longer and self.explaining.bigger(incident.detector)  # it explains others for as long as it is seen
        news = {key for key in life.shared if key in fresh or (goes_on and not key.startswith(CAUSED))}
        seen = notices(life, incident, ("seen",), record.at)
        return Step(life, (incident, *(one for one in seen if one.grouping in news)))


def _previous(life: Life, before: Incident) -> Previous:
    """How it ended the last time."""
    at, who, ticket = before.resolved_at, before.resolved_by, before.ticket
    return Previous(before.id, before.outcome, at, ticket, who, life.because)


def _belated(life: Life) -> Step[Life]:
    """An event from before the last resolution, while the trouble is back: it was part of the episode then."""
    before = replace(life.past[-1], findings=life.past[-1].findings + 1)
    return Step(put(life, before), (before,))


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)


def _acknowledged(life: Life, record: Acknowledgement) -> Step[Life]:
    incident = life.incident
    late = incident.stage not in ("open", "mitigated") or incident.acknowledged_by is not None
    if incident.id != record.incident or late:
        return Step(life)
    stage = incident.stage if incident.stage == "mitigated" else "acknowledged"
    incident = replace(incident, stage=stage, acknowledged_by=record.actor)
    return Step(replace(life, incident=incident), (incident, *alone(incident, ("update",), record.at)))


def _answered(life: Life, record: Receipt) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is None or not isinstance(record.answer, Done):
        return Step(life)
    answer = record.answer
    if record.kind == "ticket" and incident.ticket is None:
        incident = replace(incident, ticket=answer.reference, ticket_url=answer.url)
    elif record.kind == "page" and incident.page is None:
        incident = replace(incident, page=answer.reference)
    else:
        return Step(life)  # the first recorded reference wins
    return Step(put(life, incident), (incident,))


def _grouped(life: Life, record: Grouped) -> Step[Life]:
    incident = life.incident
    if incident.id != record.incident or incident.stage in OVER or record.parent == incident.id:
        return Step(life)
    life = answered(life, record.grouping, f"{record.why}:{record.parent}")
    if "ticket" not in incident.told:
        return held(life)
    parent = speaker(life.spoken_for.values())
    if parent == incident.parent:
        return Step(life)
    incident = replace(awake(incident), stage="merged", parent=parent)
    # A ticket is closed once; should the parent change afterwards, the page says so.
    want = "update" if "transition" in incident.told else "duplicate"
    title = record.title if parent == record.parent else ""
    asks = tuple(replace(due, explained=title) for due in alone(incident, (want,), record.at))
    return Step(replace(life, incident=incident), (incident, *asks))


def _released(life: Life, record: Released) -> Step[Life]:
    incident = life.incident
    if incident.id != record.incident or incident.stage in OVER or not incident.held:
        return Step(life)
    life = answered(life, record.grouping, None)
    return let_go(life, record.at, anyway=record.by != "group")


def _owed(life: Life, record: Obligation) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is None or incident.told.get(record.kind, 0) >= record.ordinal:
        return Step(life)
    return Step(replace(put(life, replace(incident, told={**incident.told, record.kind: record.ordinal})), unsaid=True))


def _weighed(life: Life, record: Cleared) -> Step[Life]:
    """A group's answer: should another group change its mind, this one's is still known."""
    due = record.due
    if due.incident.id != life.incident.id or not {"page", "ticket"} & set(due.want):
        return Step(life)
    return Step(answered(life, due.grouping, record.held))


def _cleared(life: Life, record: Cleared) -> Step[Life]:
    """The owner's answer: why people were not told, or that they were."""
    before = incident = episode(life, record.due.incident.id)
    if incident is None:
        return Step(life)
    if {"page", "ticket"} & set(record.due.want):
        reasons = (record.held,) if record.held else ()
        held = tuple(sorted({*reasons, *(() if life.asked else incident.held)}))
        incident = replace(incident, held=held, parent=incident.parent if incident.stage == "merged" else speaker(held))
    if record.due.incident.changed and not incident.changed:
        incident = replace(incident, changed=record.due.incident.changed)
    said = (incident,) if life.unsaid or incident != before else ()
    if not said and not life.asked:
        return Step(life)
    return Step(replace(put(life, incident), asked=False, unsaid=False), said)
