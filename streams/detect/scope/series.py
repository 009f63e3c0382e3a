"""What the facts say in numbers, for Prometheus: each fact once, whatever is delivered twice."""

from __future__ import annotations

from typing import Any

from ...records import Fact
from ...step import Order, Step
from ..detector import Nothing
from ..facts import environment_of, shelf_of
from ..ports import Measured


class Series:
    """Hands on the sums of facts about agents. It remembers nothing: the shelf's position guards against echoes."""

    name, version, memory = "series", 1, Nothing
    gathered = True
    reads: tuple[type, ...] = (Fact,)
    kinds = ("session", "model", "tool", "evaluation", "feedback")
    order: Order = "free"

    def key(self, record: Any) -> str | None:
        return shelf_of(("agent", record.subject[0], environment_of(record))) if record.kind in self.kinds else None

    def step(self, memory: Nothing | None, record: Any) -> Step[Nothing]:
        if not isinstance(record, Fact):
            return Step(memory)
        return Step(memory, (Measured(record.kind, record.subject, record.sums),))
