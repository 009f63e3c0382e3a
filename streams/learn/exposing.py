"""Writes down closed minutes of exposure and their sums, each minute once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import Exposure, Measure, RanWith, Registration

KNOWN = """
SELECT r.body, c.body FROM (SELECT 1) AS one
LEFT JOIN releases r ON (r.agent, r.release) = (%(agent)s, %(release)s)
LEFT JOIN release_configs c ON (c.agent, c.release, c.environment) = (%(agent)s, %(release)s, %(environment)s)
"""
RAN_WITH = """
INSERT INTO release_configs VALUES (%(agent)s, %(release)s, %(environment)s, %(body)s)
ON CONFLICT (agent, release, environment) DO UPDATE SET body = EXCLUDED.body
"""
COUNTED_FOR = """
SELECT release FROM exposure
WHERE (agent, environment, generation, minute) = (%(agent)s, %(environment)s, %(generation)s, %(minute)s)
    AND release = ANY(%(names)s)
"""
IMPLIED = """
INSERT INTO releases (agent, release, first_seen, parents, body)
VALUES (%(agent)s, %(release)s, %(minute)s, %(parents)s, %(body)s) ON CONFLICT (agent, release) DO NOTHING
"""
SEEN = """
INSERT INTO releases (agent, release, first_seen) VALUES (%(agent)s, %(release)s, %(minute)s)
ON CONFLICT (agent, release) DO UPDATE SET first_seen = EXCLUDED.first_seen
WHERE releases.first_seen > EXCLUDED.first_seen
"""
BEFORE = """
SELECT sessions, bad, evaluated, more FROM exposure
WHERE (agent, release, environment, generation, minute)
    = (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(minute)s)
"""
MINUTE = """
INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad, evaluated, more)
VALUES (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(minute)s, %(sessions)s, %(bad)s, %(evaluated)s, %(more)s)
ON CONFLICT (agent, release, environment, generation, minute) DO UPDATE
    SET sessions = EXCLUDED.sessions, bad = EXCLUDED.bad, evaluated = EXCLUDED.evaluated, more = EXCLUDED.more
"""
SUMS = """
INSERT INTO exposed (agent, release, environment, generation, sessions, bad)
VALUES (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(sessions)s, %(bad)s)
ON CONFLICT (agent, release, environment, generation) DO UPDATE
    SET sessions = exposed.sessions + EXCLUDED.sessions, bad = exposed.bad + EXCLUDED.bad
"""
MORE_SUMS = """
INSERT INTO exposed_more VALUES
    (%(agent)s, %(release)s, %(environment)s, %(generation)s, %(what)s, %(count)s, %(total)s, %(squares)s)
ON CONFLICT (agent, release, environment, generation, what) DO UPDATE
    SET count = exposed_more.count + EXCLUDED.count, total = exposed_more.total + EXCLUDED.total,
        squares = exposed_more.squares + EXCLUDED.squares
"""


class Looked(Protocol):
    """What is known of what a release runs with, and for which release a minute counts."""

    @property
    def ran_with(self) -> RanWith: ...
    @property
    def release(self) -> str: ...


Look = Callable[[str, Registration | None, RanWith, Mapping[str, str]], Looked]


class More(msgspec.Struct, frozen=True, omit_defaults=True):
    """Column `more`."""

    ended: int = 0
    calls: dict[str, int] = {}
    measures: dict[str, Measure] = {}


class Minute(NamedTuple):
    sessions: int = 0
    bad: int = 0
    evaluated: int = 0
    more: More = More()


class Exposing:
    """`look` decides for which release a minute counts: one that ran with something else is a release of its own."""

    def __init__(self, generation: int, look: Look | None = None) -> None:
        self._generation, self._look = generation, look
        self._seen: dict[tuple[str, str], datetime] = {}  # release -> the first minute that was written down

    async def write(self, conn: Connection, record: Exposure) -> None:
        """Inside the caller's transaction. A minute said again after a crash is the same, so the larger counts stand."""
        place: dict[str, Any] = {
            "agent": record.agent,
            "release": await self._counts_for(conn, record),
            "environment": record.environment,
            "generation": self._generation,
            "minute": record.minute,
        }
        row = await (await conn.execute(BEFORE, place)).fetchone()
        before = Minute(row[0], row[1], row[2], msgspec.convert(row[3], More)) if row else Minute()
        after = _larger(before, record)
        values = {**place, **after._asdict(), "more": Jsonb(msgspec.to_builtins(after.more))}
        if row is None or after != before:
            await conn.execute(MINUTE, values)
        if row is None or after[:2] != before[:2]:
            sums = {**place, "sessions": after.sessions - before.sessions, "bad": after.bad - before.bad}
            await conn.execute(SUMS, sums)
        if more := _sums(before, after):
            async with conn.cursor() as cursor:
                await cursor.executemany(MORE_SUMS, [{**place, **one} for one in more])
        seen = self._seen.get((record.agent, place["release"]))
        if seen is None or record.minute < seen:
            await conn.execute(SEEN, place)
            self._seen[record.agent, place["release"]] = record.minute

    async def _counts_for(self, conn: Connection, record: Exposure) -> str:
        """The release itself, or one that it implies; the one for which the minute was counted already, if it was."""
        if self._look is None:
            return record.release
        place = {
            "agent": record.agent,
            "release": record.release,
            "environment": record.environment,
            "minute": record.minute,
        }
        registered, body = await (await conn.execute(KNOWN, place)).fetchone() or (None, None)
        known = msgspec.convert(registered, Registration) if registered else None
        before = msgspec.convert(body, RanWith) if body else RanWith()
        looked = self._look(record.release, known, before, record.config)
        if looked.ran_with != before:
            await conn.execute(RAN_WITH, {**place, "body": Jsonb(msgspec.to_builtins(looked.ran_with))})
        if looked.release == record.release and not looked.ran_with.names:
            return record.release
        names = [record.release, looked.release, *looked.ran_with.names]
        cursor = await conn.execute(COUNTED_FOR, {**place, "generation": self._generation, "names": names})
        if counted := await cursor.fetchone():
            return str(counted[0])
        if looked.release != record.release:
            implied = Jsonb(msgspec.to_builtins(Registration(implied=record.release)))
            row = {**place, "release": looked.release, "parents": [record.release], "body": implied}
            await conn.execute(IMPLIED, row)
        return looked.release


def _larger(before: Minute, said: Exposure) -> Minute:
    more = More(said.ended, said.calls, said.measures)
    return Minute(
        max(before.sessions, said.sessions),
        max(before.bad, said.bad),
        max(before.evaluated, said.evaluated),
        more if _weight(more) > _weight(before.more) else before.more,
    )


def _weight(more: More) -> int:
    return more.ended + sum(more.calls.values())


def _sums(before: Minute, after: Minute) -> list[dict[str, Any]]:
    """What is added to the sums, by what it is."""
    counts = [
        ("ended", after.more.ended - before.more.ended),
        ("evaluated", after.evaluated - before.evaluated),
        *((f"call:{tool}", n - before.more.calls.get(tool, 0)) for tool, n in sorted(after.more.calls.items())),
    ]
    found = [{"what": what, "count": n, "total": 0.0, "squares": 0.0} for what, n in counts if n]
    for name, one in sorted(after.more.measures.items()):
        was = before.more.measures.get(name, Measure(0, 0.0, 0.0))
        if one != was:
            told = {
                "count": one.count - was.count,
                "total": one.total - was.total,
                "squares": one.squares - was.squares,
            }
            found.append({"what": f"measure:{name}", **told})
    return found
