"""Pages that are no longer needed are not sent: it was over, or silenced, before anybody could be woken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import LiteralString

import msgspec

from ..database import Connection
from ..records import Expired, Incident, Silence
from ..records.timeline import encode

WAITING_MAX = 5000
OVER = ("resolved", "closed", "merged")

_WAKES: LiteralString = """o.kind = 'page' AND (o.ordinal = 1 OR coalesce(o.body->>'mention', '') <> ''
    OR coalesce(o.body->>'oncall', '') <> '' OR coalesce((o.body->>'level')::int, 0) > 0
    OR coalesce((o.body->>'wakes')::boolean, false))"""
_NAMED: LiteralString = "unnest(%(ids)s::text[], %(whys)s::text[]) AS named(incident, why)"
_OWED: LiteralString = (
    "UPDATE obligations o SET state = 'expired', settled_at = now(), why = named.why FROM {named}"
    " WHERE o.incident = named.incident AND o.state = 'owed' AND {wakes} RETURNING o.incident"
).replace("{named}", _NAMED).replace("{wakes}", _WAKES)  # fmt: skip
_ATTEMPTED: LiteralString = (
    "UPDATE obligations o SET expires = named.why FROM {named}"
    " WHERE o.incident = named.incident AND o.state = 'attempting' AND {wakes}"
).replace("{named}", _NAMED).replace("{wakes}", _WAKES)  # fmt: skip
# Where nobody was told of it, nobody has to hear how it goes on.
_NEVER_TOLD: LiteralString = """
UPDATE obligations o SET state = 'expired', settled_at = now(), why = named.why FROM {named}
WHERE o.incident = named.incident AND o.state = 'owed' AND o.kind IN ('page', 'note') AND NOT EXISTS (
    SELECT 1 FROM obligations told WHERE told.incident = o.incident AND told.destination = o.destination
        AND told.kind = 'page' AND told.state IN ('done', 'attempting'))
RETURNING o.incident
""".replace("{named}", _NAMED)
_UNPAGED: LiteralString = """
SELECT o.incident, max(o.ordinal) FROM obligations o
WHERE o.incident = ANY(%s) AND o.kind = 'page' AND o.receiver = 'slack' AND o.state = 'expired'
    AND NOT EXISTS (SELECT 1 FROM obligations told WHERE told.incident = o.incident AND told.kind = 'page'
        AND told.receiver = 'slack' AND told.state IN ('owed', 'attempting', 'done'))
GROUP BY o.incident
"""
_WAITING: LiteralString = """
SELECT DISTINCT ON (i.id) i.body FROM obligations o JOIN incidents i ON i.id = o.incident
WHERE o.state IN ('owed', 'attempting') AND i.stage NOT IN ('resolved', 'closed', 'merged') AND {wakes}
ORDER BY i.id LIMIT %s
""".replace("{wakes}", _WAKES)


async def over(conn: Connection, incidents: Sequence[Incident]) -> None:
    """Whoever was to be woken for one of these need not be. What is open again is waited for as before."""
    if live := [one.id for one in incidents if one.stage not in OVER]:
        await conn.execute(
            "UPDATE obligations SET expires = NULL WHERE incident = ANY(%s) AND expires IS NOT NULL", [live]
        )
    await _expire(conn, {one.id: _why(one) for one in incidents if one.stage in OVER and one.told})


async def hushed(conn: Connection, silence: Silence) -> None:
    """A silence is also about those whose page waits to be sent."""
    rows = await (await conn.execute(_WAITING, [WAITING_MAX])).fetchall()
    found = (msgspec.convert(body, Incident) for (body,) in rows)
    whys = {one.id: f"silenced meanwhile, by {silence.id}" for one in found if silence.hides(one, silence.at)}
    await _expire(conn, whys)


async def _expire(conn: Connection, whys: Mapping[str, str]) -> None:
    if not whys:
        return
    given = {"ids": list(whys), "whys": list(whys.values())}
    gone = await (await conn.execute(_OWED, given)).fetchall()
    await conn.execute(_ATTEMPTED, given)
    gone += await (await conn.execute(_NEVER_TOLD, given)).fetchall()
    if not gone:
        return
    rows = await (await conn.execute(_UNPAGED, [[incident for (incident,) in gone]])).fetchall()
    told = [(encode(Expired(incident, ordinal, datetime.now(UTC))).decode(),) for incident, ordinal in rows]
    async with conn.cursor() as cursor:
        if told:
            await cursor.executemany("INSERT INTO inbox (record) VALUES (%s)", told)


def _why(incident: Incident) -> str:
    if incident.stage == "merged":
        return f"merged into {incident.parent} meanwhile"
    if incident.stage == "closed":
        return "closed meanwhile: not seen any more"
    return f"resolved as {incident.outcome or 'unspecified'} meanwhile"
