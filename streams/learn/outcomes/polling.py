"""Reads the tickets people are working on, by id, and writes down what they decided."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from msgspec.structs import replace
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Notice, Outcome
from ..recording import put
from .following import gone, moved
from .jira import JiraReader
from .recorder import Recorder
from .ticket import Comment, Known, Mover, TicketRead

log = logging.getLogger(__name__)

GONE_AFTER = timedelta(minutes=10)
TICKETS_MAX = 5000
AT_ONCE = 4

# A decided incident is read for a month more: people reopen tickets and change their minds. What a merged one's ticket
# says is our own closing of a duplicate. The book says who decided: `name (source)`. Comments are read where the
# tracker says that the ticket was touched.
WATCHED = """
SELECT DISTINCT ON (i.id) i.id, o.reference, o.id AS obligation, o.url, COALESCE(t.id, '') AS number, COALESCE(t.turn, 0), COALESCE(t.done, false), t.outcome, t.fixed_in,
    t.missing_since, COALESCE(i.outcome, 'unspecified') <> 'unspecified' AND COALESCE(i.body->>'resolved_by', '') !~ 'jira[)]?$', t.read_at,
    COALESCE(t.updated, ''), COALESCE(t.heard, '{}'), COALESCE(t.detail, ''), i.stage
FROM incidents i
JOIN obligations o ON o.incident = i.id AND o.kind = 'ticket' AND o.state = 'done' AND o.reference IS NOT NULL
LEFT JOIN tickets t ON t.incident = i.id
WHERE i.stage <> 'merged' AND t.gone_at IS NULL
    AND (i.stage NOT IN ('resolved', 'closed') OR i.updated_at > now() - interval '30 days')
    AND i.detector <> 'canary'
ORDER BY i.id, o.ordinal
"""
OLDEST_FIRST = f"SELECT * FROM ({WATCHED}) watched ORDER BY read_at NULLS FIRST LIMIT {TICKETS_MAX}"  # noqa: S608 - no value in it
SAME = "UPDATE tickets SET read_at = now(), missing_since = NULL WHERE incident = ANY(%s)"
CHANGED = """
INSERT INTO tickets (incident, reference, id, key, status, updated, heard, done, outcome, fixed_in, detail, read_at, turn)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), 1)
ON CONFLICT (incident) DO UPDATE SET reference = EXCLUDED.reference, id = EXCLUDED.id, key = EXCLUDED.key, status = EXCLUDED.status,
    updated = EXCLUDED.updated, heard = EXCLUDED.heard, done = EXCLUDED.done, outcome = EXCLUDED.outcome,
    fixed_in = EXCLUDED.fixed_in, detail = EXCLUDED.detail, read_at = now(),
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
    updated: str
    heard: dict[str, str]
    detail: str
    stage: str

    @property
    def name(self) -> str:
        return self.number or self.reference

    @property
    def known(self) -> Known:
        return Known(self.done, self.outcome, self.fixed_in, self.elsewhere, self.detail)  # type: ignore[arg-type]


class Changed(NamedTuple):
    """A ticket that is not as it was, and what to believe of it from now on."""

    one: Watched
    read: TicketRead
    known: Known


class Heard(Protocol):
    """What comments come to."""

    @property
    def outcomes(self) -> Sequence[Outcome]: ...
    @property
    def notices(self) -> Sequence[Notice]: ...
    @property
    def heard(self) -> dict[str, str]: ...


class Judge(Protocol):
    """What deciders make of a ticket. Handed in: this file does not decide."""

    def outcome(self, incident: str, known: Known, read: TicketRead, by: Mover) -> Outcome | None: ...

    def remembered(self, read: TicketRead, known: Known) -> Known: ...

    def heard(self, incident: str, comments: Sequence[Comment], before: Mapping[str, str]) -> Heard: ...


class Polling:
    """One turn reads every watched ticket once. Raises TrackerAway when the site can't be read: nothing changes then."""

    def __init__(self, reader: JiraReader, judge: Judge, recorder: Recorder) -> None:
        self._reader, self._judge, self._recorder = reader, judge, recorder

    async def turn(self, conn: Connection, only: Sequence[str] = ()) -> list[Outcome]:
        """What people decided since the last turn, already written down. `only`: of these tickets, by number or key."""
        rows = await (await conn.execute(OLDEST_FIRST)).fetchall()
        watched = [Watched(*row) for row in rows]
        watched = [one for one in watched if not only or {one.number, one.reference} & set(only)]
        if not watched:
            return []
        found = await self._reader.read([one.name for one in watched])
        same: list[str] = []
        changed: list[Changed] = []
        for one in watched:
            read = found[one.name]
            if read is None:
                continue
            known = self._judge.remembered(read, one.known)
            before = (one.done, one.outcome, one.fixed_in, one.detail, one.number, one.reference, one.updated)
            after = (known.done, known.outcome, known.fixed_in, known.detail, read.id, read.key, read.updated)
            if one.turn and after == before:
                same.append(one.incident)
            else:
                changed.append(Changed(one, read, known))
        heard: list[tuple[Changed, Heard, list[Outcome]]] = []
        for start in range(0, len(changed), AT_ONCE):
            few = changed[start : start + AT_ONCE]
            heard += zip(few, *zip(*await asyncio.gather(*map(self._said, few)), strict=True), strict=True)
        beside = [outcome for _, _, said in heard for outcome in said]
        written = [outcome for each in heard for outcome in await self._written(conn, each, beside)]
        await conn.execute(SAME, [same])
        await self._missing(conn, [one for one in watched if found[one.name] is None])
        return written

    async def _said(self, of: Changed) -> tuple[Heard, list[Outcome]]:
        """What was said in comments and by the ticket itself, in the order in which it was said."""
        one, read, _ = of
        touched = not one.turn or read.updated != one.updated
        comments = await self._reader.comments(read) if touched else []
        heard = self._judge.heard(one.incident, comments, one.heard)
        stated = await self._stated(one, read, in_words=bool(heard.outcomes))
        return heard, sorted([*heard.outcomes, *([stated] if stated else [])], key=lambda outcome: outcome.at)

    async def _written(
        self, conn: Connection, of: tuple[Changed, Heard, list[Outcome]], beside: Sequence[Outcome]
    ) -> list[Outcome]:
        """`beside`: all that was said in this turn."""
        (one, read, known), heard, said = of
        state = (read.status, read.updated, Jsonb(heard.heard), known.done, known.outcome, known.fixed_in, known.detail)
        row = (one.incident, one.reference, read.id, read.key, *state, one.turn)
        async with conn.transaction():
            if not await (await conn.execute(CHANGED, row)).fetchone():
                return []  # another process has read it meanwhile, and said what there was to say
            if read.key and read.key != one.reference:
                await moved(conn, one, read.key)
            for notice in heard.notices:
                await put(conn, notice)
            return [await self._recorder.record(conn, outcome, beside) for outcome in said]

    async def _stated(self, one: Watched, read: TicketRead, *, in_words: bool) -> Outcome | None:
        now = datetime.now(UTC)
        by = await self._reader.mover(read, now) if read.done or one.done else Mover("", now)
        if one.stage == "closed" and by.ours:
            return None  # we closed it ourselves, because nobody said anything
        known = replace(one.known, elsewhere=one.known.elsewhere or in_words)
        return self._judge.outcome(one.incident, known, read, by)

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
