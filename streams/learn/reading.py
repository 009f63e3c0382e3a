"""What gates look at, as the database has it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from ..database import Connection
from ..records import GateExposure, GateIncident, GateSnapshot
from . import delivering

INCIDENTS_MAX = 20_000
CHUNK = 500  # rows at once: whoever reads a large snapshot still answers meanwhile

STAND = """
SELECT (SELECT sum(version)::bigint FROM gate_inputs), (SELECT value FROM gauges WHERE name = 'watermark')
"""
EXPOSURE = """
SELECT agent, release, environment, max(sessions), max(bad) FROM exposed GROUP BY agent, release, environment
"""
# A merged incident has the stage and outcome of the one that explains it, for as long as that is there.
INCIDENTS = """
SELECT i.id, left(i.body->>'title', 200), i.severity, COALESCE(p.stage, i.stage), i.releases,
    CASE WHEN p.id IS NULL THEN i.outcome ELSE p.outcome END,
    CASE WHEN p.id IS NULL THEN i.body->>'fixed_in' ELSE p.body->>'fixed_in' END,
    COALESCE(i.ticket, p.ticket), COALESCE(i.body->>'ticket_url', p.body->>'ticket_url'), i.body->'subject'->>'agent'
FROM incidents i LEFT JOIN incidents p ON i.stage = 'merged' AND p.id = i.parent
WHERE i.severity = ANY(%s) AND cardinality(i.releases) > 0
    AND (i.stage NOT IN ('resolved', 'closed') OR i.outcome IN ('fixed', 'unspecified'))
    AND NOT COALESCE(i.body->'held' @> '["dry_run"]', false) -- a detector on trial blocks nobody
ORDER BY i.stage IN ('resolved', 'closed'), i.last_seen DESC
LIMIT %s
"""


class Stand(NamedTuple):
    """What changes most often, read each second."""

    version: int
    watermark: datetime | None  # event time up to which findings have reached the book


async def stand(conn: Connection) -> Stand:
    row = await (await conn.execute(STAND)).fetchone()
    assert row is not None, "a SELECT without FROM has one row"
    return Stand(int(row[0] or 0), None if row[1] is None else datetime.fromtimestamp(row[1], UTC))


async def snapshot(conn: Connection, severities: Iterable[str]) -> GateSnapshot:
    """Everything at one moment: one transaction sees one state."""
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        version = (await stand(conn)).version
        releases = await delivering.releases(conn)
        exposure = [GateExposure(*row) async for row in conn.cursor().stream(EXPOSURE, size=CHUNK)]
        wanted = (sorted(set(severities)), INCIDENTS_MAX)
        incidents = [_incident(*row) async for row in conn.cursor().stream(INCIDENTS, wanted, size=CHUNK)]
    return GateSnapshot(version, tuple(releases), tuple(exposure), tuple(incidents))


def _incident(*row: object) -> GateIncident:
    *known, agent = row
    name, title, severity, stage, releases, outcome, fixed_in, ticket, url = known
    return GateIncident(
        id=str(name),
        title=str(title or ""),
        severity=str(severity),
        stage=str(stage),
        releases=tuple(releases),  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        fixed_in=fixed_in,  # type: ignore[arg-type]
        ticket=ticket,  # type: ignore[arg-type]
        ticket_url=url,  # type: ignore[arg-type]
        agents=(str(agent),) if agent else (),
    )
