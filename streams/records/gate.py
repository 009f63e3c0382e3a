"""What a delivery pipeline asks and is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

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


class GateIncident(Struct, frozen=True, omit_defaults=True):
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


class GateRelease(Struct, frozen=True, omit_defaults=True):
    agent: str
    release: str
    first_seen: datetime
    registered_at: datetime | None = None
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class GateExposure(Struct, frozen=True):
    agent: str
    release: str
    environment: str
    sessions: int
    bad: int


class GateSnapshot(Struct, frozen=True):
    """Everything every gate may look at, read in one transaction."""

    version: int
    releases: tuple[GateRelease, ...]
    exposure: tuple[GateExposure, ...]
    incidents: tuple[GateIncident, ...]


class GateInputs(Struct, frozen=True):
    """Everything a decision may look at, so that it can be replayed from what was stored."""

    question: GateQuestion
    sessions: int
    bad: int
    baseline_sessions: int
    known: bool  # somebody registered the release or a session ran in it
    newer: tuple[str, ...]
    incidents: tuple[GateIncident, ...]
    watermark: datetime | None
    read_at: datetime  # when the inputs were last read completely
    evidence: dict[str, str] = field(default_factory=dict)
