"""A false positive of a detector with thresholds proposes the value with which it would have kept silent."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import Decided, Incident, Outcome, ThresholdProposed
from ...step import Order, Step
from .crediting import BY_ITSELF
from .limits import beyond, limit_of, threshold, written


class Proposed(Struct, frozen=True, array_like=True):
    at: datetime
    proposal: ThresholdProposed


class Proposing:
    """Keyed by incident. `thresholds`: what the policy says, by detector. A person's other word takes it back."""

    name, version, memory = "proposal", 1, Proposed
    reads: tuple[type, ...] = (Decided,)
    order: Order = "near"

    def __init__(self, thresholds: Mapping[str, Any]) -> None:
        self.thresholds = thresholds

    def key(self, record: Any) -> str | None:
        known = record.incident.detector in self.thresholds and record.outcome.source not in BY_ITSELF
        return record.incident.id if known and limit_of(record.incident) else None

    def step(self, memory: Proposed | None, record: Any) -> Step[Proposed]:
        if not isinstance(record, Decided):
            return Step(memory)
        outcome = record.outcome
        if memory is not None and outcome.at < memory.at:
            return Step(memory)
        proposal = self._proposal(record.incident, outcome)
        if proposal is not None:
            same = memory is not None and memory.proposal.value == proposal.value and not memory.proposal.withdrawn
            return Step(memory) if same else Step(Proposed(outcome.at, proposal), (proposal,))
        if memory is None or memory.proposal.withdrawn:
            return Step(memory)
        gone = replace(memory.proposal, withdrawn=True, at=outcome.at)
        return Step(Proposed(outcome.at, gone), (gone,))

    def _proposal(self, incident: Incident, outcome: Outcome) -> ThresholdProposed | None:
        wrong = outcome.outcome == "false_positive" and outcome.why != "test_traffic" and not outcome.reopened
        limit = limit_of(incident)
        if not wrong or limit is None or not incident.observed:
            return None
        observed, now = limit.read(incident.observed), threshold(self.thresholds[incident.detector], limit.threshold)
        if observed is None or now is None:
            return None
        value = beyond(limit, observed)
        if value is None or value <= now:
            return None  # it was not this threshold
        agent = incident.subject.get("agent") or incident.about.agent
        stanza, command = _written(incident.detector, agent, limit.threshold, value)
        return ThresholdProposed(
            incident.id,
            incident.detector,
            agent,
            limit.threshold,
            value,
            now,
            incident.observed,
            outcome.at,
            stanza,
            command,
        )


def _written(detector: str, agent: str, name: str, value: float) -> tuple[str, str]:
    """For this agent alone, where it is one that a key can name."""
    said = written(value)
    plain = agent and all(letter.isalnum() or letter in "-_." for letter in agent)
    table = f'[detectors."{detector}".agents."{agent}"]' if plain else f'[detectors."{detector}"]'
    setting = f'{detector}.agents."{agent}".{name}' if plain else f"{detector}.{name}"
    return f"{table}\n{name} = {said}", f"tocsin replay events.ndjson --set {shlex.quote(f'{setting}={said}')}"
