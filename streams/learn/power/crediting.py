"""What a person's decision on an incident says of those whose word it was: right or wrong, worth acting on or not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from ...records import Confirmed, Decided, Incident, Outcome, evaluators
from ...step import Order, Step

BY_ITSELF = ("parent", "book")  # sources that are no person
FORGOTTEN = timedelta(days=730)
CREDIT: dict[str, tuple[int, int]] = {  # correct, actionable; a false positive depends on why
    "fixed": (1, 1),
    "accepted_risk": (1, 1),
    "wont_fix": (1, -1),
    "external_cause": (1, 0),
    "false_positive": (-1, -1),
}


class Agreed(Struct, frozen=True, tag="agreed", tag_field="record"):
    """One incident of a Confirmed."""

    incident: str
    actor: str
    at: datetime


class Credit(Struct, frozen=True, tag="credit", tag_field="record"):
    """What one incident says of one evaluator from now on. Twice nothing takes back what it said."""

    evaluator: str
    incident: str
    correct: int  # 1, -1 or 0
    actionable: int
    decided_at: datetime
    at: datetime


class Decision(Struct, frozen=True, array_like=True):
    """The last one on an incident, and whom it is about."""

    outcome: Outcome
    evaluators: tuple[str, ...]
    counted: bool
    at: datetime


class Crediting:
    """Keyed by incident: however many sessions it had and however often people changed their mind, it counts once."""

    name, version, memory = "credit", 1, Decision
    reads: tuple[type, ...] = (Decided, Confirmed, Agreed)
    order: Order = "near"

    def key(self, record: Any) -> str | None:
        if isinstance(record, Confirmed):
            return f"confirmed:{record.actor}"  # no memory: it is handed on, incident by incident
        if isinstance(record, Decided):
            return None if record.outcome.source in BY_ITSELF else record.incident.id
        return str(record.incident)

    def step(self, memory: Decision | None, record: Any) -> Step[Decision]:
        if isinstance(record, Confirmed):
            return Step(None, tuple(Agreed(one, record.actor, record.at) for one in dict.fromkeys(record.incidents)))
        if isinstance(record, Decided):
            return _decided(memory, record)
        if memory is None:
            return Step(None)
        if isinstance(record, Agreed):
            return _agreed(memory, record)
        return Step(None) if record.at >= _over(memory) else Step(memory, wake=_over(memory))


def credit_of(outcome: Outcome) -> tuple[int, int]:
    """Correct, actionable. Traffic of tests says nothing of who found it: the filter is wrong."""
    if outcome.why == "test_traffic" or outcome.reopened:
        return 0, 0
    return CREDIT.get(outcome.outcome, (0, 0))


def _answerable(incident: Incident) -> tuple[str, ...]:
    """A judge's word is its own: one that is wrong takes no power from the detector that passes on all judges' words."""
    return incident.judges or evaluators(incident)


def _decided(memory: Decision | None, record: Decided) -> Step[Decision]:
    outcome, names = record.outcome, _answerable(record.incident)
    if memory is not None and outcome.at < memory.outcome.at:
        return Step(memory, wake=_over(memory))
    counts = not (outcome.bulk or outcome.pressed or outcome.reopened)
    after = Decision(outcome, names, counts, outcome.at)
    known = memory.evaluators if memory and memory.counted else ()
    if not counts:
        return Step(after, _taken_back(outcome, known), _over(after))
    gone = _taken_back(outcome, tuple(name for name in known if name not in names))
    return Step(after, (*gone, *_credits(after, outcome.at)), _over(after))


def _agreed(memory: Decision, record: Agreed) -> Step[Decision]:
    """Of a decision under pressure another person has to say so."""
    outcome = memory.outcome
    alone = outcome.pressed and record.actor == outcome.actor
    if memory.counted or outcome.reopened or alone:
        return Step(memory, wake=_over(memory))
    after = Decision(outcome, memory.evaluators, True, record.at)
    return Step(after, _credits(after, record.at), _over(after))


def _credits(of: Decision, at: datetime) -> tuple[Credit, ...]:
    correct, actionable = credit_of(of.outcome)
    incident, decided_at = of.outcome.incident, of.outcome.at
    return tuple(Credit(name, incident, correct, actionable, decided_at, at) for name in of.evaluators)


def _taken_back(outcome: Outcome, names: tuple[str, ...]) -> tuple[Credit, ...]:
    return tuple(Credit(name, outcome.incident, 0, 0, outcome.at, outcome.at) for name in names)


def _over(memory: Decision) -> datetime:
    return memory.at + FORGOTTEN
