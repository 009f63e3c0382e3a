"""Exposure and deliveries, counted once: the position moves in the same transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import CaseScored, DeliveryEvent, Exposure, ReleaseDeployed, ReleaseRegistered
from ..settle import Read, advance

READER = "learn"

# A minute is said once; said again after a crash it is the same, so the larger count stands and nothing is added twice.
EXPOSED = """
WITH before AS (
    SELECT sessions, bad FROM exposure
    WHERE (agent, release, environment, generation, minute)
        = (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(minute)s)
), after AS (
    INSERT INTO exposure VALUES
        (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(minute)s, %(sessions)s, %(bad)s)
    ON CONFLICT (agent, release, environment, generation, minute) DO UPDATE
        SET sessions = GREATEST(exposure.sessions, EXCLUDED.sessions), bad = GREATEST(exposure.bad, EXCLUDED.bad)
    RETURNING sessions, bad
)
INSERT INTO exposed
    SELECT %(agent)s, %(release)s, %(environment)s, %(generation)s,
        after.sessions - COALESCE((SELECT sessions FROM before), 0), after.bad - COALESCE((SELECT bad FROM before), 0)
    FROM after
ON CONFLICT (agent, release, environment, generation) DO UPDATE
    SET sessions = exposed.sessions + EXCLUDED.sessions, bad = exposed.bad + EXCLUDED.bad
"""
SEEN = """
INSERT INTO releases (agent, release, first_seen) VALUES (%(agent)s, %(release)s, %(minute)s)
ON CONFLICT (agent, release) DO UPDATE SET first_seen = EXCLUDED.first_seen
WHERE releases.first_seen > EXCLUDED.first_seen
"""
REGISTERED = """
INSERT INTO releases (agent, release, first_seen, registered_at, parents, aliases, body)
VALUES (%(agent)s, %(release)s, %(at)s, %(at)s, %(parents)s, %(aliases)s, %(body)s)
ON CONFLICT (agent, release) DO UPDATE SET registered_at = EXCLUDED.registered_at, parents = EXCLUDED.parents,
    aliases = EXCLUDED.aliases, body = EXCLUDED.body
WHERE releases.registered_at IS NULL OR releases.registered_at <= EXCLUDED.registered_at
"""
DEPLOYED = """
INSERT INTO deployments VALUES
    (%(source)s, %(id)s, %(agent)s, %(release)s, %(environment)s, %(op)s, %(result)s, %(at)s, %(body)s)
ON CONFLICT DO NOTHING
"""
KNOWN = (
    "INSERT INTO releases (agent, release, first_seen) VALUES (%(agent)s, %(release)s, %(at)s) ON CONFLICT DO NOTHING"
)
SCORED = """
INSERT INTO case_scores VALUES (%(source)s, %(id)s, %(agent)s, %(release)s, %(case_id)s, %(at)s, %(body)s)
ON CONFLICT DO NOTHING
"""

_exposure = msgspec.json.Decoder(Exposure)
_delivery: msgspec.json.Decoder[DeliveryEvent] = msgspec.json.Decoder(DeliveryEvent)


class Counting:
    """Applies batches of both topics. What cannot be decoded goes to `refuse`, before the position moves over it."""

    def __init__(self, exposure_topic: str, generation: int, refuse: Callable[[Read, str], Awaitable[None]]) -> None:
        self._topic, self._generation, self._refuse = exposure_topic, generation, refuse

    async def apply(self, conn: Connection, batch: Iterable[Read], positions: dict[str, int]) -> dict[str, int]:
        """One transaction; answers the new positions. Raises NotTheWriter when somebody else has moved them."""
        reads = list(batch)
        moved: dict[str, tuple[int, int]] = {}
        for read in reads:
            old = moved.get(read.part, (positions.get(read.part, 0), 0))[0]
            moved[read.part] = (old, read.offset + 1)
        records = [record for read in reads if (record := await self._record(read)) is not None]
        async with conn.transaction():
            await advance(conn, READER, moved)
            for record in records:
                await (self._exposed(conn, record) if isinstance(record, Exposure) else self._delivered(conn, record))
        return {**positions, **{part: new for part, (_, new) in moved.items()}}

    async def _record(self, read: Read) -> Exposure | DeliveryEvent | None:
        try:
            if read.part.rpartition("/")[0] == self._topic:
                return _exposure.decode(read.value or b"")
            return _delivery.decode(read.value or b"")
        except (msgspec.DecodeError, ValueError) as error:
            await self._refuse(read, str(error))
            return None

    async def _exposed(self, conn: Connection, record: Exposure) -> None:
        values = {**msgspec.structs.asdict(record), "generation": self._generation}
        await conn.execute(EXPOSED, values)
        await conn.execute(SEEN, values)

    async def _delivered(self, conn: Connection, event: DeliveryEvent) -> None:
        data = event.data
        body = Jsonb(msgspec.to_builtins(data))
        known = {"source": event.source, "id": event.id, "agent": data.agent, "release": data.release, "at": event.time}
        values = {**known, "body": body}
        if isinstance(event, ReleaseRegistered):
            lists = {"parents": event.data.parents or [], "aliases": event.data.aliases or []}
            await conn.execute(REGISTERED, {**values, **lists})
            return
        await conn.execute(KNOWN, known)
        if isinstance(event, ReleaseDeployed):
            more = {"environment": event.data.environment, "op": event.data.op, "result": event.data.result.value}
            await conn.execute(DEPLOYED, {**values, **more})
        elif isinstance(event, CaseScored):
            await conn.execute(SCORED, {**values, "case_id": event.data.case_id})
