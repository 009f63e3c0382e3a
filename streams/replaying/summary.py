"""What a replay comes to: the numbers as a record, and all of it in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from ..records import DeadLetter, Exposure, Finding, GateDecision, Incident, Obligation

DECISIONS_MAX = 50
INCIDENTS_MAX = 50


class Summary(Struct, tag="summary", tag_field="record", kw_only=True):
    """The last record of a replay."""

    lines: int = 0
    events: int = 0
    echoes: int = 0
    first: datetime | None = None
    last: datetime | None = None  # event time, the end included
    sessions: int = 0
    sessions_failed: int = 0
    sessions_unpriced: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    tool_errors: int = 0
    evaluations: int = 0
    evaluations_failed: int = 0
    evaluations_broken: int = 0
    redacted: int = 0
    findings: dict[str, int] = field(default_factory=dict)  # by detector
    obligations: dict[str, int] = field(default_factory=dict)  # by kind
    dead_letters: dict[str, int] = field(default_factory=dict)  # by reason
    exposures: int = 0
    incidents: int = 0
    outcomes: int = 0
    decisions: int = 0
    policy: str = ""

    def add(self, name: str, amount: int = 1) -> None:
        setattr(self, name, getattr(self, name) + amount)

    def note(self, record: Any) -> None:
        """Counts what the replay said."""
        if isinstance(record, Finding):
            _more(self.findings, record.detector)
        elif isinstance(record, Obligation):
            _more(self.obligations, record.kind)
        elif isinstance(record, DeadLetter):
            _more(self.dead_letters, record.reason)
        elif isinstance(record, Exposure):
            self.exposures += 1
        elif isinstance(record, GateDecision):
            self.decisions += 1
        elif isinstance(record, Incident):
            self.incidents += 1


def for_people(records: Iterable[Any]) -> Iterator[str]:
    """What would be found, opened, told and decided. Keeps incidents and the latest decisions, nothing else."""
    incidents: list[Incident] = []
    decided: dict[tuple[str, str, str, str], GateDecision] = {}
    for record in records:
        if isinstance(record, Incident):
            incidents.append(record)
        elif isinstance(record, GateDecision):
            decided[record.gate, record.agent, record.release, record.environment] = record
        elif isinstance(record, Summary):
            yield from _numbers(record)
    yield from _incidents(incidents)
    yield from _decisions(decided)


def _numbers(summary: Summary) -> Iterator[str]:
    if summary.first is None or summary.last is None:
        yield "No events."
    else:
        first, last = (at.isoformat(timespec="seconds") for at in (summary.first, summary.last))
        yield f"{summary.events} events of {summary.sessions} sessions, {first} to {last}, {summary.echoes} echoes"
        yield f"{summary.sessions_failed} sessions failed, {summary.sessions_unpriced} are unpriced"
        scored = f"{summary.evaluations} evaluations: {summary.evaluations_failed} failed"
        yield f"{scored}, {summary.evaluations_broken} broken (neither a pass nor a failure)"
        yield f"{summary.tool_calls} tool calls, {summary.tool_errors} errors; {summary.model_calls} model calls"
    yield f"Dead letters: {_listed(summary.dead_letters)}"
    yield f"Findings: {_listed(summary.findings)}"
    yield f"People would be told: {_listed(summary.obligations)}"


def _incidents(incidents: list[Incident]) -> Iterator[str]:
    yield f"Incidents: {len(incidents) or 'none'}"
    for incident in incidents[:INCIDENTS_MAX]:
        held = f", held: {', '.join(incident.held)}" if incident.held else ""
        stage = f"{incident.stage} ({incident.outcome})" if incident.outcome else incident.stage
        yield f"  {incident.severity:<8} {stage:<9} {incident.title}"
        yield f"           {incident.owner}: {incident.findings} findings, {len(incident.sessions)} sessions{held}"
    if len(incidents) > INCIDENTS_MAX:
        yield f"  and {len(incidents) - INCIDENTS_MAX} more"


def _decisions(decided: dict[tuple[str, str, str, str], GateDecision]) -> Iterator[str]:
    yield f"Gate decisions at the end: {len(decided) or 'none'}"
    for decision in list(decided.values())[:DECISIONS_MAX]:
        where = f"{decision.agent} {decision.release or '(no release)'} in {decision.environment}"
        yield f"  {decision.state:<5} {decision.gate}: {where}: {decision.summary}"


def _more(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
