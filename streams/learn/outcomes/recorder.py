"""Writes down what a person decided: as a whole, by whom, whether in bulk or under pressure, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from msgspec.structs import replace
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Confirmed, Merge, Outcome
from ..recording import put, record_outcome, tell

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
CROWD_MAX = 2000
BY_NOBODY = ("parent", "book")
BEFORE = """
SELECT i.body->>'dependency', (SELECT o.body::text FROM outcomes o WHERE o.incident = i.id ORDER BY o.id DESC LIMIT 1)
FROM incidents i WHERE i.id = %s
"""
# Two decisions of one person wait for each other: whether there are many of them is counted one after another.
ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 8242))"
BESIDE = """
SELECT DISTINCT ON (incident) incident, at, COALESCE((body->>'bulk')::boolean, false), body::text FROM outcomes
WHERE actor = %s AND at BETWEEN %s AND %s AND NOT reopened AND incident <> %s AND body IS NOT NULL
ORDER BY incident, id DESC LIMIT %s
"""
# Whose promotion an incident blocks: who wrote the release, and who asked for it all the same.
WANTING = """
SELECT DISTINCT who FROM (
    SELECT d.agent, d.release FROM gate_states s JOIN decisions d ON d.id = s.decision
    WHERE s.state = 'block' AND convert_from(d.document, 'UTF8')::jsonb->'reasons' @> %s
) blocked
JOIN releases r ON r.agent = blocked.agent AND r.release = blocked.release
CROSS JOIN LATERAL (
    SELECT r.body->'author'->>'id' AS who
    UNION SELECT o.body->>'requested_by' FROM overrides o
    WHERE o.agent = blocked.agent AND o.release = blocked.release
) people
WHERE who <> ''
"""
ORIGINAL = """
SELECT id FROM incidents
WHERE (id = %(of)s OR ticket = %(of)s) AND id <> %(incident)s AND stage IN ('open', 'acknowledged', 'mitigated')
ORDER BY opened_at DESC LIMIT 1
"""
UNCONFIRMED = """
SELECT DISTINCT ON (o.incident) o.incident, o.body::text FROM outcomes o
WHERE o.incident = ANY(%s) AND o.body IS NOT NULL ORDER BY o.incident, o.id DESC
"""
WAITING = """
SELECT body::text FROM (SELECT DISTINCT ON (incident) * FROM outcomes WHERE body IS NOT NULL ORDER BY incident, id DESC) o
WHERE NOT reopened AND confirmed_at IS NULL AND ((body->>'bulk')::boolean OR (body->>'pressed')::boolean)
ORDER BY at DESC LIMIT %s
"""
STOOD_BY = """
UPDATE outcomes SET confirmed_by = %s, confirmed_at = %s
WHERE id IN (SELECT max(id) FROM outcomes WHERE incident = ANY(%s) GROUP BY incident)
"""


class Rules(Protocol):
    """What deciders make of an outcome before it is written down. Handed in: this file does not decide."""

    def typed(self, name: str) -> str: ...

    def in_slack(self, number: str, name: str) -> str: ...

    def complete(self, of: Outcome, dependency: str, before: Outcome | None) -> Outcome: ...

    def crowd(self, of: Outcome, others: Iterable[tuple[str, datetime]]) -> frozenset[str]: ...

    def pressed(self, of: Outcome, wanting: Iterable[str]) -> bool: ...


class SamePerson(Exception):
    """What somebody said under pressure is not confirmed by the same person."""


class Recorder:
    def __init__(self, topic: str, rules: Rules) -> None:
        self._topic, self._rules = topic, rules

    def typed(self, name: str) -> str:
        """The person who types this name."""
        return self._rules.typed(name)

    def in_slack(self, number: str, name: str) -> str:
        """The person whom Slack knows by this number."""
        return self._rules.in_slack(number, name)

    async def record(self, conn: Connection, given: Outcome, beside: Sequence[Outcome] = ()) -> Outcome:
        """All or nothing, in the caller's transaction if there is one. Answers the outcome as it was written down.

        `beside`: what is known already to be written down next. A crowd is one from its first decision on then.
        """
        async with conn.transaction():
            dependency, before = await _before(conn, given.incident)
            outcome = self._rules.complete(given, dependency, before)
            if outcome.reopened or outcome.source in BY_NOBODY:
                await record_outcome(conn, self._topic, outcome)
                return outcome
            outcome, others = await self._counted(conn, outcome, beside)
            if outcome.outcome == "false_positive":
                wanting = await _wanting(conn, outcome.incident)
                outcome = replace(outcome, pressed=self._rules.pressed(outcome, wanting))
            await self._written(conn, outcome)
            for other in others:
                await record_outcome(conn, self._topic, other, book=False)
        return outcome

    async def confirm(self, conn: Connection, given: Confirmed) -> tuple[str, ...]:
        """Those that had waited for it. One that was said under pressure is said again by this person; raises SamePerson."""
        async with conn.transaction():
            rows = await (await conn.execute(UNCONFIRMED, [list(given.incidents)])).fetchall()
            last = [msgspec.json.decode(body, type=Outcome) for _, body in rows]
            bulk = tuple(one.incident for one in last if one.bulk and not one.pressed and not one.reopened)
            pressed = [one for one in last if one.pressed and not one.reopened]
            for one in pressed:
                again = replace(one, at=given.at, actor=given.actor, source=given.source, pressed=False, bulk=False)
                again = self._rules.complete(again, "", one)
                if self._rules.pressed(again, [one.actor, *await _wanting(conn, one.incident)]):
                    raise SamePerson(one.incident)
                await record_outcome(conn, self._topic, again)
            if bulk:
                await conn.execute(STOOD_BY, [given.actor, given.at, list(bulk)])
                await tell(conn, replace(given, incidents=bulk))
        return (*bulk, *(one.incident for one in pressed))

    async def _counted(
        self, conn: Connection, outcome: Outcome, beside: Sequence[Outcome]
    ) -> tuple[Outcome, list[Outcome]]:
        """In bulk or not, and those before it that turn out to have been the beginning of it: they are said again."""
        await conn.execute(ALONE, [outcome.actor])
        bounds = (outcome.at - MINUTE, outcome.at + MINUTE, outcome.incident, CROWD_MAX)
        rows = await (await conn.execute(BESIDE, [outcome.actor, *bounds])).fetchall()
        same = [one for one in beside if self._rules.typed(one.actor) == outcome.actor and not one.reopened]
        together = {one.incident: one.at for one in same} | {name: at for name, at, _, _ in rows}
        crowd = self._rules.crowd(outcome, together.items())
        if outcome.incident not in crowd:
            return outcome, []
        first = [body for name, _, bulk, body in rows if name in crowd and not bulk]
        others = [msgspec.json.decode(body, type=Outcome) for body in first]
        return replace(outcome, bulk=True), [
            replace(one, bulk=True, at=max(one.at + TICK, outcome.at)) for one in others
        ]

    async def _written(self, conn: Connection, outcome: Outcome) -> None:
        """A duplicate of what is still open becomes a part of it, and ends as it does."""
        parent = await _original(conn, outcome) if outcome.outcome == "duplicate" and outcome.duplicate_of else None
        await record_outcome(conn, self._topic, outcome, book=parent is None)
        if parent is not None:
            why = outcome.reason or "a duplicate of it"
            await put(conn, Merge(outcome.incident, parent, outcome.at, outcome.actor, outcome.source, why))


async def waiting(conn: Connection, limit: int) -> list[Outcome]:
    """Decisions that count for nothing but tickets and gates until somebody stands by them, the newest first."""
    rows = await (await conn.execute(WAITING, [limit])).fetchall()
    return [msgspec.json.decode(body, type=Outcome) for (body,) in rows]


async def _before(conn: Connection, incident: str) -> tuple[str, Outcome | None]:
    """What the findings name as the dependency, and the last decision."""
    row = await (await conn.execute(BEFORE, [incident])).fetchone()
    if row is None:
        return "", None
    return str(row[0] or ""), msgspec.json.decode(row[1], type=Outcome) if row[1] else None


async def _wanting(conn: Connection, incident: str) -> list[str]:
    blocking = Jsonb([{"effect": "block", "detail": {"incident": incident}}])
    rows = await (await conn.execute(WANTING, [blocking])).fetchall()
    return [str(who) for (who,) in rows]


async def _original(conn: Connection, outcome: Outcome) -> str | None:
    given = {"of": outcome.duplicate_of, "incident": outcome.incident}
    row = await (await conn.execute(ORIGINAL, given)).fetchone()
    return str(row[0]) if row else None
