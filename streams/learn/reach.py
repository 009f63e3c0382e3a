"""How much of an agent's work a control would stop: the share of its sessions in the last hour."""

from __future__ import annotations

from ..database import Connection
from ..records import Scope

SHARE = """
SELECT (sum(sessions) FILTER (WHERE release = %(id)s))::float8 / nullif(sum(sessions), 0)::float8, sum(sessions)
FROM exposure e WHERE agent = %(agent)s AND minute > now() - interval '1 hour'
    AND generation = (SELECT max(generation) FROM exposure WHERE agent = %(agent)s)
"""


async def affected(conn: Connection, scope: Scope) -> float | None:
    """None: it had no sessions, or nobody counts how many use that tool."""
    if scope.kind not in ("agent", "release"):
        return None
    row = await (await conn.execute(SHARE, {"agent": scope.agent, "id": scope.id})).fetchone()
    if row is None or not row[1]:
        return None
    return 1.0 if scope.kind == "agent" else float(row[0] or 0.0)
