"""What people say about a gate besides its questions, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from .gate import Freeze, Override


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
