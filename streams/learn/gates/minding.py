"""Keeps an eye on gates beside their answers: overrides that new evidence voids, waits that are too long, bypasses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from ...database import Connection
from ...records import (
    GateInputs,
    GateQuestion,
    GateValues,
    Notice,
    Override,
    OverrideEnded,
)
from ..recording import tell
from .bypassing import observe
from .ruling import noticed

ACTIVE = """
SELECT body FROM overrides WHERE ended_at IS NULL AND used_by IS NULL AND expires_at > %s AND state = 'approved'
"""
# Who has not asked for a day no longer waits.
WAITING = """
SELECT s.gate, s.agent, s.release, s.environment, s.since, coalesce(convert_from(d.document, 'UTF8')::jsonb->>'summary', '')
FROM gate_states s JOIN gate_asked a USING (gate, agent, release, environment) LEFT JOIN decisions d ON d.id = s.decision
WHERE s.state = 'hold' AND s.gate = %(gate)s AND s.since < %(before)s AND a.last_at > %(now)s - interval '1 day'
    AND a.told_since IS DISTINCT FROM s.since
LIMIT 100
"""
TOLD = """
UPDATE gate_asked SET told_since = %s WHERE (gate, agent, release, environment) = (%s, %s, %s, %s)
"""


class Known(Protocol):
    """A snapshot arranged for questions. Handed in: this file does not decide."""

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs: ...


class Said(NamedTuple):
    """What is decided elsewhere."""

    holds: Callable[[Override, GateInputs, float, datetime], str | None]
    evidence: Callable[[GateValues, GateInputs], float]
    waiting: Callable[[tuple[str, str, str, str], datetime, datetime, str], Notice]


class Minding:
    def __init__(self, gates: Mapping[str, GateValues], said: Said, registry: CollectorRegistry) -> None:
        self._gates, self._said = gates, said
        self._active = Gauge(
            "agent_gate_overrides_active", "Overrides that are approved and hold", ("gate",), registry=registry
        )
        for gate in gates:
            self._active.labels(gate).set(0)
        self._bypassed = Counter("tocsin_gate_bypasses", "Releases that went past their gate", registry=registry)

    async def turn(self, conn: Connection, known: Known, now: datetime, watermark: datetime | None) -> None:
        await self._overrides(conn, known, now, watermark)
        await self._waits(conn, now)
        asked = [name for name, values in self._gates.items() if not values.shadow]  # that one lets everything through
        self._bypassed.inc(len(await observe(conn, asked, now)))

    async def _overrides(self, conn: Connection, known: Known, now: datetime, watermark: datetime | None) -> None:
        """One that is void stays void: what voided it may end, but somebody has to look again."""
        active = dict.fromkeys(self._gates, 0)
        for (body,) in await (await conn.execute(ACTIVE, [now])).fetchall():
            override = msgspec.convert(body, Override)
            values = self._gates.get(override.gate)
            if values is None:
                continue
            question = GateQuestion(override.agent, override.release, override.environment)
            inputs = known.inputs(question, now, watermark)
            why = self._said.holds(override, inputs, self._said.evidence(values, inputs), now)
            active[override.gate] += why is None
            if why is not None and why.startswith("voided"):
                await tell(conn, OverrideEnded(override.id, now, why=why.partition(": ")[2]))
        for gate, count in active.items():
            self._active.labels(gate).set(count)

    async def _waits(self, conn: Connection, now: datetime) -> None:
        """The owner hears once of each wait that is too long; the answer is not changed by it."""
        for gate, values in self._gates.items():
            before = now - timedelta(seconds=values.max_wait_s)
            rows = await (await conn.execute(WAITING, {"gate": gate, "before": before, "now": now})).fetchall()
            for *where, since, why in rows:
                async with conn.transaction():
                    await conn.execute(TOLD, [since, *where])
                    name, agent, release, environment = where
                    await noticed(conn, [self._said.waiting((name, agent, release, environment), since, now, why)])
