"""What a trouble does to the agents that have it: as the policy wants, once people were told, again while it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ..records import ControlAsked, ControlWant, Finding, Incident, Obligation, Scope, Sighted
from ..step import Order, Step

RENEWED = 3  # times within a lease
LIVE = ("open", "acknowledged")
HELD_UP = ("storm",)  # it was told, or will be: that agents are held back waits for no one
OWN = "tocsin-"  # the pipeline's own roles are nobody's agents
WANTS: Mapping[str, ControlWant] = {"throttle": "throttle", "pause": "pause", "deny_tool": "deny_tool"}


class Held(Struct, frozen=True, array_like=True):
    """One fingerprint's incident, as far as it matters here."""

    incident: str
    episode: int
    detector: str
    title: str
    agent: str
    ticket: str = ""
    may: bool = False
    owed: int = 0  # how often a control was asked for
    at: datetime | None = None  # when last


class Holding:
    """Keyed by fingerprint, of detectors for which the policy names a control.

    Nobody's agents are held back for a trouble that nobody was told of: not in a silence, in the shadow, on a trial
    run, where it is the consequence of another one, or where the evaluator may not page.
    """

    name, version, memory = "holding", 1, Held
    reads: tuple[type, ...] = (Incident, Sighted)
    order: Order = "near"

    def __init__(self, controls: Mapping[str, str], lease_s: float) -> None:
        self.controls = controls
        self.each = timedelta(seconds=lease_s / RENEWED)

    def key(self, record: Any) -> str | None:
        finding = record.finding if isinstance(record, Sighted) else record
        return finding.fingerprint if self.controls.get(finding.detector) else None

    def step(self, memory: Held | None, record: Any) -> Step[Held]:
        if isinstance(record, Incident):
            return Step(_known(memory, record))
        if not isinstance(record, Sighted) or memory is None:
            return Step(memory)
        finding = record.finding
        asked_lately = memory.at is not None and memory.at <= record.at < memory.at + self.each
        if asked_lately or finding.dry_run or not memory.may:
            return Step(memory)
        owed = _owed(memory, finding, record.at)
        if owed is None:
            return Step(memory)
        return Step(replace(memory, owed=memory.owed + 1, at=record.at), (owed,))


def _known(memory: Held | None, incident: Incident) -> Held | None:
    """Of an earlier episode nothing is asked for any more."""
    if memory is not None and memory.episode > incident.episode:
        return memory
    if incident.stage not in (*LIVE, "mitigated"):
        return None
    ticket = incident.ticket_url or incident.ticket or ""
    now = Held(incident.id, incident.episode, incident.detector, incident.title, incident.about.agent, ticket)
    if memory is not None and memory.incident == incident.id:
        now = replace(now, owed=memory.owed, at=memory.at)
    now = replace(now, may=_may(incident))
    return memory if memory == now else now


def _may(incident: Incident) -> bool:
    people = "ticket" in incident.told or "page" in incident.told
    free = all(reason in HELD_UP for reason in incident.held)
    return incident.stage in LIVE and people and free and incident.power not in ("shadow", "ticket")


def _owed(held: Held, finding: Finding, at: datetime) -> Obligation | None:
    scope = _scope(held, finding)
    if scope is None:
        return None
    name = f"{held.incident}:control:{held.owed + 1}"
    asked = ControlAsked(
        id=name,
        scope=scope,
        want=WANTS[finding.control],
        at=at,
        automatic=True,
        source=f"detector:{held.detector}",
        reason=held.title,
        incident=held.incident,
        ticket=held.ticket,
    )
    body: dict[str, Any] = {"doc": "control", **msgspec.to_builtins(asked)}
    return Obligation(name, held.incident, "control", held.owed + 1, f"control:{scope.key}", body, at=at)


def _scope(held: Held, finding: Finding) -> Scope | None:
    """As small as it is known: the release that it was seen in, or the tool."""
    agent = finding.about.agent or held.agent or finding.subject.get("agent", "")
    if not agent or agent.startswith(OWN) or finding.control not in WANTS:
        return None
    if finding.control == "deny_tool":
        tool = finding.subject.get("tool", "")
        return Scope("agent_tool", agent, tool) if tool else None
    return Scope("release", agent, finding.about.release) if finding.about.release else Scope("agent", agent)
