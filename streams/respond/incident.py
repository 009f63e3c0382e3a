"""One trouble's life: sighted, told, acknowledged, decided, and perhaps back again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..records import (
    Acknowledgement,
    Assignment,
    Cleared,
    Expired,
    Grouped,
    Incident,
    Merge,
    Notice,
    Obligation,
    Outcome,
    Passed,
    Previous,
    Receipt,
    Released,
    Sighted,
    Speaks,
    Split,
    SpokenFor,
    Sustained,
    Tick,
    Under,
    Worsened,
)
from ..step import Order, Step
from . import apart, escalation, listening, quiet
from .cleaning import clean
from .deciding import DRY_RUN, decided, reopened
from .explaining import CAUSED, Explaining
from .life import (
    OVER,
    PAST_MAX,
    Life,
    alone,
    asking,
    held_under,
    missing,
    noted,
    notices,
    put,
    shared,
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
        Speaks,
        SpokenFor,
        Under,
        Worsened,
        Expired,
        Sustained,
        Notice,
    )
    order: Order = "near"

    def __init__(self, values: BookValues, explaining: Explaining) -> None:
        self.values, self.explaining = values, explaining

    def key(self, record: Any) -> str | None:
        if isinstance(record, Sighted):
            return record.finding.fingerprint
        if isinstance(record, Cleared):
            heard = record.by in ("group", "owner") or (record.by == "power" and record.held)
            return record.due.incident.fingerprint if heard else None
        return record.incident.rpartition("#")[0] or None  # an umbrella belongs to no incident

    def step(self, memory: Life | None, record: Any) -> Step[Life]:
        step = escalation.timed(self.values, memory, self._step(memory, record), record)
        step = apart.followed(memory, step, record)
        step = quiet.watching(self.values, held_under(self.values.policy, step))
        return Step(step.remember, step.say, wake(step.remember))

    def _step(self, memory: Life | None, record: Any) -> Step[Life]:
        if isinstance(record, Sighted):
            return self._sighted(memory, replace(record, finding=clean(record.finding)))
        if memory is None:
            return apart.nobody(record)
        if isinstance(record, Outcome):
            return reopened(memory, record) if record.reopened else decided(memory, record)
        if isinstance(record, Acknowledgement):
            return listening.acknowledged(memory, record)
        if isinstance(record, Receipt):
            return listening.receipted(memory, record)
        if isinstance(record, Grouped):
            return listening.grouped(memory, record)
        if isinstance(record, Released):
            return listening.released(memory, record)
        if isinstance(record, Obligation):
            return listening.owed(memory, record)
        if isinstance(record, Cleared):
            return listening.weighed(memory, record) if record.by == "group" else listening.cleared(memory, record)
        return self._decreed(memory, record)

    def _decreed(self, life: Life, record: Any) -> Step[Life]:
        """What people and clocks say to it."""
        if isinstance(record, Assignment):
            return escalation.assigned(life, record)
        if isinstance(record, Split):
            return apart.split(life, record)
        if isinstance(record, Merge):
            return apart.merged(life, record)
        if isinstance(record, Speaks):
            return apart.speaks(life, record)
        if isinstance(record, Under):
            return apart.under(life, record)
        if isinstance(record, SpokenFor):
            return apart.spoken_for(life, record)
        if isinstance(record, Worsened):
            return apart.worsened(life, record)
        if isinstance(record, Expired):
            return listening.expired(life, record)
        if isinstance(record, Notice):
            return listening.remarked(life, record)
        if isinstance(record, Sustained):
            return quiet.sustained(life, record)
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
            judged = judge(life, life.horizon or incident.last_seen, finding)
            if judged == "again":
                return self._opened(life, record, mark)
        before = incident
        incident, tally = absorb(before, life.tally, finding, self.values.upgrades)
        if judged == "muted" and DRY_RUN not in incident.held:
            incident = replace(incident, held=(str(incident.outcome),))
        incident = quiet.returned(before, incident, finding.at)
        life = noted(replace(life, incident=incident, tally=tally), record, mark)
        silent = finding.dry_run or incident.stage in (*OVER, "merged")
        step = self._told(life, record, before, () if silent else quiet.news(before, incident))
        if incident.stage != "merged":
            return step
        step = apart.rose(step, before, incident, record.at)
        longer = incident.last_seen > before.last_seen and not finding.dry_run
        return Step(step.remember, (*step.say, *quiet.sustaining(incident, record.at))) if longer else step

    def _opened(self, life: Life | None, record: Sighted, mark: str) -> Step[Life]:
        before = life.incident if life else None
        fresh = opened(self.values, record, before.episode + 1 if before else 1)
        incident, tally = absorb(fresh, Tally(), record.finding, self.values.upgrades)
        if life is None or before is None:
            return self._told(noted(Life(incident, tally, record.at, (), ()), record, mark), record, incident)
        title = f"{REGRESSED}{incident.title}" if before.outcome == "fixed" else incident.title
        incident = replace(incident, title=title, previous_ticket=before.ticket, previous=_previous(life, before))
        incident = replace(incident, apart=before.apart)
        past = (*life.past, replace(before, evidence=()))[-PAST_MAX:]
        kept = tuple(key for key in life.shared if not key.startswith(CAUSED))  # where the one before is known
        new = Life(incident, tally, record.at, life.known, life.recent, since=life.horizon, past=past, shared=kept)
        return self._told(noted(new, record, mark), record, incident)

    def _told(self, life: Life, record: Sighted, before: Incident, news: tuple[str, ...] = ()) -> Step[Life]:
        """Say the incident and, while people are owed news of it, that they are."""
        incident = life.incident
        if record.finding.dry_run and not incident.told and not incident.held:
            life = replace(life, incident=replace(incident, held=(DRY_RUN,)))
            return Step(life, (life.incident,))
        if incident.stage in (*OVER, "mitigated") or record.finding.dry_run:
            return Step(life, (incident, *(alone(incident, news, record.at) if news else ())))
        life, fresh = shared(life, self.explaining.keys(incident))
        want = missing(incident)
        if want:
            step = asking(life, want, record.at)  # its answers replace the reasons held
            return Step(step.remember, (*step.say, *escalation.again(life, record.at, news)))
        longer = _minute(incident.last_seen) > _minute(before.last_seen)
        goes_on = longer and self.explaining.bigger(incident.detector)  # it explains others for as long as it is seen
        known = {key for key in life.shared if key in fresh or (goes_on and not key.startswith(CAUSED))}
        seen = (one for one in notices(life, incident, ("seen",), record.at) if one.grouping in known)
        # Before the groups hear of it: what they answer may make it a part of another one.
        return Step(life, (incident, *escalation.again(life, record.at, news), *seen))


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
