"""Event time of each agent: which releases came when, what changed, and whose trouble was not seen for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from ..records import Advanced, Change, Cleared, Watched
from ..step import Order, Step
from .routing import BookValues


class Agent(Struct, frozen=True, array_like=True):
    """One agent at work; the agent `` is all of them together."""

    at: datetime | None = None  # event time of its last closed minute
    releases: dict[str, datetime] = {}  # with the minute in which each was first seen: the newest few
    config: dict[str, str] = {}  # prompt, model, tools
    changes: tuple[Change, ...] = ()  # the newest few
    watched: dict[str, datetime] = {}  # incident -> event time


class Clock:
    """Keyed by agent. Stands between silence and owner: what is told says what changed just before."""

    name, version, memory = "clock", 1, Agent
    reads: tuple[type, ...] = (Advanced, Watched, Cleared)
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values = values

    def key(self, record: Any) -> str | None:
        if isinstance(record, Cleared):
            return record.due.incident.about.agent if record.by == "silence" else None
        return str(record.agent)

    def step(self, memory: Agent | None, record: Any) -> Step[Agent]:
        if isinstance(record, Cleared):
            return Step(memory, (Cleared(record.due, "clock", record.held),))
        return Step(memory)
