"""What handlers are handed: connections, the gates, the keys, and what the settings say about the outside."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import msgspec
from psycopg_pool import AsyncConnectionPool

from ..database import Connection
from ..learn.outcomes.recorder import Recorder
from ..learn.recording import put, recorded
from ..records import Acknowledgement, Assignment, GateQuestion, Merge, Outcome, Silence, Split
from . import quieting
from .answers import Refused
from .condition import health
from .documents import Accepted, GateEffect, HealthDocument, IncidentDetail, SilenceTaken, SilenceView
from .gatehouse import CannotAnswer, Gatehouse
from .guard import Keys
from .reading import detail, exists, stage

Pool = AsyncConnectionPool[Connection]
EFFECTS_MAX = 10


class Shop:
    """One of it per process."""

    def __init__(
        self, pool: Pool, gatehouse: Gatehouse, keys: Keys, sinks: Mapping[str, bool], recorder: Recorder
    ) -> None:
        self._pool, self.gatehouse, self.keys = pool, gatehouse, keys
        self._sinks, self.recorder = sinks, recorder

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        return self._pool.connection()

    async def recorded(self, decision: str) -> bool:
        """Whether a decision can be looked up."""
        async with self.connection() as conn:
            return await recorded(conn, decision) is not None

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

    async def tell(self, record: Acknowledgement | Assignment | Split | Merge) -> Accepted:
        async with self.connection() as conn:
            await self._known(conn, record.incident)
            await put(conn, msgspec.structs.replace(record, actor=self.recorder.typed(record.actor)))
        return Accepted(True, record.incident)

    async def merge(self, record: Merge) -> Accepted:
        if record.parent == record.incident:
            raise Refused(422, "An incident cannot speak for itself.")
        async with self.connection() as conn:
            await self._known(conn, record.incident)
            found = await stage(conn, record.parent)
        match found:
            case None:
                raise Refused(422, "There is no incident of the parent's id.")
            case ("resolved" | "closed", _):
                raise Refused(422, "The parent is over: nothing can become part of it.")
            case ("merged", parent) if parent != record.incident:
                raise Refused(422, f"The parent is itself part of {parent}: merge into that one.")
        return await self.tell(record)

    async def decide(self, outcome: Outcome) -> Outcome:
        async with self.connection() as conn:
            await self._known(conn, outcome.incident)
            return await self.recorder.record(conn, outcome)

    async def silence(self, silence: Silence) -> SilenceTaken:
        async with self.connection() as conn:
            hidden = await quieting.would_hide(conn, silence, silence.at)
            await put(conn, silence)
        critical = tuple(one.id for one in hidden if one.severity == "critical")[: quieting.NAMED_MAX]
        words = quieting.warning(silence, hidden)
        return SilenceTaken(True, silence.id, silence.until, len(hidden), critical, words)

    async def end_silence(self, name: str) -> Accepted:
        now = datetime.now(UTC)
        async with self.connection() as conn:
            found = await quieting.named(conn, name)
            if found is None:
                raise Refused(404, "There is no silence of this id.")
            if found.until > now:
                await put(conn, msgspec.structs.replace(found, at=now, until=now))
        return Accepted(True, name)

    async def silences(self, *, active: bool = False) -> tuple[SilenceView, ...]:
        async with self.connection() as conn:
            return await quieting.listed(conn, active=active)

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
