"""What one transaction of the book writes: incidents, obligations, due times, dead letters, and what is said to Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import DeadLetter, Hushed, Incident, Obligation
from ..records.deadletters import pack
from ..records.timeline import encode
from ..settle import Saying, publish_all
from . import expiring

OVER = frozenset({"resolved", "closed", "merged"})

_INCIDENT = """
INSERT INTO incidents (id, fingerprint, episode, stage, severity, owner, detector, agent, releases, environment, parent,
    ticket, page, first_seen, last_seen, opened_at, count, outcome, body)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, severity = excluded.severity, owner = excluded.owner,
    agent = excluded.agent, releases = excluded.releases, environment = excluded.environment, parent = excluded.parent,
    ticket = excluded.ticket, page = excluded.page, first_seen = excluded.first_seen, last_seen = excluded.last_seen,
    count = excluded.count, outcome = excluded.outcome, body = excluded.body, updated_at = now()
"""
_OBLIGATION = """
INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body, after, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""

_SILENCE = """
INSERT INTO silences (id, kind, matchers, reason, actor, source, at, until, ended_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, matchers = excluded.matchers, reason = excluded.reason,
    actor = excluded.actor, source = excluded.source, at = least(silences.at, excluded.at), until = excluded.until,
    ended_at = CASE WHEN excluded.ended_at IS NULL THEN NULL ELSE coalesce(silences.ended_at, excluded.ended_at) END
"""

TIDY_MAX = 1000
# Umbrellas belong to no incident. The page and the ticket stay: whatever a person says later refers to them.
_FINISHED = """
DELETE FROM obligations WHERE id IN (
    SELECT o.id FROM obligations o LEFT JOIN incidents i ON i.id = o.incident
    WHERE o.state IN ('done', 'refused', 'expired') AND o.settled_at < %(before)s
        AND (i.id IS NULL OR (o.sort <> 'opens' AND i.stage IN ('resolved', 'closed', 'merged')
            AND i.updated_at < %(before)s))
        AND NOT EXISTS (SELECT 1 FROM obligations w WHERE w.after @> ARRAY[o.id] AND w.incident = o.incident
            AND w.destination = o.destination AND w.state IN ('owed', 'attempting'))
    ORDER BY o.settled_at LIMIT %(limit)s)
"""
_ATTEMPTS = """
DELETE FROM attempts WHERE id IN (
    SELECT a.id FROM attempts a JOIN obligations o ON o.id = a.obligation JOIN incidents i ON i.id = o.incident
    WHERE a.started < %(before)s AND i.stage IN ('resolved', 'closed', 'merged') AND i.updated_at < %(before)s
    ORDER BY a.id LIMIT %(limit)s)
"""
# Each drill has a fingerprint of its own: what the book remembers of it would be kept for ever.
_FORGET_DRILLS = """
DELETE FROM memories m USING incidents i WHERE i.detector = 'canary' AND i.stage IN ('resolved', 'closed')
    AND i.updated_at < %s AND m.decider = 'incident' AND m.key = i.fingerprint
"""


async def fresh(conn: Connection, findings: Sequence[str]) -> set[str]:
    """Those never seen before; from now on they are."""
    if not findings:
        return set()
    cursor = await conn.execute(
        "INSERT INTO seen (finding) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING RETURNING finding",
        [list(findings)],
    )
    return {finding for (finding,) in await cursor.fetchall()}


async def say(conn: Connection, said: Sequence[Any], topic: str) -> None:
    """Incidents as they stand at the end of it, obligations as they were promised."""
    last = {record.id: record for record in said if isinstance(record, Incident)}
    # What is over goes first: one fingerprint's next episode opens in the same transaction.
    incidents = sorted(last.values(), key=lambda incident: incident.stage not in OVER)
    obligations = [record for record in said if isinstance(record, Obligation)]
    async with conn.cursor() as cursor:
        if incidents:
            await cursor.executemany(_INCIDENT, [_incident(one) for one in incidents])
        if obligations:
            await cursor.executemany(_OBLIGATION, [_obligation(one) for one in obligations])
        for hushed in (record for record in said if isinstance(record, Hushed)):
            await cursor.execute(_SILENCE, _silence(hushed))
    await expiring.over(conn, incidents)
    for hushed in (record for record in said if isinstance(record, Hushed) and record.ended_at is None):
        await expiring.hushed(conn, hushed.silence)
    await publish_all(conn, [Saying(topic, one.id, encode(one)) for one in last.values()])


def _incident(one: Incident) -> tuple[Any, ...]:
    return (
        one.id, one.fingerprint, one.episode, one.stage, one.severity, one.owner, one.detector, one.about.agent,
        list(one.releases), one.about.environment, one.parent, one.ticket, one.page, one.first_seen, one.last_seen,
        one.opened_at, one.count, one.outcome, Jsonb(one, dumps=encode),
    )  # fmt: skip


def _obligation(one: Obligation) -> tuple[Any, ...]:
    receiver = one.destination.partition(":")[0]
    body = Jsonb(one.body, dumps=encode)
    return (one.id, one.incident, one.kind, one.ordinal, receiver, one.destination, body, list(one.after), one.at)


def _silence(hushed: Hushed) -> tuple[Any, ...]:
    one = hushed.silence
    matchers = Jsonb(one.matchers, dumps=encode)
    return (one.id, one.kind, matchers, one.reason, one.actor, one.source, one.at, one.until, hushed.ended_at)


async def bury(conn: Connection, letters: Iterable[DeadLetter], topic: str) -> None:
    sayings = []
    for letter in letters:
        key, value, headers = pack(letter)
        sayings.append(Saying(topic, key.decode(), value, tuple(headers)))
    await publish_all(conn, sayings)


async def inbox(conn: Connection, limit: int) -> list[tuple[int, str, datetime]]:
    cursor = await conn.execute("SELECT id, record::text, at FROM inbox ORDER BY id LIMIT %s", [limit])
    return [(number, record, at) for number, record, at in await cursor.fetchall()]


async def emptied(conn: Connection, numbers: Sequence[int]) -> None:
    if numbers:
        await conn.execute("DELETE FROM inbox WHERE id = ANY(%s)", [list(numbers)])


async def due(conn: Connection, names: Sequence[str], now: datetime, limit: int) -> list[tuple[str, str]]:
    """What the deciders of these names are to be woken for."""
    query = "SELECT decider, key FROM due WHERE decider = ANY(%s) AND at <= %s ORDER BY at LIMIT %s"
    cursor = await conn.execute(query, [list(names), now, limit])
    return [(decider, key) for decider, key in await cursor.fetchall()]


async def wake(conn: Connection, wakes: Mapping[tuple[str, str], datetime | None]) -> None:
    slept = [address for address, at in wakes.items() if at is None]
    waking = [(*address, at) for address, at in wakes.items() if at is not None]
    async with conn.cursor() as cursor:
        if slept:
            await cursor.executemany("DELETE FROM due WHERE decider = %s AND key = %s", slept)
        if waking:
            await cursor.executemany(
                "INSERT INTO due VALUES (%s, %s, %s) ON CONFLICT (decider, key) DO UPDATE SET at = excluded.at", waking
            )


async def tidy(conn: Connection, before: datetime, finished: datetime, limit: int = TIDY_MAX) -> bool:
    """Findings that can no longer be read again need not be remembered, nor what was done for incidents long over.

    True: there is more of it. Attempts go with their obligations.
    """
    await conn.execute("DELETE FROM seen WHERE at < %s", [before])
    await conn.execute(_FORGET_DRILLS, [before])
    given = {"before": finished, "limit": limit}
    gone = [(await conn.execute(query, given)).rowcount for query in (_FINISHED, _ATTEMPTS)]
    return max(gone) >= limit


async def waiting(conn: Connection) -> list[tuple[str, str, int, float]]:
    """Receiver, state, how many, and the age of the oldest, of what is not done."""
    cursor = await conn.execute(
        "SELECT receiver, state, count(*), extract(epoch FROM now() - min(created_at))::float8 FROM obligations"
        " WHERE state IN ('owed', 'attempting', 'refused') GROUP BY receiver, state"
    )
    return [(receiver, state, count, age) for receiver, state, count, age in await cursor.fetchall()]
