"""Who holds one scope back, and what agents are told of it: the most restrictive wins, a person's word outlasts a lease."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ...records import Beneath, Control, ControlState, ControlWant, Limits, OnStale, Probe, Scope

GRACE = timedelta(seconds=10)  # a lease is told a little longer than it is, so that what follows it arrives in time
NOTHING = Beneath(ratio=0.0)
_NEVER = datetime.fromtimestamp(0, UTC)

Mode = Literal["", "disabled", "metrics_only"]


class Hold(Struct, frozen=True, array_like=True, omit_defaults=True):
    """One reason to hold the scope back: a person's word, or a detector's lease for one incident."""

    want: ControlWant  # pause, throttle, deny_tool, force_open
    reason: str
    actor: str = ""  # a person; empty: a detector
    source: str = ""
    incident: str = ""
    ticket: str = ""
    ratio: float | None = None
    tools: tuple[str, ...] = ()
    until: datetime | None = None
    share: float = 0.0  # of the agent's sessions that it stops, as far as it is known

    @property
    def stops(self) -> Beneath:
        """What it alone would tell agents."""
        if self.want == "throttle":
            return Beneath(self.ratio, not_after=self.until)
        if self.tools:
            return Beneath(0.0, Limits(tool_deny=self.tools), self.until)
        return Beneath(None, not_after=self.until)


class Probing(Struct, frozen=True, array_like=True):
    """Half open: some sessions go ahead, and the detector that closed it says whether they are clean."""

    since: datetime
    hold: Hold
    sessions: int = 0


class Switch(Struct, frozen=True, array_like=True):
    """Everything about one scope."""

    scope: Scope
    person: Hold | None = None
    leases: tuple[Hold, ...] = ()  # one for each incident
    mode: Mode = ""
    mode_by: Hold | None = None
    probing: Probing | None = None
    muted: tuple[str, ...] = ()  # incidents whose hold a person has lifted: they ask in vain
    said: Control | None = None
    closed_at: datetime | None = None

    @property
    def seq(self) -> int:
        return self.said.seq if self.said else 0

    @property
    def idle(self) -> bool:
        return not (self.person or self.leases or self.mode or self.probing)


def said(switch: Switch, at: datetime, probe: Probe, why: str = "") -> Control:
    """What agents are told from now on. The number is the clock's, so that it grows beyond what is forgotten."""
    seq = max(switch.seq + 1, int(at.timestamp() * 1000))
    told = _told(switch, probe)
    if why:
        told = replace(told, reason=why)
    return replace(told, seq=seq, issued_at=at)


def _told(switch: Switch, probe: Probe) -> Control:
    holds = [*switch.leases, *((switch.person,) if switch.person else ())]
    if holds:
        return _held(switch, holds)
    if switch.mode and switch.mode_by:
        return _control(switch, switch.mode, switch.mode_by, NOTHING)
    if switch.probing:
        hold = switch.probing.hold
        told = _control(switch, "half_open", hold, Beneath(None, not_after=hold.until))
        return replace(told, probe=replace(probe, since=switch.probing.since), on_stale="expire")
    last = switch.said
    ended = Hold("close", last.reason if last else "", incident=last.incident if last else "")
    return _control(switch, "closed", ended, NOTHING)


def _held(switch: Switch, holds: list[Hold]) -> Control:
    """The strictest speaks; what a person asked for that is milder lies beneath it."""
    lead = max(holds, key=_strictness)
    stops = _together(holds)
    state: ControlState = "forced_open" if lead.want == "force_open" else "open"
    if switch.mode == "metrics_only":
        state = "metrics_only"
    person = switch.person
    if person is None or lead is person:
        until = lead.until if person else max(hold.until for hold in holds if hold.until)
        stops = person.stops if person and not switch.leases else stops
        return _control(switch, state, lead, replace(stops, not_after=until))
    until = max(hold.until for hold in switch.leases if hold.until)
    told = _control(switch, state, lead, replace(stops, not_after=until))
    return replace(told, beneath=person.stops)


def _control(switch: Switch, state: ControlState, lead: Hold, stops: Beneath) -> Control:
    automatic = not lead.actor
    throttled = automatic and stops.ratio is not None
    stale: OnStale = "expire" if throttled else "keep"
    until = stops.not_after
    return Control(
        scope=switch.scope,
        state=state,
        ratio=stops.ratio if state in ("open", "metrics_only") else None,
        limits=stops.limits,
        reason=lead.reason,
        incident=lead.incident,
        ticket=lead.ticket,
        actor=lead.actor,
        automatic=automatic and state in ("open", "half_open"),
        seq=0,
        issued_at=_NEVER,
        not_after=until + GRACE if until and automatic else until,
        on_stale=stale,
    )


def _together(holds: Iterable[Hold]) -> Beneath:
    """All of them at once."""
    all_ = [hold.stops for hold in holds]
    ratio = None if any(one.ratio is None for one in all_) else max(one.ratio or 0.0 for one in all_)
    denied = tuple(sorted({tool for one in all_ for tool in one.limits.tool_deny}))
    return Beneath(ratio, Limits(tool_deny=denied))


def _strictness(hold: Hold) -> tuple[bool, float, bool]:
    """Of two that are as strict, the one without an end."""
    stops = hold.stops
    return hold.want == "force_open", 1.0 if stops.ratio is None else stops.ratio, hold.until is None
