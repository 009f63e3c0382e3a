"""The API's bodies about outcomes: what somebody decided, with what belongs to it, and who stands by it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ..records import Cause, FalseWhy, Outcome, OutcomeValue
from .documents import Aware, Line, Said, Words


class OutcomeGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """What is missing is filled in as what is safe and marked `inferred`: next release, 30 days, 180 days."""

    outcome: OutcomeValue
    actor: Line
    fixed_in: Line | None = None  # a release, `next`, or `commit:<hash>`
    cause: Cause | None = None
    why: FalseWhy | None = None
    expires_at: Aware | None = None
    review_at: Aware | None = None
    provider: Line | None = None
    duplicate_of: Line | None = None  # a ticket or an incident
    reason: Words | None = None
    reopened: bool = False
    source: Said = "web"


class OutcomeTaken(Struct, frozen=True):
    """It is written down; the book reads it within a second. `outcome`: as it is understood."""

    accepted: bool
    id: str
    outcome: Outcome


class ConfirmationGiven(Struct, frozen=True, forbid_unknown_fields=True):
    incidents: Annotated[list[Line], Meta(min_length=1, max_length=1000)]
    actor: Line
    source: Said = "web"


class Confirmation(Struct, frozen=True):
    accepted: bool
    confirmed: tuple[str, ...]  # those that had waited for it


class Outcomes(Struct, frozen=True):
    outcomes: tuple[Outcome, ...]
