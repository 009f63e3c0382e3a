"""What handlers are handed: connections, the gates, the keys, and what the settings say about the outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from psycopg_pool import AsyncConnectionPool

from ..database import Connection
from ..learn.recording import put, record_outcome
from ..records import Acknowledgement, GateQuestion, Outcome, Silence
from .answers import Refused
from .condition import health
from .documents import Accepted, GateEffect, HealthDocument, IncidentDetail
from .gatehouse import CannotAnswer, Gatehouse
from .guard import Keys
from .reading import detail, exists

Pool = AsyncConnectionPool[Connection]
EFFECTS_MAX = 10


class Shop:
    """One of it per process."""

    def __init__(
        self, pool: Pool, gatehouse: Gatehouse, keys: Keys, sinks: Mapping[str, bool], outcomes_topic: str
    ) -> None:
        self._pool, self.gatehouse, self.keys = pool, gatehouse, keys
        self._sinks, self._outcomes = sinks, outcomes_topic

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        return self._pool.connection()

    async def health(self) -> HealthDocument:
        lag_s_max = min((values.lag_s_max for values in self.gatehouse.gates.values()), default=300.0)
        async with self.connection() as conn:
            return await health(conn, self._sinks, self.gatehouse.age_s(), lag_s_max)

    async def incident(self, name: str) -> IncidentDetail:
        async with self.connection() as conn:
            found = await detail(conn, name)
        if found is None:
            raise Refused(404, "There is no incident of this id.")
        return IncidentDetail(found.incident, found.obligations, found.outcomes, self._effects(found))

    async def acknowledge(self, incident: str, actor: str) -> Accepted:
        async with self.connection() as conn:
            await self._known(conn, incident)
            await put(conn, Acknowledgement(incident, datetime.now(UTC), actor))
        return Accepted(True, incident)

    async def decide(self, outcome: Outcome) -> Accepted:
        async with self.connection() as conn:
            await self._known(conn, outcome.incident)
            await record_outcome(conn, self._outcomes, outcome)
        return Accepted(True, outcome.incident)

    async def silence(self, silence: Silence) -> Accepted:
        async with self.connection() as conn:
            await put(conn, silence)
        return Accepted(True, silence.id)

    async def _known(self, conn: Connection, incident: str) -> None:
        if not await exists(conn, incident):
            raise Refused(404, "There is no incident of this id.")

    def _effects(self, found: IncidentDetail) -> tuple[GateEffect, ...]:
        """Which gates say what because of this incident, for the newest of its releases."""
        one = found.incident
        agent, environment = one.subject.get("agent") or one.about.agent, one.about.environment or "prod"
        names = {one.id, *([one.parent] if one.parent else [])}
        effects = []
        for gate in sorted(self.gatehouse.gates):
            for release in one.releases[-EFFECTS_MAX:]:
                try:
                    decision, _ = self.gatehouse.decide(gate, GateQuestion(agent, release, environment))
                except CannotAnswer:
                    continue
                codes = [why.code for why in decision.reasons if why.detail.get("incident") in names]
                effects += [GateEffect(gate, release, environment, decision.state, code) for code in codes]
        return tuple(effects)
