"""Reads the tickets people are working on, by id, and writes down what they decided."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from ..database import Connection
from ..records import Outcome
from .following import gone, moved
from .jira import JiraReader
from .recording import record_outcome
from .ticket import Known, Mover, TicketRead

log = logging.getLogger(__name__)

GONE_AFTER = timedelta(minutes=10)
TICKETS_MAX = 5000

# A decided incident is read for a month more: people reopen tickets and change their minds. What a merged one's ticket
# says is our own closing of a duplicate. The book says who decided: `name (source)`.
WATCHED = """
SELECT DISTINCT ON (i.id) i.id, o.reference, o.id AS obligation, o.url, COALESCE(t.id, '') AS number, COALESCE(t.turn, 0), COALESCE(t.done, false), t.outcome, t.fixed_in,
    t.missing_since, i.outcome IS NOT NULL AND COALESCE(i.body->>'resolved_by', '') !~ 'jira[)]?$', t.read_at
FROM incidents i
JOIN obligations o ON o.incident = i.id AND o.kind = 'ticket' AND o.state = 'done' AND o.reference IS NOT NULL
LEFT JOIN tickets t ON t.incident = i.id
WHERE i.stage NOT IN ('merged', 'closed') AND t.gone_at IS NULL
    AND (i.stage <> 'resolved' OR i.updated_at > now() - interval '30 days')
    AND i.detector <> 'canary'
ORDER BY i.id, o.ordinal
"""
OLDEST_FIRST = f"SELECT * FROM ({WATCHED}) watched ORDER BY read_at NULLS FIRST LIMIT {TICKETS_MAX}"  # noqa: S608 - no value in it
SAME = "UPDATE tickets SET read_at = now(), missing_since = NULL WHERE incident = ANY(%s)"
CHANGED = """
INSERT INTO tickets (incident, reference, id, key, status, done, outcome, fixed_in, read_at, turn)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now(), 1)
ON CONFLICT (incident) DO UPDATE SET reference = EXCLUDED.reference, id = EXCLUDED.id, key = EXCLUDED.key, status = EXCLUDED.status,
    done = EXCLUDED.done, outcome = EXCLUDED.outcome, fixed_in = EXCLUDED.fixed_in, read_at = now(),
    missing_since = NULL, turn = tickets.turn + 1
WHERE tickets.turn = %s
RETURNING turn
"""
MISSING = """
INSERT INTO tickets (incident, reference, missing_since) VALUES (%s, %s, %s)
ON CONFLICT (incident) DO UPDATE SET missing_since = COALESCE(tickets.missing_since, EXCLUDED.missing_since)
"""
GONE = "UPDATE tickets SET gone_at = %s WHERE incident = %s AND gone_at IS NULL"


class Watched(NamedTuple):
    """An incident with a ticket, and what is known about it."""

    incident: str
    reference: str
    obligation: str
    url: str | None
    number: str  # the tracker's own: it stays when the ticket is moved
    turn: int
    done: bool
    outcome: str | None
    fixed_in: str | None
    missing_since: datetime | None
    elsewhere: bool
    read_at: datetime | None

    @property
    def name(self) -> str:
        return self.number or self.reference

    @property
    def known(self) -> Known:
        return Known(self.done, self.outcome, self.fixed_in, self.elsewhere)  # type: ignore[arg-type]


class Judge(Protocol):
    """What deciders make of a ticket. Handed in: this file does not decide."""

    def outcome(self, incident: str, known: Known, read: TicketRead, by: Mover) -> Outcome | None: ...

    def remembered(self, read: TicketRead, known: Known) -> Known: ...


class Polling:
    """One turn reads every watched ticket once. Raises TrackerAway when the site can't be read: nothing changes then."""

    def __init__(self, reader: JiraReader, judge: Judge, topic: str) -> None:
        self._reader, self._judge, self._topic = reader, judge, topic

    async def turn(self, conn: Connection, only: Sequence[str] = ()) -> list[Outcome]:
        """What people decided since the last turn, already written down. `only`: of these tickets, by number or key."""
        rows = await (await conn.execute(OLDEST_FIRST)).fetchall()
        watched = [Watched(*row) for row in rows]
        watched = [one for one in watched if not only or {one.number, one.reference} & set(only)]
        if not watched:
            return []
        found = await self._reader.read([one.name for one in watched])
        same, said = [], []
        for one in watched:
            read = found[one.name]
            if read is None:
                continue
            known = self._judge.remembered(read, one.known)
            before = (one.done, one.outcome, one.fixed_in, one.number, one.reference)
            if one.turn and (known.done, known.outcome, known.fixed_in, read.id, read.key) == before:
                same.append(one.incident)
            elif outcome := await self._changed(conn, one, read, known):
                said.append(outcome)
        await conn.execute(SAME, [same])
        await self._missing(conn, [one for one in watched if found[one.name] is None])
        return said

    async def _changed(self, conn: Connection, one: Watched, read: TicketRead, known: Known) -> Outcome | None:
        now = datetime.now(UTC)
        touched = read.done or one.done
        by = await self._reader.mover(read, now) if touched else Mover("", now)
        outcome = self._judge.outcome(one.incident, one.known, read, by)
        state = (read.status, known.done, known.outcome, known.fixed_in, one.turn)
        row = (one.incident, one.reference, read.id, read.key, *state)
        async with conn.transaction():
            if not await (await conn.execute(CHANGED, row)).fetchone():
                return None  # another process has read it meanwhile, and said what there was to say
            if read.key and read.key != one.reference:
                await moved(conn, one, read.key)
            if outcome is not None:
                await record_outcome(conn, self._topic, outcome)
        return outcome

    async def _missing(self, conn: Connection, missing: list[Watched]) -> None:
        """A ticket is gone when it was not there twice, ten minutes apart, and it is not we who were locked out."""
        if not missing or not await self._reader.trusted():
            return
        projects = {one.reference.rpartition("-")[0] for one in missing}
        seen = {project for project in projects if await self._reader.sees(project)}
        now = datetime.now(UTC)
        for one in missing:
            if one.reference.rpartition("-")[0] not in seen:
                log.warning("ticket %s cannot be seen, like its whole project", one.reference)
            elif one.missing_since is not None and now - one.missing_since >= GONE_AFTER:
                log.warning("ticket %s of incident %s is gone", one.reference, one.incident)
                await self._gone(conn, one, now)
            else:
                await conn.execute(MISSING, [one.incident, one.reference, now])

    async def _gone(self, conn: Connection, one: Watched, now: datetime) -> None:
        async with conn.transaction():
            if (await conn.execute(GONE, [now, one.incident])).rowcount:
                await gone(conn, one)


async def hinted(conn: Connection) -> list[str]:
    """Takes the hints. One that is lost here costs until the next reading of everything."""
    return [name for (name,) in await (await conn.execute("DELETE FROM hinted RETURNING ticket")).fetchall()]


class Mapped:
    """A Judge of two functions and the policy's names of resolutions."""

    def __init__(self, decide: Decide, remembered: Remember, mapping: Mapping[str, str]) -> None:
        self._decide, self._remembered, self._mapping = decide, remembered, mapping

    def outcome(self, incident: str, known: Known, read: TicketRead, by: Mover) -> Outcome | None:
        return self._decide(incident, known, read, self._mapping, by)

    def remembered(self, read: TicketRead, known: Known) -> Known:
        return self._remembered(read, known, self._mapping)


class Decide(Protocol):
    def __call__(
        self, incident: str, known: Known, read: TicketRead, mapping: Mapping[str, str], by: Mover
    ) -> Outcome | None: ...


class Remember(Protocol):
    def __call__(self, read: TicketRead, known: Known, mapping: Mapping[str, str]) -> Known: ...
