"""What a delivery pipeline asks and is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from .power import Power

GateState = Literal["allow", "warn", "hold", "block"]
SCORES: dict[GateState, int] = {"allow": 100, "warn": 90, "hold": 50, "block": 0}


class Reason(Struct, frozen=True, omit_defaults=True):
    code: str
    effect: GateState
    rule: str
    detail: dict[str, Any] = {}


class Freshness(Struct, frozen=True):
    event_time_watermark: datetime | None
    lag_s: float | None
    stale: bool


class PolicyDigest(Struct, frozen=True):
    name: str
    version: str


class GateLinks(Struct, frozen=True):
    self: str
    evidence: str
    tickets: tuple[str, ...] = ()


class GateDecision(Struct, frozen=True, tag="decision", tag_field="record", kw_only=True):
    """The one document for every delivery tool; see README "The gate". Immutable once recorded."""

    schema: Literal["gate.decision/v1"] = "gate.decision/v1"
    decision_id: str
    gate: str
    agent: str
    environment: str
    release: str
    baseline: str | None
    state: GateState
    allow: bool
    block: bool
    score: int
    progress: str
    summary: str
    reasons: tuple[Reason, ...]
    overrides: tuple[dict[str, Any], ...] = ()
    as_of: datetime
    valid_until: datetime
    retry_after_s: int
    freshness: Freshness
    policy: PolicyDigest
    inputs_digest: str
    links: GateLinks


class GateQuestion(Struct, frozen=True, omit_defaults=True):
    agent: str
    release: str
    environment: str = "prod"
    baseline: str | None = None


class GateIncident(Struct, frozen=True, omit_defaults=True, gc=False):
    """An incident as far as a gate cares."""

    id: str
    title: str
    severity: str
    stage: str
    releases: tuple[str, ...]
    outcome: str | None = None
    fixed_in: str | None = None
    ticket: str | None = None
    ticket_url: str | None = None
    agents: tuple[str, ...] = ()  # whose; empty: it names no agent
    detector: str = ""
    judges: tuple[str, ...] = ()  # everybody whose word it is, its detector included, by evaluator id
    opened_at: datetime | None = None  # wall clock
    count: int = 0
    outcome_at: datetime | None = None
    actor: str = ""  # who decided
    why: str = ""  # of a false positive
    expires_at: datetime | None = None  # of an accepted risk
    accepted_count: int = 0  # how often it had been seen when the risk was accepted
    pressed: bool = False  # decided by one who wants this promotion
    inferred: bool = False
    duplicate_of: str = (
        ""  # the incident that decides for this one; a ticket that is nobody's here stays as it was said
    )
    clean: int = 0  # sessions of its agents since the outcome
    faulty_in: str = ""  # the nearest release it was sighted in that the one asked about contains
    fix: str = ""  # the release its fix is in, as the graph says; empty: nobody knows yet
    fixed_here: bool = False  # the release asked about contains that fix, for certain


class GateValues(Struct, frozen=True, kw_only=True):
    """What the policy says about one gate, and where people find the pages."""

    gate: str
    policy: str
    version: str  # the policy's digest
    sessions_min: int
    severities: tuple[str, ...]
    inputs_age_s_max: float
    lag_s_max: float
    valid_s: float
    pages: str = ""
    start: dict[str, Power] = {}  # what an evaluator of a kind may cause that nobody has decided on yet
    never_override: tuple[str, ...] = ()  # globs of detectors
    alpha: float = 0.05  # of the gate's false blocks, over all of a rollout
    beta: float = 0.05  # of its false passes
    tolerance: float = 0.0  # delta: an increase that nobody would roll back for
    margin: float = 2.0  # a ratio that must never ship
    objective: float = 0.0  # share of bad sessions in one arm; 0: nobody stated one, so none is judged by
    clean_min: int = 59  # sessions without a bad one that are evidence enough
    coverage_min: float = 0.0  # share of ended sessions that an evaluator judged; 0: not looked at
    cases_min: int = 0  # regression cases that are evidence enough while there are fewer than sessions_min; 0: none are
    measures: dict[str, float] = {}  # cost, steps, duration: by how much each may be worse, as a ratio
    on_insufficient: GateState = "hold"
    on_unverified: GateState = "hold"
    max_wait_s: float = 86_400.0  # then the owner hears that it still waits
    sla_s: float = 1_209_600.0  # an incident below block power that is open for longer warns
    override_s: float = 86_400.0  # how long an override holds
    override_s_max: float = 604_800.0
    shadow: bool = False  # says what it would have answered, and allows


class Override(Struct, frozen=True, tag="override", tag_field="record", omit_defaults=True, kw_only=True):
    """Exact, expiring, never a judgement. Bound to what was known: new evidence voids it."""

    id: str
    gate: str
    agent: str
    release: str  # exactly
    environment: str
    reasons: tuple[str, ...]  # incident ids or rule names; no wildcard
    reason: str  # 20 characters at least
    requested_by: str
    approved_by: str = ""
    ticket: str = ""
    created_at: datetime
    expires_at: datetime
    single_use: bool = False
    used_by: str = ""  # the decision, of one that counts once
    known: dict[str, str] = {}  # incident -> severity, when it was given
    e_block: float = 0.0  # when it was given
    ended_at: datetime | None = None


class Freeze(Struct, frozen=True, tag="freeze", tag_field="record", omit_defaults=True, kw_only=True):
    """From `begins` until before `ends` nothing is promoted. A freeze never blocks a rollback."""

    id: str
    begins: datetime
    ends: datetime
    reason: str
    actor: str
    agents: tuple[str, ...] = ("*",)  # globs
    environments: tuple[str, ...] = ("*",)
    exempt: Literal["fixes", "none"] = "fixes"  # releases that declare what they fix go on
    at: datetime
    ended_at: datetime | None = None
