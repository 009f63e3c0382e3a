"""One trouble's life: sighted, told, acknowledged, decided, and perhaps back again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from ..records import (
    SEVERITIES,
    Acknowledgement,
    Cleared,
    Done,
    Grouped,
    Incident,
    Obligation,
    Outcome,
    Receipt,
    Released,
    Sighted,
)
from ..step import Order, Step
from .life import OVER, PARENT, PAST_MAX, Life, alone, asking, dues, episode, held_under, missing, noted, put
from .recurrence import judge
from .routing import BookValues
from .sighting import REGRESSED, Tally, absorb, digest, opened

STILL_SEEN = timedelta(minutes=10)
DRY_RUN = "dry_run"
GROUPED = "grouped:"  # the reason held, with the parent's id


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
    )
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values = values

    def key(self, record: Any) -> str | None:
        if isinstance(record, Sighted):
            return record.finding.fingerprint
        if isinstance(record, Cleared):
            return record.due.incident.fingerprint if record.by == "owner" else None
        return record.incident.rpartition("#")[0] or None  # an umbrella belongs to no incident

    def step(self, memory: Life | None, record: Any) -> Step[Life]:
        return held_under(self.values.policy, self._step(memory, record))

    def _step(self, memory: Life | None, record: Any) -> Step[Life]:
        if isinstance(record, Sighted):
            return self._sighted(memory, record)
        if memory is None:
            return Step(None)
        if isinstance(record, Outcome):
            return _reopened(memory, record) if record.reopened else _decided(memory, record)
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
        return _cleared(memory, record) if isinstance(record, Cleared) else Step(memory)

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
        incident, tally = absorb(before, life.tally, finding)
        if judged == "muted" and DRY_RUN not in incident.held:
            incident = replace(incident, held=(str(incident.outcome),))
        step = _told(noted(replace(life, incident=incident, tally=tally), record, mark), record)
        if not _raised(before, incident) or finding.dry_run:
            return step
        # After the question for a page, whose answers replace the reasons held.
        return Step(step.remember, (*step.say, *alone(incident, "raised", record.at)))

    def _opened(self, life: Life | None, record: Sighted, mark: str) -> Step[Life]:
        before = life.incident if life else None
        fresh = opened(self.values, record, before.episode + 1 if before else 1)
        incident, tally = absorb(fresh, Tally(), record.finding)
        if life is None or before is None:
            return _told(noted(Life(incident, tally, record.at, (), ()), record, mark), record)
        title = f"{REGRESSED}{incident.title}" if before.outcome == "fixed" else incident.title
        incident = replace(incident, title=title, previous_ticket=before.ticket)
        past = (*life.past, replace(before, evidence=()))[-PAST_MAX:]
        new = Life(incident, tally, record.at, life.known, life.recent, since=life.horizon, past=past)
        return _told(noted(new, record, mark), record)


def _raised(before: Incident, after: Incident) -> bool:
    """A ticket that people have says less than is known now."""
    rose = SEVERITIES.index(after.severity) < SEVERITIES.index(before.severity)
    return rose and "ticket" in after.told and after.stage not in OVER


def _belated(life: Life) -> Step[Life]:
    """An event from before the last resolution, while the trouble is back: it was part of the episode then."""
    before = replace(life.past[-1], findings=life.past[-1].findings + 1)
    return Step(put(life, before), (before,))


def _told(life: Life, record: Sighted) -> Step[Life]:
    """Say the incident and, while people are owed news of it, that they are."""
    incident = life.incident
    if record.finding.dry_run and not incident.told and not incident.held:
        life = replace(life, incident=replace(incident, held=(DRY_RUN,)))
        return Step(life, (life.incident,))
    if incident.stage in OVER or record.finding.dry_run:
        return Step(life, (incident,))
    return asking(life, missing(incident), record.at)


def _decided(life: Life, record: Outcome) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is None:
        return Step(life)
    current, follows = incident.id == life.incident.id, record.source == PARENT
    last = life.decided_at if current else incident.resolved_at
    if last is not None and record.at <= last:
        return Step(life)  # the last decision wins, and an echo is not one
    if incident.stage == "merged" and record.outcome == "duplicate" and not follows:
        return Step(life)  # our own closing of the ticket, read back
    incident = replace(
        incident,
        stage="resolved",
        outcome=record.outcome,
        fixed_in=record.fixed_in,
        resolved_at=record.at,
        resolved_by=_who(record),
        held=() if incident.told else incident.held,
    )
    life = put(life, incident)
    if current:
        life = replace(life, horizon=max(record.at, incident.last_seen), decided_at=record.at)
        life = replace(life, followed=record.reason if follows else None)
    # What follows its parent owes nobody a word of its own; the groups still have to know.
    return Step(life, (incident, *dues(incident, ("settled",) if follows else ("settled", "outcome"), record.at)))


def _who(record: Outcome) -> str | None:
    if record.source in ("", PARENT):
        return record.actor or None
    return f"{record.actor} ({record.source})" if record.actor else record.source


def _reopened(life: Life, record: Outcome) -> Step[Life]:
    incident = life.incident
    stale = life.decided_at is not None and record.at <= life.decided_at
    follows = record.source == PARENT
    own = follows and record.reason != life.followed  # a person decided on this one, whatever becomes of the parent
    if stale or own or incident.id != record.incident or incident.stage not in OVER:
        return Step(life)  # an earlier episode stays closed: its trouble has an open incident of its own
    merged = follows and "ticket" in incident.told
    stage = "merged" if merged else "acknowledged" if incident.acknowledged_by else "open"
    held = (f"{GROUPED}{record.reason}",) if follows and not merged else ()
    incident = replace(
        incident,
        stage=stage,
        outcome=None,
        fixed_in=None,
        resolved_at=None,
        resolved_by=None,
        parent=record.reason if follows else None,
        held=(DRY_RUN,) if DRY_RUN in incident.held else held,
    )
    owed = missing(incident) if not incident.held and not merged else ()
    life = replace(life, incident=incident, horizon=None, decided_at=record.at, asked=bool(owed))
    asks = dues(incident, owed, record.at) if owed else ()
    return Step(life, (incident, *dues(incident, ("unsettled", "update"), record.at), *asks))


def _acknowledged(life: Life, record: Acknowledgement) -> Step[Life]:
    incident = life.incident
    if incident.id != record.incident or incident.stage != "open":
        return Step(life)
    incident = replace(incident, stage="acknowledged", acknowledged_by=record.actor)
    return Step(replace(life, incident=incident), (incident, *alone(incident, "update", record.at)))


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
    if incident.id != record.incident or incident.stage in OVER or record.parent in (incident.id, incident.parent):
        return Step(life)
    incident = replace(incident, parent=record.parent)
    if "ticket" not in incident.told:
        incident = replace(incident, held=(f"{GROUPED}{record.parent}",))
        return Step(replace(life, incident=incident), (incident,))
    incident = replace(incident, stage="merged")
    # A ticket is closed once; should the parent change afterwards, the page says so.
    want = "update" if "transition" in incident.told else "duplicate"
    asks = tuple(replace(due, explained=record.title) for due in alone(incident, want, record.at))
    return Step(replace(life, incident=incident), (incident, *asks))


def _released(life: Life, record: Released) -> Step[Life]:
    incident = life.incident
    lately = record.at - life.heard_at <= STILL_SEEN
    if incident.id != record.incident or incident.stage in OVER or not incident.held or not lately:
        return Step(life)
    return Step(life if life.asked else replace(life, asked=True), dues(incident, missing(incident), record.at))


def _owed(life: Life, record: Obligation) -> Step[Life]:
    incident = episode(life, record.incident)
    if incident is None or incident.told.get(record.kind, 0) >= record.ordinal:
        return Step(life)
    return Step(replace(put(life, replace(incident, told={**incident.told, record.kind: record.ordinal})), unsaid=True))


def _cleared(life: Life, record: Cleared) -> Step[Life]:
    """The owner's answer: why people were not told, or that they were."""
    before = incident = episode(life, record.due.incident.id)
    if incident is None:
        return Step(life)
    if {"page", "ticket"} & set(record.due.want):
        reasons = (record.held,) if record.held else ()
        held = tuple(sorted({*reasons, *(() if life.asked else incident.held)}))
        parent = next((one.removeprefix(GROUPED) for one in held if one.startswith(GROUPED)), None)
        incident = replace(incident, held=held, parent=incident.parent if incident.stage == "merged" else parent)
    said = (incident,) if life.unsaid or incident != before else ()
    if not said and not life.asked:
        return Step(life)
    return Step(replace(put(life, incident), asked=False, unsaid=False), said)
