"""What those may cause whose word an incident is. First of all: what nobody hears of speaks for nobody either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Cleared, Due, Incident, Power, PowerChanged, evaluators, least
from ..step import Order, Step

KEY = "powers"
EVALUATORS_MAX = 5000  # whoever changed first is forgotten first, and has what the policy starts with
SHADOW, TICKET_ONLY = "shadow", "ticket_only"  # reasons held
TELLING = {"page", "ticket"}
WAKING = {"worse", "escalate"}


class Powers(Struct, frozen=True, array_like=True):
    """By evaluator: the number of its last change, and what it may cause since."""

    known: dict[str, tuple[int, Power]] = {}


class PowerDesk:
    """One memory for all evaluators. Power that is lost takes back no page; power that is gained lets the next sighting tell."""

    name, version, memory = "power", 1, Powers
    reads: tuple[type, ...] = (PowerChanged, Due)
    order: Order = "near"

    def __init__(self, start: Mapping[str, Power]) -> None:
        self.start = start

    def key(self, record: Any) -> str | None:  # noqa: ARG002
        return KEY

    def step(self, memory: Powers | None, record: Any) -> Step[Powers]:
        if isinstance(record, PowerChanged):
            return Step(_changed(memory or Powers(), record))
        if not isinstance(record, Due):
            return Step(memory)
        powers = {name: power for name, (_, power) in memory.known.items()} if memory else {}
        power = least(evaluators(record.incident), powers, self.start)
        if power in ("shadow", "ticket"):
            return Step(memory, _answers(_stamped(record, power), power))
        return Step(memory, (Cleared(_stamped(record, power), "power"),))


def _changed(memory: Powers, record: PowerChanged) -> Powers:
    """Of two changes the later one holds, whichever is heard first."""
    number, _ = memory.known.get(record.evaluator, (0, "block"))
    if record.number <= number:
        return memory
    others = {name: one for name, one in memory.known.items() if name != record.evaluator}
    known = {**others, record.evaluator: (record.number, record.after)}
    return Powers(dict(list(known.items())[-EVALUATORS_MAX:]))


def _stamped(due: Due, power: Power) -> Due:
    """Everything is nothing to write down."""
    shown = "" if power == "block" else power
    return due if due.incident.power == shown else replace(due, incident=replace(due.incident, power=shown))


def _answers(due: Due, power: Power) -> tuple[Cleared, ...]:
    """What it may not cause is held back at once, the rest goes its way."""
    kept = _kept(due, power)
    held = tuple(one for one in due.want if one not in kept and one != "seen")
    if not kept and "ticket" in due.incident.told and TELLING & set(held):
        kept = ("seen",)  # those that it speaks for go on with it
    reason = SHADOW if power == "shadow" else TICKET_ONLY
    said = [Cleared(replace(due, want=held), "power", reason)] if held and _missed(due, held, power) else []
    return (*said, *([Cleared(replace(due, want=kept), "power")] if kept else []))


def _kept(due: Due, power: Power) -> tuple[str, ...]:
    without = {*WAKING, "page"} if power == "ticket" else {*WAKING, *TELLING}
    known = "ticket" in due.incident.told
    without |= {"seen"} if power == "shadow" and not known else set()
    return tuple(one for one in due.want if one not in without)


def _missed(due: Due, held: tuple[str, ...], power: Power) -> bool:
    """Whether anybody would have been told. One that would not page anyway misses nothing by a ticket alone."""
    return power == "shadow" or bool(WAKING & set(held)) or _pages(due.incident)


def _pages(incident: Incident) -> bool:
    return incident.severity in ("critical", "high") and incident.told.get("page", 0) <= incident.expired
