"""Regression cases as rows: written down with what learn decides, exported, listed with how they did in which release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import CaseScoredData, RegressionCase
from ...settle import Saying, publish_all

CASE = """
INSERT INTO cases (id, incident, agent, state, at, body) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET incident = EXCLUDED.incident, state = EXCLUDED.state, body = EXCLUDED.body
"""
LISTED = """
SELECT body::text FROM cases
WHERE (%(agent)s::text IS NULL OR agent = %(agent)s) AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(fixed_in)s::text IS NULL OR body->>'fixed_in' = %(fixed_in)s) AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""
SCORES = """
SELECT release, body::text FROM case_scores WHERE case_id = %s AND agent = %s ORDER BY at, source, id LIMIT 1000
"""


class Wanted(NamedTuple):
    """Which cases. `release`: those that it is to have fixed."""

    agent: str | None = None
    state: str | None = None
    release: str | None = None


def written(topic: str) -> Any:
    """A writer: the last word on each case is what it is from now on; everybody on `topic` hears of it."""

    async def write(conn: Connection, records: Sequence[RegressionCase]) -> None:
        last = {one.id: one for one in records}
        for one in last.values():
            body = Jsonb(msgspec.to_builtins(one))
            await conn.execute(CASE, (one.id, one.incident, one.agent, one.state, one.at, body))
        await publish_all(conn, [Saying(topic, one.id, msgspec.json.encode(one)) for one in last.values()])

    return write


async def cases(conn: Connection, wanted: Wanted, after: str, limit: int) -> list[RegressionCase]:
    """In the order of their ids, those that come after `after`."""
    given = {"agent": wanted.agent, "state": wanted.state, "fixed_in": wanted.release, "after": after, "limit": limit}
    rows = await (await conn.execute(LISTED, given)).fetchall()
    return [msgspec.json.decode(body, type=RegressionCase) for (body,) in rows]


async def case(conn: Connection, name: str) -> RegressionCase | None:
    row = await (await conn.execute("SELECT body::text FROM cases WHERE id = %s", [name])).fetchone()
    return msgspec.json.decode(row[0], type=RegressionCase) if row else None


async def scores(conn: Connection, of: RegressionCase) -> dict[str, list[CaseScoredData]]:
    """What CI said of it, by release."""
    found: dict[str, list[CaseScoredData]] = {}
    for release, body in await (await conn.execute(SCORES, [of.id, of.agent])).fetchall():
        found.setdefault(release, []).append(msgspec.json.decode(body, type=CaseScoredData))
    return found
