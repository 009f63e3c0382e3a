"""Made-up incidents on a schedule, through everything: said, paged, ticketed, checked, measured, closed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..database import Connection
from ..records import Finding, Obligation, Outcome
from ..records.timeline import encode
from ..settle import publish
from .book_rows import say
from .meters import Meters
from .owed import tell

log = logging.getLogger(__name__)

FORGOTTEN = timedelta(days=1)  # one that never arrives is closed then, whatever became of it

_OPEN = """
SELECT i.id, i.first_seen, p.state = 'done', t.state = 'done', greatest(p.settled_at, t.settled_at), t.id, t.destination
FROM incidents i
LEFT JOIN obligations p ON p.incident = i.id AND p.kind = 'page' AND p.ordinal = 1
LEFT JOIN obligations t ON t.incident = i.id AND t.kind = 'ticket' AND t.ordinal = 1
WHERE i.detector = 'canary' AND i.stage NOT IN ('resolved', 'closed', 'merged') ORDER BY i.opened_at
"""


class Schedule(NamedTuple):
    """When, what, and within which time."""

    every_s: float
    within_s: float
    slot_of: Callable[[datetime], int]
    made_up: Callable[[int, datetime], Finding]
    closed: Callable[[str, str, str, datetime], Obligation]
    findings: str  # topic
    incidents: str


class Canary:
    """Its memory is the database: what was said for a slot of the schedule is said once, whoever says it."""

    def __init__(self, schedule: Schedule, meters: Meters) -> None:
        self._schedule, self._meters = schedule, meters
        self._said: dict[str, datetime] = {}  # fingerprints of those that the book has not got yet

    async def turn(self, conn: Connection, now: datetime) -> int:
        """How many are overdue."""
        await self._say(conn, now)
        overdue = 0
        cursor = await conn.execute(_OPEN)
        for incident, began, paged, ticketed, arrived, ticket, destination in await cursor.fetchall():
            self._said.pop(incident.rpartition("#")[0], None)
            if paged and ticketed:
                self._meters.drilled((arrived - began).total_seconds(), now.timestamp())
                await self._close(conn, incident, self._schedule.closed(incident, ticket, destination, now), now)
            elif now - began > FORGOTTEN:
                await self._close(conn, incident, None, now)
            else:
                overdue += (now - began).total_seconds() > self._schedule.within_s
        if self._said:  # decided on, or closed by another process, before this one saw it
            known = "SELECT fingerprint FROM incidents WHERE fingerprint = ANY(%s)"
            for (mark,) in await (await conn.execute(known, [list(self._said)])).fetchall():
                self._said.pop(mark, None)
        late = [began for began in self._said.values() if (now - began).total_seconds() > self._schedule.within_s]
        return overdue + len(late)

    async def _say(self, conn: Connection, now: datetime) -> None:
        slot = self._schedule.slot_of(now)
        finding = self._schedule.made_up(slot, now)
        if finding.fingerprint in self._said:
            return
        cursor = await conn.execute(
            "SELECT 1 FROM seen WHERE finding = %s UNION ALL SELECT 1 FROM publish WHERE topic = %s AND key = %s",
            [finding.id, self._schedule.findings, finding.fingerprint],
        )
        if await cursor.fetchone() is None:
            await publish(conn, self._schedule.findings, finding.fingerprint, encode(finding))
            self._said = {**dict(list(self._said.items())[-10:]), finding.fingerprint: now}

    async def _close(self, conn: Connection, incident: str, transition: Obligation | None, now: datetime) -> None:
        """Resolved as what it was; its ticket is done, too."""
        outcome = Outcome(incident, "accepted_risk", now, actor="canary", source="canary", reason="a drill")
        said: list[Any] = [] if transition is None else [transition]
        async with conn.transaction():
            cursor = await conn.execute(
                "SELECT 1 FROM inbox WHERE record->>'incident' = %s AND record->>'actor' = 'canary'", [incident]
            )
            if await cursor.fetchone() is None:
                await tell(conn, [outcome])
                await say(conn, said, self._schedule.incidents)
