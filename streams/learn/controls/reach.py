"""How much of an agent's work a control would stop: the share of its sessions in the last hour."""

from __future__ import annotations

from ...database import Connection
from ...records import Scope

# The last hour of the agent's own event time: what is replayed, or far behind, is known as well.
SHARE = """
WITH hour AS (
    SELECT release, sessions, more FROM exposure e JOIN (
        SELECT generation, max(minute) AS newest FROM exposure WHERE agent = %(agent)s
        GROUP BY generation ORDER BY generation DESC LIMIT 1
    ) AS last USING (generation)
    WHERE e.agent = %(agent)s AND e.minute > last.newest - interval '1 hour'
)
SELECT coalesce(sum(sessions), 0)::float8,
    coalesce(sum(sessions) FILTER (WHERE release = %(id)s), 0)::float8,
    coalesce(sum((more->'calls'->>%(id)s)::bigint), 0)::float8
FROM hour
"""


async def affected(conn: Connection, scope: Scope) -> float | None:
    """None: it had no sessions, or nobody counts how many use that tool. Of a tool's calls each may be a session's."""
    if scope.kind not in ("agent", "release", "agent_tool"):
        return None
    row = await (await conn.execute(SHARE, {"agent": scope.agent, "id": scope.id})).fetchone()
    if row is None or not row[0]:
        return None
    sessions, released, calls = row
    match scope.kind:
        case "agent":
            return 1.0
        case "release":
            return float(released / sessions)
    return float(min(calls / sessions, 1.0)) if calls else None
