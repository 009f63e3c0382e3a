"""Answers gates from memory: inputs are read each second, a decision is written down before anybody relies on it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec
import psycopg
from prometheus_client import CollectorRegistry, Counter, Gauge

from ..database import Connection
from ..learn.gates.reading import Choosing, Reader
from ..learn.gates.ruling import UsedAlready, answered
from ..learn.recording import record_decision
from ..locks import Hint
from ..records import GateDecision, GateInputs, GateQuestion, GateSnapshot, GateValues

log = logging.getLogger(__name__)

KEPT_MAX = 10_000
READ_EACH_S = 1.0
READ_AGAIN_S = 0.3  # not more often, whatever is told
READ_WITHIN_S = 4.0  # a database that hangs is like one that is away
FRESH_S = 1.0  # so long the same question gets the same document without another look, unless the inputs changed
WRITERS = 64
STRANGE_MAX, STRANGE_S = 200, 3600.0  # questions about what nobody knows that are written down, each hour
PAIRS_MAX, PAIRS_S = 200, 600.0  # of releases that somebody wants compared
Decide = Callable[[GateValues, GateInputs, datetime], GateDecision]
Address = tuple[str, str, str]


class UnknownGate(Exception):
    """The policy has no gate of that name."""


class CannotAnswer(Exception):
    """No decision could be formed, or written down: ask again."""


class Known(Protocol):
    """A snapshot arranged for questions. Handed in: this file does not decide."""

    def inputs(self, question: GateQuestion, read_at: datetime, watermark: datetime | None) -> GateInputs: ...

    def addresses(self) -> list[Address]: ...

    def usual(self, question: GateQuestion) -> bool: ...

    def pair(self, question: GateQuestion) -> Any | None: ...


class Kept(NamedTuple):
    decision: GateDecision
    document: bytes
    known: Known
    stale: bool
    at_s: float  # when it was last found to be so


class Gatehouse:
    """`pool` gives connections: one reads the inputs all the time, others write decisions down."""

    def __init__(
        self,
        pool: Any,
        gates: Mapping[str, GateValues],
        deciding: tuple[Callable[[GateSnapshot, Any], Known], Decide],
        *,
        topic: str,
        registry: CollectorRegistry,
        choosing: Choosing | None = None,
    ) -> None:
        self._pool, self.gates, self._topic = pool, gates, topic
        self._index, self._decide = deciding
        severities = {one for values in gates.values() for one in values.severities}
        self._reader = Reader(severities, choosing, cases=any(values.cases_min for values in gates.values()))
        self._known: Known | None = None
        self._read: GateSnapshot | None = None
        self._pairs: OrderedDict[Any, float] = OrderedDict()
        self._strange: tuple[float, int] = (0.0, 0)
        self.read_at: datetime | None = None
        self.watermark: datetime | None = None
        self._kept: OrderedDict[tuple[str, GateQuestion], Kept] = OrderedDict()
        self._writing = [asyncio.Lock() for _ in range(WRITERS)]  # two questions seldom wait for each other
        self._reading = asyncio.Lock()
        self._stopping = False
        self._away = False  # the database, as far as the last call to it says
        self._asked = Counter("tocsin_gate_decisions", "Decisions answered", ("gate", "state"), registry=registry)
        age = Gauge("tocsin_gate_inputs_age_seconds", "Since the inputs of gates were last read", registry=registry)
        age.set_function(lambda: self.age_s() or 0.0)

    def age_s(self) -> float | None:
        return None if self.read_at is None else (datetime.now(UTC) - self.read_at).total_seconds()

    def stop(self) -> None:
        """Besides being cancelled: a pool that hands out a connection in that very moment swallows it."""
        self._stopping = True

    async def run(self) -> None:
        """Until stopped and cancelled. A database that is away makes the inputs old, which is what gates then say."""
        while not self._stopping:
            try:
                async with Hint(self._pool.conninfo, "gate_inputs") as hint, self._pool.connection() as conn:
                    await self._read_for_ever(conn, hint)
            except (psycopg.Error, OSError, TimeoutError) as error:
                self._away = True
                log.warning("the inputs of gates cannot be read: %s", type(error).__name__)
            await asyncio.sleep(READ_EACH_S)

    async def _read_for_ever(self, conn: Connection, hint: Hint) -> None:
        # Each second, and soon after an incident has another end.
        while not self._stopping:
            async with asyncio.timeout(READ_WITHIN_S):
                await self.read(conn)
            await asyncio.sleep(READ_AGAIN_S)
            await hint.wait(READ_EACH_S - READ_AGAIN_S)

    async def read(self, conn: Connection) -> None:
        """One look: everything anew when its version moved. The inputs are as old as the moment before it."""
        async with self._reading:
            read_at = datetime.now(UTC)
            snapshot, now = await self._reader.read(conn, self._wanted())
            if snapshot is not self._read or self._known is None:
                await asyncio.sleep(0)
                self._known, self._read = self._index(snapshot, self._known), snapshot
            self.read_at, self.watermark, self._away = read_at, now.watermark, False

    def _wanted(self) -> list[Any]:
        """Pairs that somebody asked about lately."""
        until_s = time.monotonic() - PAIRS_S
        while self._pairs and next(iter(self._pairs.values())) < until_s:
            self._pairs.popitem(last=False)
        return sorted(self._pairs)

    def _want(self, pair: Any) -> None:
        self._pairs[pair] = time.monotonic()
        self._pairs.move_to_end(pair)
        if len(self._pairs) > PAIRS_MAX:
            self._pairs.popitem(last=False)

    def decide(self, gate: str, question: GateQuestion) -> tuple[GateDecision, GateInputs]:
        """What the gate would say now; nothing is written down."""
        values = self.gates.get(gate)
        if values is None:
            raise UnknownGate(gate)
        if self._known is None or self.read_at is None:
            raise CannotAnswer("the gate has not read its inputs yet")
        inputs = self._known.inputs(question, self.read_at, self.watermark)
        if inputs.uncompared and (pair := self._known.pair(question)) is not None:
            self._want(pair)
        now = datetime.now(UTC)
        return self._decide(values, inputs, now.replace(microsecond=now.microsecond // 1000 * 1000)), inputs

    async def answer(self, gate: str, question: GateQuestion) -> bytes:
        """The document. The same situation gets the same one for half of its validity."""
        kept = self._kept.get((gate, question))
        if kept is not None and self._fresh(kept):
            self._asked.labels(gate, kept.decision.state).inc()
            return kept.document
        decision, inputs = self.decide(gate, question)
        self._asked.labels(gate, decision.state).inc()
        if document := self._again(gate, question, decision):
            return document
        if not self._records(question):
            return self._unwritten(decision)
        async with self._writing[hash((gate, question)) % WRITERS]:
            if document := self._again(gate, question, decision):
                return document
            document = await self._write(decision, inputs)
            if document is None:
                return self._unwritten(decision)
            self._keep((gate, question), decision, document)
        return document

    def _fresh(self, kept: Kept) -> bool:
        at_s, age_s = time.monotonic(), self.age_s() or 0.0
        limit_s = self.gates[kept.decision.gate].inputs_age_s_max
        return kept.known is self._known and at_s - kept.at_s < FRESH_S and kept.stale == (age_s > limit_s)

    def _again(self, gate: str, question: GateQuestion, decision: GateDecision) -> bytes | None:
        """What was answered to it before, where that still says the same."""
        kept = self._kept.get((gate, question))
        if kept is None or not _same(kept.decision, decision):
            return None
        self._keep((gate, question), kept.decision, kept.document)
        return kept.document

    def _keep(self, asked: tuple[str, GateQuestion], decision: GateDecision, document: bytes) -> None:
        assert self._known is not None, "somebody has just decided by it"
        age_s = self.age_s() or 0.0
        stale = age_s > self.gates[decision.gate].inputs_age_s_max
        self._kept[asked] = Kept(decision, document, self._known, stale, time.monotonic())
        self._kept.move_to_end(asked)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)

    def _records(self, question: GateQuestion) -> bool:
        """Everything about what is known; of what somebody makes up only so much, so that nobody fills the database."""
        if self._known is None or self._known.usual(question):
            return True
        since_s, count = self._strange
        if time.monotonic() - since_s > STRANGE_S:
            since_s, count = time.monotonic(), 0
        self._strange = (since_s, count + 1)
        return count < STRANGE_MAX

    async def _write(self, decision: GateDecision, inputs: GateInputs) -> bytes | None:
        """None: the database is away."""
        if self._away:
            return None
        try:
            async with asyncio.timeout(READ_WITHIN_S), self._pool.connection() as conn, conn.transaction():
                document = await record_decision(conn, self._topic, decision, self.gates[decision.gate], inputs)
                await answered(conn, decision)
                return document
        except UsedAlready:
            raise CannotAnswer("an override that counts once has just counted for somebody else") from None
        except (psycopg.Error, OSError, TimeoutError) as error:
            self._away = True
            log.warning("a decision could not be written down: %s", type(error).__name__)
            return None

    def _unwritten(self, decision: GateDecision) -> bytes:
        """A hold or block is safe to repeat; a yes that nobody can look up later is none."""
        if decision.allow:
            raise CannotAnswer("the decision is not written down, so nobody may rely on it")
        return msgspec.json.encode(decision)

    def overview(self, limit: int) -> list[GateDecision]:
        """What every gate would say about what is known."""
        if self._known is None:
            return []
        found = self._known.addresses()[:limit]
        return [self.decide(gate, GateQuestion(*address))[0] for address in found for gate in sorted(self.gates)]


def _same(kept: GateDecision, now: GateDecision) -> bool:
    half = timedelta(seconds=(kept.valid_until - kept.as_of).total_seconds() / 2)
    said = [[(reason.code, reason.effect) for reason in one.reasons] for one in (kept, now)]
    known = (kept.inputs_digest, kept.policy, kept.state) == (now.inputs_digest, now.policy, now.state)
    return known and said[0] == said[1] and now.as_of - kept.as_of < half
