"""Who waits for a gate at GitHub, and what is said there."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

HookKind = Literal["rule", "check"]
CallbackWhat = Literal["approve", "reject", "note", "create", "update"]


class Hook(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A deployment that waits (`rule`), or a commit that shows what the gate says (`check`)."""

    id: str
    kind: HookKind
    repository: str  # owner/name
    gate: str
    agent: str
    release: str
    environment: str  # ours
    at: datetime
    target: str = ""  # GitHub's name of the environment
    run: str = ""
    sha: str = ""
    installation: int = 0
    wait_s: float = 86_400.0  # a hold for longer asks for a person


class Told(Struct, frozen=True, omit_defaults=True):
    """What GitHub has heard so far."""

    state: str = ""  # of the gate, or `waits` for a hold that became too long
    codes: tuple[str, ...] = ()  # why
    decision: str = ""
    notes: int = 0
    remote: str = ""  # GitHub's id of the check run


class Callback(Struct, frozen=True, omit_defaults=True):
    """One thing to say; `told` is what holds once it was heard."""

    what: CallbackWhat
    text: str
    told: Told
    title: str = ""
    url: str = ""
    status: str = ""
    conclusion: str = ""
