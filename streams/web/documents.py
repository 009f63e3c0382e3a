"""The API's bodies. What is stored as a record is shown as that record."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from ..records import MATCHERS, Excerpt, Incident, Outcome, PolicyChanged, SilenceKind

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
Line = Annotated[str, Meta(min_length=1, max_length=256, pattern=PRINTABLE)]
Words = Annotated[str, Meta(max_length=2000)]
Reason = Annotated[str, Meta(min_length=1, max_length=2000)]
Aware = Annotated[datetime, Meta(tz=True)]
Matchers = Annotated[dict[Line, Line], Meta(min_length=1, max_length=len(MATCHERS))]
Said = Literal["web", "command", "ci"]  # where it was said


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457: what went wrong, in words."""

    title: str
    status: int
    detail: str = ""
    errors: tuple[str, ...] = ()


class IncidentSummary(Struct, frozen=True, omit_defaults=True):
    id: str
    title: str
    severity: str
    stage: str
    owner: str
    agent: str
    environment: str
    opened_at: datetime
    first_seen: datetime
    last_seen: datetime
    count: int
    releases: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    parent: str | None = None
    ticket: str | None = None
    ticket_url: str | None = None
    ticket_state: str | None = None  # of the obligation: owed, attempting, done, refused, expired
    page_state: str | None = None
    outcome: str | None = None
    acknowledged_by: str | None = None


class Incidents(Struct, frozen=True):
    incidents: tuple[IncidentSummary, ...]
    next: str | None  # give it as `after` to get the following ones


class AttemptView(Struct, frozen=True, omit_defaults=True):
    attempt: int
    step: str  # call, ask, confirm, audit
    started: datetime
    answered: datetime | None = None
    answer: str | None = None
    why: str | None = None


class ObligationView(Struct, frozen=True, omit_defaults=True):
    id: str
    kind: str
    destination: str
    state: str
    created_at: datetime
    not_before: datetime | None = None
    settled_at: datetime | None = None
    reference: str | None = None
    url: str | None = None
    why: str | None = None
    attempts: tuple[AttemptView, ...] = ()


class OutcomeView(Struct, frozen=True, omit_defaults=True):
    outcome: str
    at: datetime
    actor: str
    source: str
    fixed_in: str | None = None
    reason: str | None = None
    reopened: bool = False
    said: Outcome | None = None  # whole
    confirmed_by: str | None = None

    @property
    def waits(self) -> str:
        """What it waits for before it counts for evaluators: bulk, pressed; empty: nothing."""
        if self.said is None or self.confirmed_by or self.reopened:
            return ""
        return "pressed" if self.said.pressed else "bulk" if self.said.bulk else ""


class GateEffect(Struct, frozen=True):
    """What one gate says about one release because of an incident."""

    gate: str
    release: str
    environment: str
    state: str
    code: str


class IncidentDetail(Struct, frozen=True):
    incident: Incident
    obligations: tuple[ObligationView, ...]
    outcomes: tuple[OutcomeView, ...]
    gates: tuple[GateEffect, ...] = ()

    @property
    def evidence(self) -> tuple[Excerpt, ...]:
        return self.incident.evidence


class AcknowledgementGiven(Struct, frozen=True, forbid_unknown_fields=True):
    actor: Line
    source: Said = "web"


class AssignmentGiven(Struct, frozen=True, forbid_unknown_fields=True):
    to: Line
    actor: Line
    source: Said = "web"


class SplitGiven(Struct, frozen=True, forbid_unknown_fields=True):
    actor: Line
    reason: Words = ""
    source: Said = "web"


class MergeGiven(Struct, frozen=True, forbid_unknown_fields=True):
    parent: Line
    actor: Line
    reason: Words = ""
    source: Said = "web"


class SilenceGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """Matchers are values or globs; all must match. Either `until` or `for_s`; maintenance and rollout need a scope."""

    matchers: Matchers
    reason: Reason
    actor: Line
    until: Aware | None = None
    for_s: Annotated[float, Meta(gt=0, le=90 * 86_400)] | None = None
    kind: SilenceKind = "silence"
    source: Said = "web"


class SilenceEnd(Struct, frozen=True, forbid_unknown_fields=True):
    actor: Line


class SilenceTaken(Struct, frozen=True):
    """It is written down; the book reads it within a second."""

    accepted: bool
    id: str
    until: datetime
    hides: int  # open incidents that it matches now
    critical: tuple[str, ...]  # the critical ones among them, ten at most
    warning: str | None  # what people should think about before they rely on it


class SilenceView(Struct, frozen=True):
    id: str
    kind: str
    matchers: dict[str, str]
    reason: str
    actor: str
    source: str
    at: datetime
    until: datetime
    ended_at: datetime | None
    active: bool
    hides: int  # open incidents whose page or ticket it holds back now


class Silences(Struct, frozen=True):
    """Those that are active first, then the newest."""

    silences: tuple[SilenceView, ...]


class Accepted(Struct, frozen=True):
    """It is written down; the book reads it within a second."""

    accepted: bool
    id: str


class PolicyChanges(Struct, frozen=True):
    """The newest first."""

    changes: tuple[PolicyChanged, ...]


class PolicyDocument(Struct, frozen=True):
    """All that a policy said, defaults filled in."""

    digest: str
    at: datetime  # when it was first in force
    content: dict[str, Any]


class Sink(Struct, frozen=True):
    name: str
    configured: bool
    owed: int
    oldest_owed_s: float | None
    unknown: int  # attempts that nobody has answered for yet
    refused: int


class HealthDocument(Struct, frozen=True):
    status: str  # ok, degraded
    problems: tuple[str, ...]
    event_time_watermark: datetime | None
    lag_s: float | None
    findings_waiting: int | None
    inbox_waiting: int
    publish_waiting: int
    dead_letters: int | None
    open_incidents: int
    sinks: tuple[Sink, ...]
    tickets_away: bool
    learn_seen_at: datetime | None
    gate_inputs_age_s: float | None
    positions: dict[str, int] = field(default_factory=dict)
