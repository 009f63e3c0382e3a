"""What running agents may do: detectors get leases within a radius, people get what they ask for, until they say so."""

from __future__ import annotations

from typing import Any

from ...records import ApprovalAnswered, ControlAsked, Decided, Probed, Scope, Tick
from ...step import Order, Step
from .desks import Desk, Values, desk_of, wake_of
from .switching import APPROVAL, Turn

__all__ = ["Controls", "Values"]


class Controls:
    """Keyed by agent: how far detectors may go is counted over all of its releases and tools."""

    name, version, memory = "controls", 1, Desk
    reads: tuple[type, ...] = (ControlAsked, ApprovalAnswered, Decided, Probed)
    order: Order = "near"

    def __init__(self, values: Values) -> None:
        self.values = values

    def key(self, record: Any) -> str | None:
        match record:
            case ControlAsked(scope=scope) | Probed(scope=scope):
                return desk_of(scope)
            case ApprovalAnswered(id=name):
                return name.removeprefix(APPROVAL).partition(":")[2] or None if name.startswith(APPROVAL) else None
            case Decided(incident=incident):
                return desk_of(Scope("agent", incident.about.agent))
        return None

    def step(self, memory: Desk | None, record: Any) -> Step[Desk]:
        turn = Turn(self.values, memory or Desk(), record.outcome.at if isinstance(record, Decided) else record.at)
        match record:
            case ControlAsked():
                turn.asked(record)
            case ApprovalAnswered():
                turn.answered(record)
            case Decided():
                turn.decided(record)
            case Probed():
                turn.probed(record)
            case Tick():
                turn.ticked()
        desk = turn.desk
        if desk == (memory or Desk()):
            return Step(memory, tuple(turn.say), wake_of(memory))
        kept = desk if desk.switches or desk.waiting or desk.refused else None
        return Step(kept, tuple(turn.say), wake_of(kept))
