"""Bodies of what people say about gates: overrides, freezes, several questions at once."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ..records import Bypassed, Freeze, GateDecision, Override, RuleTold
from .documents import Line, Reason, Words

Names = Annotated[list[Line], Meta(min_length=1, max_length=20)]
Text = Annotated[str, Meta(max_length=64)]


class OneQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    agent: Line
    release: Line
    environment: Line = "prod"
    baseline: Line | None = None


class QuestionsGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """One question, or several under `all`: answered with the worst, each listed."""

    agent: Line | None = None
    release: Line | None = None
    environment: Line = "prod"
    baseline: Line | None = None
    all: Annotated[list[OneQuestion], Meta(min_length=1, max_length=20)] | None = None


class OverrideGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """`reasons` are incident ids or names of rules. `expires_at`: absent, what the policy says; malformed, expired."""

    agent: Line
    release: Line
    reasons: Annotated[list[Line], Meta(max_length=50)]
    reason: Words
    actor: Line
    gate: Line = "promotion"
    environment: Line = "prod"
    expires_at: Text | None = None
    for_s: Annotated[float, Meta(gt=0, le=366 * 86_400)] | None = None
    ticket: Annotated[str, Meta(max_length=256)] = ""
    single_use: bool = False


class ActorGiven(Struct, frozen=True, forbid_unknown_fields=True):
    actor: Line


class OverrideTaken(Struct, frozen=True):
    """It is written down and does nothing until somebody approves it."""

    accepted: bool
    id: str
    expires_at: datetime
    second_person: bool  # whoever asked cannot approve it


class OverrideView(Struct, frozen=True):
    override: Override
    state: str  # pending, active, used, voided, ended, expired
    why: str = ""
    second_person: bool = False
    approved_at: datetime | None = None


class Overrides(Struct, frozen=True):
    overrides: tuple[OverrideView, ...]


class RuleReview(Struct, frozen=True):
    """One rule of one gate over the time reviewed."""

    gate: str
    rule: str
    blocked: int  # releases
    overridden: int
    share: float
    proposal: str = ""  # to make it a warning, where people set it aside too often


class GateReview(Struct, frozen=True):
    gate: str
    overrides: int
    followed_by_incident: int  # overridden releases in which an incident opened afterwards
    share: float
    median_s: float | None  # from the block to its override


class Review(Struct, frozen=True):
    days: int
    gates: tuple[GateReview, ...]
    rules: tuple[RuleReview, ...]


class FreezeGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """Both edges are moments; those without an offset are of `timezone`."""

    begins: Text
    ends: Text
    reason: Reason
    actor: Line
    timezone: Text = ""
    agents: Names = field(default_factory=lambda: ["*"])
    environments: Names = field(default_factory=lambda: ["*"])
    exempt: Literal["fixes", "none"] = "fixes"


class FreezeTaken(Struct, frozen=True):
    accepted: bool
    id: str
    begins: datetime
    ends: datetime


class FreezeView(Struct, frozen=True):
    freeze: Freeze
    state: Literal["ahead", "active", "over", "ended"]


class Freezes(Struct, frozen=True):
    freezes: tuple[FreezeView, ...]


class Deployed(Struct, frozen=True):
    """What a gate in shadow mode would have answered, beside what was done."""

    gate: str
    agent: str
    release: str
    environment: str
    at: datetime
    state: str  # what it would have answered when it was deployed
    incidents: int  # opened in the release within the time looked at
    error: str = ""  # blocked_but_fine, allowed_but_bad


class ShadowGate(Struct, frozen=True):
    gate: str
    shadow: bool
    deployed: int
    let: int
    stopped: int  # it would have held or blocked them
    blocked_but_fine: int
    allowed_but_bad: int
    waiting: int  # too young to say


class GateReport(Struct, frozen=True):
    days: int
    within_days: int  # an incident that opens later is not the release's
    gates: tuple[ShadowGate, ...]
    deployed: tuple[Deployed, ...]
    bypasses: tuple[Bypassed, ...]


class DecisionView(Struct, frozen=True):
    decision_id: str
    gate: str
    agent: str
    release: str
    environment: str
    state: str
    as_of: datetime


class Decisions(Struct, frozen=True):
    """The newest first."""

    decisions: tuple[DecisionView, ...]


class Standing(Struct, frozen=True):
    """What a gate would answer now about one release, and since when."""

    gate: str
    agent: str
    release: str
    environment: str
    state: str
    since: datetime | None
    progress: str
    summary: str
    asked_for: str = ""  # overrides and freezes that are active for it


class Gates(Struct, frozen=True):
    gates: tuple[Standing, ...]


class Explanation(Struct, frozen=True):
    decision: GateDecision
    rules: tuple[RuleTold, ...]


class Replayed(Struct, frozen=True):
    """A stored decision, made again from what was stored with it."""

    decision_id: str
    same: bool  # to the byte
    stored: GateDecision
    again: GateDecision
