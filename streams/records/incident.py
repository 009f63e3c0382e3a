"""The incident book's nouns: incidents, what people are owed, what was answered, what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from .stream import About, Excerpt, Finding, Severity

Stage = Literal["open", "acknowledged", "mitigated", "resolved", "closed", "merged"]
OutcomeValue = Literal[
    "fixed",
    "false_positive",
    "accepted_risk",
    "wont_fix",
    "external_cause",
    "duplicate",
    "cannot_reproduce",
    "unspecified",
]
ObligationKind = Literal["page", "ticket", "comment", "evidence", "transition", "control"]
Why = Literal["grouped", "explained"]  # what an incident is to its parent: one of many, or its consequence


class Sighted(Struct, frozen=True, tag="sighted", tag_field="record"):
    """A finding as the book reads it: `at` is the wall clock, recorded with the input."""

    finding: Finding
    at: datetime


class Outcome(Struct, frozen=True, tag="outcome", tag_field="record", omit_defaults=True):
    """What a person decided about an incident. The last one wins; history stays."""

    incident: str
    outcome: OutcomeValue
    at: datetime
    actor: str = ""
    source: str = ""  # jira, slack, web, command
    fixed_in: str | None = None
    reason: str | None = None
    reopened: bool = False  # the person took the decision back


class Acknowledgement(Struct, frozen=True, tag="acknowledgement", tag_field="record"):
    incident: str
    at: datetime
    actor: str


class Silence(Struct, frozen=True, tag="silence", tag_field="record", omit_defaults=True):
    """Hides matching incidents from people, never from gates. Matchers are exact values, all must match."""

    id: str
    matchers: dict[str, str]
    reason: str
    actor: str
    at: datetime
    until: datetime


class Incident(Struct, frozen=True, tag="incident", tag_field="record", omit_defaults=True):
    """One trouble's life: the full state, said whenever it changed."""

    id: str  # fingerprint + episode
    fingerprint: str
    episode: int
    detector: str
    title: str
    subject: dict[str, str]
    severity: Severity
    stage: Stage
    owner: str
    about: About
    first_seen: datetime  # event time
    last_seen: datetime  # event time
    opened_at: datetime  # wall clock, recorded with the input
    count: int
    findings: int
    sessions: tuple[str, ...] = ()  # the first 20
    releases: tuple[str, ...] = ()
    evidence: tuple[Excerpt, ...] = ()
    observed: str | None = None
    expected: str | None = None
    hint: str | None = None
    dependency: str | None = None
    held: tuple[str, ...] = ()  # reasons why people were not told
    parent: str | None = None
    ticket: str | None = None
    ticket_url: str | None = None
    page: str | None = None
    outcome: OutcomeValue | None = None
    fixed_in: str | None = None
    resolved_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_by: str | None = None
    previous_ticket: str | None = None  # of the episode before this one
    told: dict[str, int] = {}  # how many obligations of each kind people are owed for it so far
    policy: str = ""  # digest, of the last finding
    held_policy: str = ""  # digest of the policy that held it back, while something does
    agents: tuple[str, ...] = ()  # whom it concerns, where it is about what they share: 20 of them


class Due(Struct, frozen=True, tag="due", tag_field="record"):
    """People should hear of this. One per grouping key of the incident; `of` says how many there are."""

    incident: Incident
    want: tuple[str, ...]  # page, ticket, duplicate, acknowledged, update, raised, seen, settled, unsettled, outcome
    grouping: str
    of: int
    at: datetime  # wall clock of the input
    explained: str = ""  # title of the incident's parent, where it is known
    began: datetime | None = None  # event time of the first of its evidence, until people were told


class Cleared(Struct, frozen=True, tag="cleared", tag_field="record", omit_defaults=True):
    """The answer of `by` to a Due: pass, or held with the reason."""

    due: Due
    by: Literal["group", "silence", "owner"]
    held: str | None = None


class Grouped(Struct, frozen=True, tag="grouped", tag_field="record"):
    """`parent` speaks for `incident`."""

    incident: str
    parent: str
    at: datetime
    title: str = ""  # the parent's, where it is known
    why: Why = "grouped"
    grouping: str = ""  # the group that says so


class Released(Struct, frozen=True, tag="released", tag_field="record"):
    """What held `incident` has ended: if it is still open and was seen lately, it asks again."""

    incident: str
    by: Literal["group", "silence", "owner"]
    at: datetime  # wall clock
    grouping: str = ""  # the group, where it is one


class Obligation(Struct, frozen=True, tag="obligation", tag_field="record", omit_defaults=True):
    """What people are owed. Its receiver gets the references of the obligations named in `after`."""

    id: str  # incident + kind + ordinal
    incident: str
    kind: ObligationKind
    ordinal: int
    destination: str  # slack:<channel>, jira:<project>
    body: dict[str, Any]
    after: tuple[str, ...] = ()
    at: datetime | None = None


class Done(Struct, frozen=True, tag="done", tag_field="answer", omit_defaults=True):
    reference: str
    url: str | None = None


class NotDone(Struct, frozen=True, tag="not_done", tag_field="answer", omit_defaults=True):
    """Certainly nothing happened. `after_s`: not before that many seconds."""

    why: str
    after_s: float | None = None


class Refused(Struct, frozen=True, tag="refused", tag_field="answer"):
    """Permanent: a person has to change something."""

    why: str


class Unknown(Struct, frozen=True, tag="unknown", tag_field="answer"):
    """It may have happened. Ask, never repeat blindly."""

    why: str


Answer = Done | NotDone | Refused | Unknown


class Receipt(Struct, frozen=True, tag="receipt", tag_field="record"):
    """An obligation's answer, told to the book."""

    obligation: str
    incident: str
    kind: ObligationKind
    answer: Answer
    at: datetime
