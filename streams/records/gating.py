"""What people say about a gate besides its questions, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from .gate import Freeze, GateDecision, GateState, Override


class OverrideAsked(Struct, frozen=True, kw_only=True):
    """What somebody asks for, as they wrote it."""

    gate: str
    agent: str
    release: str
    environment: str
    reasons: tuple[str, ...]
    reason: str
    requested_by: str
    expires_at: Any = None  # as it came: a date that cannot be read has passed
    ticket: str = ""
    single_use: bool = False


class FreezeAsked(Struct, frozen=True, kw_only=True):
    """What somebody asks for, as they wrote it."""

    begins: str
    ends: str
    reason: str
    actor: str
    timezone: str = ""  # of edges without an offset
    agents: tuple[str, ...] = ("*",)
    environments: tuple[str, ...] = ("*",)
    exempt: Literal["fixes", "none"] = "fixes"


class GateDecisions(Struct, frozen=True, kw_only=True):
    """Several questions in one: as good as the worst of their answers."""

    schema: Literal["gate.decisions/v1"] = "gate.decisions/v1"
    gate: str
    state: GateState
    allow: bool
    block: bool
    score: int
    progress: str
    summary: str
    as_of: datetime
    valid_until: datetime
    retry_after_s: int
    decisions: tuple[GateDecision, ...]


class ReasonTold(Struct, frozen=True):
    """One reason of a decision, in words."""

    code: str
    effect: GateState
    detail: dict[str, Any]
    numbers: str
    change: str  # what would change it


class RuleTold(Struct, frozen=True):
    """One of the thirteen rules, and what it said; nothing: it did not match."""

    number: int
    rule: str
    title: str
    reasons: tuple[ReasonTold, ...]
    overridable: bool
    decides: bool  # the answer is what it is because of it


class OverrideApproved(Struct, frozen=True, tag="override_approved", tag_field="record"):
    id: str
    actor: str
    at: datetime


class OverrideEnded(Struct, frozen=True, tag="override_ended", tag_field="record", omit_defaults=True):
    """Somebody ends it, or new evidence does."""

    id: str
    at: datetime
    actor: str = ""  # empty: by what is known now
    why: str = ""


class Overridden(Struct, frozen=True, tag="overridden", tag_field="record", omit_defaults=True):
    """An override as it is from now on."""

    override: Override
    what: Literal["requested", "approved", "ended", "voided", "expired"]
    at: datetime
    why: str = ""


class Frozen(Struct, frozen=True, tag="frozen", tag_field="record"):
    """A freeze as it is from now on."""

    freeze: Freeze
    at: datetime


class Bypassed(Struct, frozen=True, tag="bypass.observed", tag_field="record", omit_defaults=True, kw_only=True):
    """A release went on although its gate had not let it. Once per release and environment."""

    gate: str
    agent: str
    release: str
    environment: str
    at: datetime
    how: Literal["promoted", "exposed"]
    state: str  # what the gate had answered last
    decision: str = ""
    actor: str = ""  # who decided, where the delivery tool says so
    share: float | None = None  # of the agent's sessions
