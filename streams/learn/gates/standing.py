"""Looks at every known release each few seconds, so that a change is published when nobody asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge

from ...database import Connection
from ...records import GateDecision, GateInputs, GateQuestion, GateSnapshot, GateValues
from ..recording import record_decision
from .reading import Choosing, Reader

Decide = Callable[[GateValues, GateInputs, datetime], GateDecision]
Address = tuple[str, str, str]
AGAIN_S = 10.0
BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
STATES = ("allow", "warn", "hold", "block")


class Known(Protocol):
    """A snapshot arranged for questions. Handed in: this file does not decide."""

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs: ...

    def watched(self) -> list[Address]: ...


class Standing:
    """Records and publishes the decisions whose state changed since the last turn."""

    def __init__(
        self,
        gates: Mapping[str, GateValues],
        deciding: tuple[Callable[[GateSnapshot, Any], Known], Decide],
        topic: str,
        registry: CollectorRegistry,
        *,
        choosing: Choosing | None = None,
    ) -> None:
        self._gates, self._topic = gates, topic
        self._index, self._decide = deciding
        severities = {one for values in gates.values() for one in values.severities}
        self._reader = Reader(severities, choosing, cases=any(values.cases_min for values in gates.values()))
        self._known: Known | None = None
        self._read: GateSnapshot | None = None
        self._seen: dict[Address, tuple[GateInputs, float]] = {}
        self._states: dict[tuple[str, Address], str] = {}
        self.looked: tuple[Known, datetime, datetime | None] | None = None  # what it saw, when, and event time then
        labels = ("gate", "agent", "release", "environment", "state")
        self._gauge = Gauge("tocsin_gate_state", "1 for the state a gate would answer", labels, registry=registry)

    async def turn(self, conn: Connection) -> list[GateDecision]:
        """The decisions that changed, already written down."""
        read_at = datetime.now(UTC)
        snapshot, now = await self._reader.read(conn)
        if snapshot is not self._read or self._known is None:
            self._known, self._read = self._index(snapshot, self._known), snapshot
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
        """About what has changed, and about everything now and then: some things end by themselves."""
        addresses, at_s = known.watched(), time.monotonic()
        self._forget(set(self._seen) - set(addresses))
        for address in addresses:
            inputs = known.inputs(GateQuestion(*address), read_at, watermark)
            timeless = replace(inputs, read_at=BEGIN, watermark=watermark and BEGIN)
            seen = self._seen.get(address)
            if seen is not None and seen[0] == timeless and at_s - seen[1] < AGAIN_S:
                continue
            self._seen[address] = (timeless, at_s)
            for values in self._gates.values():
                yield values, address, inputs

    def _forget(self, gone: set[Address]) -> None:
        """Newer releases are watched instead."""
        for address in gone:
            del self._seen[address]
        for gate, address in [key for key in self._states if key[1] in gone]:
            del self._states[gate, address]
            for state in STATES:
                self._gauge.remove(gate, *address, state)
