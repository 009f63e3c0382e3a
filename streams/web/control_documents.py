"""Bodies of controls: what agents are told, what somebody asks for, what was done by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from ..records import Control, ControlWant, ScopeKind
from .documents import PRINTABLE, Aware, Line, Reason, Said

Named = Annotated[str, Meta(max_length=256, pattern=PRINTABLE.replace("+", "*"))]


class ControlsDocument(Struct, frozen=True, omit_defaults=False):
    """What agents are told now. `beat`: when the controller last said that it is there, in ms of its clock."""

    schema: Literal["controls/v1"]
    seq: int  # grows with every change: give it as `since`
    beat: int
    stale: bool  # the controller has been silent for half a minute: leases end by themselves, people's stops stay
    controls: tuple[Control, ...]
    sig: str = ""


class ScopeGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """`id` is the release, the tool or the tenant."""

    kind: ScopeKind
    agent: Named = ""
    id: Named = ""


class ControlGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `until` or `for_s` it holds until somebody says `close`. Of two with one `id` the second is an echo."""

    scope: ScopeGiven
    want: ControlWant
    reason: Reason
    actor: Line
    ratio: Annotated[float, Meta(gt=0, lt=1)] | None = None  # of a throttle: the share that is held back
    tools: Annotated[list[Line], Meta(max_length=50)] = []
    until: Aware | None = None
    for_s: Annotated[float, Meta(gt=0, le=366 * 86_400)] | None = None
    id: Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_.:-]*$")] = ""
    source: Said = "web"
    incident: Annotated[str, Meta(max_length=512)] = ""


class ControlTaken(Struct, frozen=True):
    accepted: bool
    id: str
    scope: str
    want: str
    until: datetime | None
    affected: float | None  # share of the agent's sessions of the last hour that it is about; null: unknown


class ControlChange(Struct, frozen=True):
    scope: str
    at: datetime
    actor: str  # a person, or the detector
    control: Control  # as it was from then on


class ControlChanges(Struct, frozen=True):
    changes: tuple[ControlChange, ...]
