"""Exposure and deliveries, counted once: the position moves in the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import CaseScored, DeadLetter, DeliveryEvent, Exposure, ReleaseDeployed, ReleaseRegistered
from ..records.deadletters import pack
from ..settle import Read, Saying, advance, publish_all

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


class Names(NamedTuple):
    """What the topics are called in this generation."""

    exposure: str
    deadletters: str
    generation: int = 1


class Counting:
    """Applies batches of both topics. What cannot be used becomes the dead letter that `bury` makes of it."""

    def __init__(self, names: Names, bury: Callable[[Read, str, str], DeadLetter]) -> None:
        self._names, self._bury = names, bury
        self.buried = 0

    async def apply(self, conn: Connection, batch: Iterable[Read], positions: dict[str, int]) -> dict[str, int]:
        """One transaction; answers the new positions. Raises NotTheWriter when somebody else has moved them."""
        reads = list(batch)
        moved: dict[str, tuple[int, int]] = {}
        for read in reads:
            old = moved.get(read.part, (positions.get(read.part, 0), 0))[0]
            moved[read.part] = (old, read.offset + 1)
        letters = []
        async with conn.transaction():
            await advance(conn, READER, moved)
            for read in reads:
                letter = await self._one(conn, read)
                letters += [letter] if letter else []
            await publish_all(conn, [_saying(self._names.deadletters, letter) for letter in letters])
        self.buried += len(letters)
        return {**positions, **{part: new for part, (_, new) in moved.items()}}

    async def _one(self, conn: Connection, read: Read) -> DeadLetter | None:
        try:
            record = self._record(read)
        except (msgspec.DecodeError, ValueError) as error:
            return self._bury(read, "undecodable", str(error))
        try:
            async with conn.transaction():  # a value that PostgreSQL refuses must not take the others with it
                await (self._exposed(conn, record) if isinstance(record, Exposure) else self._delivered(conn, record))
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:  # or too long for an index
            return self._bury(read, "unstorable", type(error).__name__)
        return None

    def _record(self, read: Read) -> Exposure | DeliveryEvent:
        if read.part.rpartition("/")[0] == self._names.exposure:
            return _exposure.decode(read.value or b"")
        return _delivery.decode(read.value or b"")

    async def _exposed(self, conn: Connection, record: Exposure) -> None:
        values = {**msgspec.structs.asdict(record), "generation": self._names.generation}
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


def _saying(topic: str, letter: DeadLetter) -> Saying:
    key, value, headers = pack(letter)
    return Saying(topic, key.decode(), value, tuple(headers))
