"""What the auditor asks the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..database import Connection

LATE_MAX = 500


class Late(NamedTuple):
    """An open incident that people are owed, and what of it is missing: its page or its ticket."""

    incident: str
    kind: str
    obligation: str | None  # None: it was never promised
    state: str | None
    why: str | None
    since: datetime
    other: str | None  # the incident's obligation that was done: its page where the ticket is missing, or its ticket
    elsewhere: str | None  # where that went


# People are owed an incident that nothing holds back; its page by whichever receiver, its ticket.
_LATE = """
SELECT i.id, w.kind, o.id, o.state, o.why, coalesce(o.created_at, i.opened_at), d.id, d.destination
FROM incidents i
CROSS JOIN (VALUES ('page', 'ticket', %(page_s)s::float8), ('ticket', 'page', %(ticket_s)s::float8))
    AS w(kind, other, within_s)
LEFT JOIN LATERAL (
    SELECT id, state, why, created_at FROM obligations
    WHERE incident = i.id AND kind = w.kind AND ordinal > 0 AND sort = 'opens'
    ORDER BY state = 'done' DESC, state = 'expired', seq LIMIT 1) o ON true
LEFT JOIN LATERAL (
    SELECT id, destination FROM obligations
    WHERE incident = i.id AND kind = w.other AND ordinal = 1 AND state = 'done'
    ORDER BY destination LIKE 'slack:%%' DESC, seq LIMIT 1) d ON true
WHERE i.stage IN ('open', 'acknowledged', 'mitigated') AND coalesce(jsonb_array_length(CASE
        WHEN w.kind = 'ticket' THEN (i.body->'held') - 'ticket_only' ELSE i.body->'held' END), 0) = 0
    AND (w.kind = 'ticket' OR i.severity IN ('critical', 'high'))
    AND o.state IS DISTINCT FROM 'done' AND o.state IS DISTINCT FROM 'expired'
    AND coalesce(o.created_at, i.opened_at) < now() - make_interval(secs => w.within_s)
    AND (o.id IS NOT NULL OR i.stage <> 'mitigated')  -- should it be back, it asks
    AND (w.kind = 'page' OR 'jira' = ANY(%(receivers)s))
    AND (w.kind = 'ticket' OR %(receivers)s && ARRAY['slack', 'pagerduty', 'webhook'])
    AND i.detector <> 'canary'
ORDER BY 6 LIMIT %(limit)s
"""


async def late(conn: Connection, page_s: float, ticket_s: float, receivers: Sequence[str]) -> list[Late]:
    """Open incidents without their page or ticket, the oldest first. One that waits for us alone, too."""
    given = {"page_s": page_s, "ticket_s": ticket_s, "receivers": list(receivers), "limit": LATE_MAX}
    cursor = await conn.execute(_LATE, given)
    return [Late(*row) for row in await cursor.fetchall()]


async def waiting(conn: Connection, within_s: float, receivers: Sequence[str]) -> tuple[int, datetime | None]:
    """What adds to something that is there, and does not get done. Edits may lag: Slack has few for all."""
    cursor = await conn.execute(
        "SELECT count(*), min(o.created_at) FROM obligations o"
        " WHERE o.state IN ('owed', 'attempting') AND o.sort = 'adds' AND o.receiver = ANY(%s)"
        " AND o.created_at < now() - make_interval(secs => %s)"
        " AND NOT EXISTS (SELECT 1 FROM obligations p WHERE p.id = ANY(o.after) AND p.state <> 'done')",
        [list(receivers), within_s],
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, None)


async def refused(conn: Connection) -> tuple[int, datetime | None]:
    cursor = await conn.execute(
        "SELECT count(*), min(o.settled_at) FROM obligations o JOIN incidents i ON i.id = o.incident"
        " WHERE o.state = 'refused' AND o.sort = 'opens' AND i.stage IN ('open', 'acknowledged', 'mitigated')"
    )
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, None)


async def owe_refused_again(conn: Connection, after_s: float) -> int:
    """Whatever was in the way, a person may have taken it away by now; and what waited for it is owed with it."""
    cursor = await conn.execute(
        "UPDATE obligations o SET state = 'owed', failures = 0, not_before = now(), settled_at = NULL"
        " FROM incidents i WHERE i.id = o.incident AND i.stage IN ('open', 'acknowledged', 'mitigated')"
        " AND o.state = 'refused' AND (o.sort = 'opens' OR o.why LIKE 'waits for %%')"
        " AND o.settled_at < now() - make_interval(secs => %s)",
        [after_s],
    )
    if cursor.rowcount:
        await conn.execute("SELECT pg_notify('tocsin_obligations', '')")
    return cursor.rowcount


async def at_once(conn: Connection, obligations: Sequence[str]) -> None:
    await conn.execute(
        "UPDATE obligations SET not_before = now() WHERE id = ANY(%s) AND state = 'owed'", [list(obligations)]
    )
    await conn.execute("SELECT pg_notify('tocsin_obligations', '')")


async def unsaid(conn: Connection, finding: str) -> bool:
    cursor = await conn.execute("SELECT 1 FROM seen WHERE finding = %s", [finding])
    return await cursor.fetchone() is None
