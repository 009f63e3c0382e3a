"""Looks at every known release each few seconds, so that a change is published when nobody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge

from ..database import Connection
from ..records import GateDecision, GateInputs, GateQuestion, GateSnapshot, GateValues
from .reading import snapshot, stand
from .recording import record_decision

Decide = Callable[[GateValues, GateInputs, datetime], GateDecision]
Address = tuple[str, str, str]
STATES = ("allow", "warn", "hold", "block")


class Known(Protocol):
    """A snapshot arranged for questions. Handed in: this file does not decide."""

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs: ...

    def addresses(self) -> list[Address]: ...


class Standing:
    """Records and publishes the decisions whose state changed since the last turn."""

    def __init__(
        self,
        gates: Mapping[str, GateValues],
        index: Callable[[GateSnapshot], Known],
        decide: Decide,
        topic: str,
        registry: CollectorRegistry,
    ) -> None:
        self._gates, self._index, self._decide, self._topic = gates, index, decide, topic
        self._known: Known | None = None
        self._version = -1
        self._states: dict[tuple[str, Address], str] = {}
        self.looked: tuple[Known, datetime, datetime | None] | None = None  # what it saw last, when, and event time then
        labels = ("gate", "agent", "release", "environment", "state")
        self._gauge = Gauge("tocsin_gate_state", "1 for the state a gate would answer", labels, registry=registry)

    async def turn(self, conn: Connection) -> list[GateDecision]:
        """The decisions that changed, already written down."""
        read_at = datetime.now(UTC)
        now = await stand(conn)
        if self._known is None or now.version != self._version:
            severities = {one for values in self._gates.values() for one in values.severities}
            found = await snapshot(conn, severities)
            self._known, self._version = self._index(found), found.version
        self.looked = (self._known, read_at, now.watermark)
        changed = []
        for values, address, inputs in self._questions(self._known, read_at, now.watermark):
            decision = self._decide(values, inputs, read_at)
            if self._states.get((values.gate, address)) == decision.state:
                continue
            await record_decision(conn, self._topic, decision, values, inputs)
            self._states[values.gate, address] = decision.state
            for state in STATES:
                self._gauge.labels(values.gate, *address, state).set(state == decision.state)
            changed.append(decision)
        return changed

    def _questions(
        self, known: Known, read_at: datetime, watermark: datetime | None
    ) -> Iterator[tuple[GateValues, Address, GateInputs]]:
        for address in known.addresses():
            inputs = known.inputs(GateQuestion(*address), read_at, watermark)
            for values in self._gates.values():
                yield values, address, inputs
