"""Two replays of one file side by side: what would be opened, told and decided now, and what with a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from ..records import Difference, GateDecision, Incident, Obligation, Severity
from .summary import Summary

Side = Literal["now", "candidate"]
SIDES: tuple[Side, Side] = ("now", "candidate")
COMPARED = ("severity", "stage", "owner", "held", "parent", "findings", "page", "ticket")
STATES_MAX = 20
Address = tuple[str, str, str, str]  # gate, agent, release, environment


class Numbers(Struct, frozen=True, kw_only=True):
    """One side in numbers."""

    policy: str  # digest
    findings: dict[str, int]  # by detector
    incidents: int
    held: int  # incidents that people were not told of
    pages: int  # without edits of a page
    tickets: int
    obligations: dict[str, int]  # by kind, edits included
    gates: dict[str, int]  # by state in the end


class Opened(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An incident as far as it is compared. The same trouble has the same id on both sides."""

    id: str
    detector: str
    title: str
    severity: Severity
    stage: str
    owner: str
    held: tuple[str, ...] = ()
    parent: str | None = None
    findings: int = 0
    sessions: int = 0
    page: bool = False
    ticket: bool = False


class Different(Struct, frozen=True, kw_only=True):
    """An incident of both sides: what is not the same, each with its value now and with the change."""

    id: str
    detector: str
    title: str
    values: dict[str, tuple[Any, Any]]


class GateSaid(Struct, frozen=True):
    """What a gate answered about a release: in the end, why, and everything it said before that."""

    state: str
    reasons: tuple[str, ...]  # codes
    states: tuple[str, ...]  # one after the other


class GateDifferent(Struct, frozen=True, kw_only=True):
    gate: str
    agent: str
    release: str
    environment: str
    now: GateSaid | None
    candidate: GateSaid | None


class Comparison(Struct, frozen=True, kw_only=True, tag="comparison", tag_field="record"):
    """The last record of a comparing replay."""

    events: int
    sessions: int
    first: datetime | None
    last: datetime | None
    differences: tuple[Difference, ...]  # of the policies
    now: Numbers
    candidate: Numbers
    only_now: tuple[Opened, ...]
    only_candidate: tuple[Opened, ...]
    different: tuple[Different, ...]
    gates: tuple[GateDifferent, ...]


class Heard(Struct):
    """What one side said, as much of it as is compared: it grows with incidents and releases, not with events."""

    incidents: dict[str, Incident] = field(default_factory=dict)
    obligations: dict[str, int] = field(default_factory=dict)
    pages: int = 0
    gates: dict[Address, GateSaid] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)

    def note(self, record: Any) -> None:
        if isinstance(record, Incident):
            self.incidents[record.id] = record
        elif isinstance(record, Obligation):
            self.obligations[record.kind] = self.obligations.get(record.kind, 0) + 1
            self.pages += record.kind == "page" and record.ordinal == 1
        elif isinstance(record, GateDecision):
            self._decided(record)
        elif isinstance(record, Summary):
            self.summary = record

    def numbers(self) -> Numbers:
        incidents = self.incidents.values()
        states = [said.state for said in self.gates.values()]
        return Numbers(
            policy=self.summary.policy,
            findings=dict(sorted(self.summary.findings.items())),
            incidents=len(incidents),
            held=sum(bool(one.held) for one in incidents),
            pages=self.pages,
            tickets=self.obligations.get("ticket", 0),
            obligations=dict(sorted(self.obligations.items())),
            gates={state: states.count(state) for state in sorted(set(states))},
        )

    def _decided(self, one: GateDecision) -> None:
        address = (one.gate, one.agent, one.release, one.environment)
        known = self.gates.get(address)
        states = known.states if known else ()
        if not states or states[-1] != one.state:
            states = (*states, one.state)[-STATES_MAX:]
        self.gates[address] = GateSaid(one.state, tuple(sorted({why.code for why in one.reasons})), states)


class Both:
    """Hears both sides, and compares them in the end."""

    def __init__(self) -> None:
        self.heard: dict[Side, Heard] = {side: Heard() for side in SIDES}

    def note(self, side: Side, record: Any) -> None:
        self.heard[side].note(record)

    def compared(self, differences: Sequence[Difference]) -> Comparison:
        now, candidate = (self.heard[side] for side in SIDES)
        return Comparison(
            events=now.summary.events,
            sessions=now.summary.sessions,
            first=now.summary.first,
            last=now.summary.last,
            differences=tuple(differences),
            now=now.numbers(),
            candidate=candidate.numbers(),
            only_now=_only(now, candidate),
            only_candidate=_only(candidate, now),
            different=tuple(_different(now, candidate)),
            gates=tuple(_gates(now, candidate)),
        )


def _only(one: Heard, other: Heard) -> tuple[Opened, ...]:
    return tuple(_opened(incident) for name, incident in one.incidents.items() if name not in other.incidents)


def _opened(one: Incident) -> Opened:
    return Opened(
        id=one.id,
        detector=one.detector,
        title=one.title,
        severity=one.severity,
        stage=one.stage,
        owner=one.owner,
        held=one.held,
        parent=one.parent,
        findings=one.findings,
        sessions=len(one.sessions),
        page="page" in one.told,
        ticket="ticket" in one.told,
    )


def _different(now: Heard, candidate: Heard) -> list[Different]:
    found = []
    for name, incident in now.incidents.items():
        if name not in candidate.incidents:
            continue
        one, other = _opened(incident), _opened(candidate.incidents[name])
        pairs = {key: (getattr(one, key), getattr(other, key)) for key in COMPARED}
        values = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
        if values:
            found.append(Different(id=name, detector=one.detector, title=other.title, values=values))
    return found


def _gates(now: Heard, candidate: Heard) -> list[GateDifferent]:
    found = []
    for address in dict.fromkeys((*now.gates, *candidate.gates)):
        one, other = now.gates.get(address), candidate.gates.get(address)
        if one != other:
            gate, agent, release, environment = address
            where = {"gate": gate, "agent": agent, "release": release, "environment": environment}
            found.append(GateDifferent(**where, now=one, candidate=other))
    return found
