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
ObligationKind = Literal["page", "note", "ticket", "comment", "evidence", "link", "transition", "control"]
Why = Literal["grouped", "explained"]  # what an incident is to its parent: one of many, or its consequence


class Sighted(Struct, frozen=True, tag="sighted", tag_field="record"):
    """A finding as the book reads it: `at` is the wall clock, recorded with the input."""

    finding: Finding
    at: datetime


class Change(Struct, frozen=True, array_like=True):
    """What changed just before a trouble began."""

    at: datetime  # event time
    what: str  # release, prompt, model, tools, policy
    to: str
    was: str = ""


class Previous(Struct, frozen=True, omit_defaults=True):
    """The last incident with this fingerprint, and how it ended."""

    incident: str
    outcome: OutcomeValue | None = None
    at: datetime | None = None  # when it was decided
    ticket: str | None = None
    by: str | None = None
    reason: str | None = None


class Decision(Struct, frozen=True, omit_defaults=True):
    """What a person said along with the outcome, and how often it had been seen by then."""

    at: datetime
    actor: str = ""
    why: str = ""  # of a false positive
    cause: str = ""  # of what was fixed
    expires_at: datetime | None = None  # of an accepted risk
    review_at: datetime | None = None  # of what will not be fixed
    provider: str = ""
    duplicate_of: str = ""
    inferred: bool = False
    bulk: bool = False
    pressed: bool = False
    count: int = 0


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
    assigned_to: str | None = None
    level: int = 0  # of escalation: how many levels beyond the owner were told
    quiet_since: datetime | None = None  # event time from which on it was not seen, while it is mitigated
    mitigated_at: datetime | None = None  # wall clock: since when closing is proposed
    rose: str = ""  # why it is more severe than its detector said
    changed: tuple[Change, ...] = ()  # just before it began
    previous: Previous | None = None
    apart: tuple[str, ...] = ()  # incidents that a person split it from
    version: int = 0  # of the detector, at the last finding
    judges: tuple[str, ...] = ()  # evaluators of agents whose word it is, by id: 20 of them
    power: str = ""  # what those who say it may cause: shadow, ticket, page; empty: everything
    expired: int = 0  # its pages up to this ordinal were never sent: it was over before
    decision: Decision | None = None  # what came with the outcome


class Expired(Struct, frozen=True, tag="expired", tag_field="record", omit_defaults=True):
    """The incident's pages up to `ordinal` were not sent: it was over, or silenced, before anybody could be woken."""

    incident: str
    ordinal: int
    at: datetime


class Worsened(Struct, frozen=True, tag="worsened", tag_field="record"):
    """An incident that `incident` speaks for is more severe than it was."""

    incident: str
    title: str  # the other one's
    severity: Severity
    at: datetime


class Sustained(Struct, frozen=True, tag="sustained", tag_field="record", omit_defaults=True):
    """Something that `incident` speaks for was seen."""

    incident: str
    until: datetime  # event time
    at: datetime  # wall clock
    title: str  # the other one's
    severity: Severity = "low"  # the other one's, where nobody was paged for it
    hops: int = 0


class Advanced(Struct, frozen=True, tag="advanced", tag_field="record", omit_defaults=True):
    """Event time of one agent in one environment, from its closed minutes; the agent `` is all of them together."""

    agent: str
    at: datetime  # event time
    releases: dict[str, datetime] = {}  # seen in these minutes -> the first of them
    config: dict[str, str] = {}  # prompt, model, tools -> what the newest session ran with
    environment: str = ""
    seen: datetime | None = None  # wall clock of the input


class Watched(Struct, frozen=True, tag="watched", tag_field="record", omit_defaults=True):
    """The incident wants to hear when the agent's event time has passed `until`. None: no longer."""

    incident: str
    agent: str
    until: datetime | None
    environment: str = ""


class Passed(Struct, frozen=True, tag="passed", tag_field="record"):
    """The agent has worked on until then."""

    incident: str
    at: datetime  # event time
    seen: datetime  # wall clock of the input


class Due(Struct, frozen=True, tag="due", tag_field="record"):
    """People should hear of this. One per grouping key of the incident; `of` says how many there are."""

    incident: Incident
    # page, ticket, duplicate, update, raised, worse, escalate, recovered, back, closing, seen, settled, unsettled, outcome
    want: tuple[str, ...]
    grouping: str
    of: int
    at: datetime  # wall clock of the input
    explained: str = ""  # title of the incident's parent, where it is known
    began: datetime | None = None  # event time of the first of its evidence, until people were told
    remark: tuple[str, ...] = ()  # what learn has to say: a headline and lines


class Cleared(Struct, frozen=True, tag="cleared", tag_field="record", omit_defaults=True):
    """The answer of `by` to a Due: pass, or held with the reason."""

    due: Due
    by: Literal["power", "group", "silence", "clock", "owner"]
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
    destination: str  # slack:<channel>, jira:<project>, pagerduty:<service>, webhook:<name>
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


class Receipt(Struct, frozen=True, tag="receipt", tag_field="record", omit_defaults=True):
    """An obligation's answer, told to the book."""

    obligation: str
    incident: str
    kind: ObligationKind
    answer: Answer
    at: datetime
    was: str | None = None  # a ticket's reference until now: a person has moved it (Done) or deleted it (Refused)
