"""What is remembered of one agent's switches, when something of it ends, and what the policy says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from ...records import ApprovalAsked, Scope
from .holds import Hold, Switch

CLOSED_KEPT = timedelta(hours=1)
MUTED_KEPT = timedelta(days=30)  # what a person has said no to: longer than most troubles last


class Values(Struct, frozen=True, kw_only=True):
    """Of the policy: `msgspec.convert(policy.breaker, Values, from_attributes=True)`."""

    lease_s: float = 300.0
    blast_radius_max: float = 0.3
    throttle_share: float = 0.5
    probe_share: float = 0.05
    probe_ok_min: int = 10
    approve: Sequence[str] = ()
    approve_s: float = 1800.0


class Desk(Struct, frozen=True, array_like=True):
    """The switches of one agent, or the one of a scope that is no agent's."""

    switches: dict[str, Switch] = {}
    waiting: dict[str, ApprovalAsked] = {}  # for a person's answer
    asked: tuple[str, ...] = ()  # ids: the second is an echo
    refused: dict[str, str] = {}  # incident -> why nothing was done for it; said once


def desk_of(scope: Scope) -> str:
    return f"agent:{scope.agent}" if scope.agent else scope.key


def wake_of(desk: Desk | None) -> datetime | None:
    """When the first of all that it knows is over."""
    if desk is None:
        return None
    ends = [question.until for question in desk.waiting.values()]
    for switch in desk.switches.values():
        ends += [hold.until for hold in (*all_of(switch), switch.mode_by) if hold and hold.until]
        ends += [switch.closed_at + (CLOSED_KEPT if switch.said else MUTED_KEPT)] if switch.closed_at else []
    return min(ends, default=None)


def all_of(switch: Switch) -> tuple[Hold, ...]:
    return (
        *switch.leases,
        *((switch.person,) if switch.person else ()),
        *((switch.probing.hold,) if switch.probing else ()),
    )
