"""What gates look at, as the database has it: everything at one moment, and only what has changed since the last look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ...database import Connection
from ...records import (
    Control,
    Freeze,
    GateCases,
    GateComparison,
    GateExposure,
    GateFix,
    GateRelease,
    GateServing,
    GateSnapshot,
    Override,
)
from .. import delivering
from .comparing import Comparisons
from .reading_incidents import incidents

CHUNK = 100  # rows at once: whoever reads a large snapshot still answers meanwhile
LATELY_S = 60.0  # what follows from sessions of the last days is looked for that often
OVER = timedelta(days=1)  # overrides that ended are still shown for so long
RUNS_MIN = 3

STAND = """
SELECT (SELECT jsonb_object_agg(writer, version) FROM gate_inputs),
    (SELECT value FROM gauges WHERE name = 'watermark'),
    COALESCE((SELECT value > 0 FROM gauges WHERE name = 'tickets.away'), false)
"""
EXPOSURE = """
SELECT agent, release, environment, max(sessions), max(bad) FROM exposed GROUP BY agent, release, environment
"""
PROMOTED = """
SELECT agent, environment, array_agg(release ORDER BY at DESC) FROM (
    SELECT DISTINCT ON (agent, environment, release) agent, environment, release, at,
        op = 'promote' AND COALESCE((body->>'share')::float, 1) >= 1 AS whole
    FROM deployments WHERE result = 'ok' ORDER BY agent, environment, release, at DESC
) d WHERE whole GROUP BY agent, environment
"""
LATELY = """
SELECT agent, environment, array_agg(release ORDER BY sessions DESC, release) FROM (
    SELECT agent, environment, release, sum(sessions) AS sessions FROM exposure
    WHERE minute > (SELECT max(minute) FROM exposure) - interval '1 day' GROUP BY 1, 2, 3
) e WHERE sessions > 0 GROUP BY agent, environment
"""
POWERS = "SELECT evaluator, power FROM powers ORDER BY since, evaluator"
FIXES = """
SELECT json_build_object('incident', incident, 'agent', agent, 'release', release, 'state', state, 'how', how)::text
FROM fixes
"""
OVERRIDES = """
SELECT body::text, ended_at, used_by FROM overrides
WHERE COALESCE(ended_at, expires_at) > now() - %s::interval ORDER BY id
"""
FREEZES = (
    "SELECT body::text, ended_at, id, begins, ends FROM freezes WHERE ends > now() AND ended_at IS NULL ORDER BY id"
)
CONTROLS = "SELECT body::text FROM controls WHERE state <> 'closed' ORDER BY scope"
CASES = """
SELECT agent, release, count(*) FILTER (WHERE 2 * passes > runs), count(*) FILTER (WHERE 2 * passes <= runs) FROM (
    SELECT agent, release, case_id, sum((body->>'runs')::bigint) AS runs, sum((body->>'passes')::bigint) AS passes
    FROM case_scores GROUP BY 1, 2, 3
) c WHERE runs >= %s GROUP BY agent, release
"""

_fix = msgspec.json.Decoder(GateFix)


class Stand(NamedTuple):
    """What changes most often, read each second."""

    version: int
    watermark: datetime | None  # event time up to which findings have reached the book
    versions: dict[str, int] = {}  # noqa: RUF012 - never written to; by writer
    tickets_away: bool = False


class Choosing(NamedTuple):
    """Decisions about what to read, handed in: this file makes none."""

    pairs: Callable[..., Sequence[Any]]  # of what serves, the newest releases, what ran, and what was asked for
    comparisons: Comparisons


async def stand(conn: Connection) -> Stand:
    row = await (await conn.execute(STAND)).fetchone()
    assert row is not None, "a SELECT without FROM has one row"
    versions = {name: int(version) for name, version in (row[0] or {}).items()}
    watermark = None if row[1] is None else datetime.fromtimestamp(row[1], UTC)
    return Stand(sum(versions.values()), watermark, versions, bool(row[2]))


async def snapshot(conn: Connection, severities: Iterable[str]) -> GateSnapshot:
    """Everything once, without comparisons."""
    return (await Reader(severities).read(conn))[0]


class Reader:
    """Keeps what it read; a look costs what has changed. Not for two looks at once."""

    def __init__(self, severities: Iterable[str], choosing: Choosing | None = None, *, cases: bool = False) -> None:
        self._severities, self._choosing, self._cases = sorted(set(severities)), choosing, cases
        self._read: dict[str, int] = {}
        self._known = GateSnapshot(-1, (), (), (), compares=choosing is not None)
        self._asked: Sequence[Any] = ()
        self._lately: tuple[float, list[tuple[Any, ...]]] = (0.0, [])
        self._newest: dict[str, list[str]] = {}
        self._incidents_s = 0.0

    async def read(self, conn: Connection, asked: Sequence[Any] = ()) -> tuple[GateSnapshot, Stand]:
        """The same snapshot as before where nothing has changed. `asked`: pairs of releases somebody wants compared."""
        now = await stand(conn)
        if now.versions == self._read and tuple(asked) == self._asked and now.tickets_away == self._known.tickets_away:
            return self._known, now
        async with conn.transaction():
            await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            now = await stand(conn)
            moved = {name for name, version in now.versions.items() if self._read.get(name) != version}
            known = await self._anew(conn, moved, now.versions, tuple(asked))
        self._known = replace(known, version=now.version, tickets_away=now.tickets_away)
        self._read, self._asked = now.versions, tuple(asked)
        return self._known, now

    async def _anew(
        self, conn: Connection, moved: set[str], versions: Mapping[str, int], asked: Sequence[Any]
    ) -> GateSnapshot:
        known = self._known
        if "releases" in moved:
            known = replace(known, releases=tuple(await delivering.releases(conn)))
            self._newest = _newest(known.releases)
        if "exposed" in moved:
            known = replace(known, exposure=tuple([GateExposure(*row) async for row in _rows(conn, EXPOSURE)]))
        at_s = datetime.now(UTC).timestamp()
        if "book" in moved or at_s - self._incidents_s > LATELY_S:  # sessions that are clean count on meanwhile
            self._incidents_s = at_s
            found = await incidents(conn, self._severities)
            known = replace(known, incidents=found.incidents, cut=found.cut)
        if "learn" in moved:
            known = replace(known, **await self._learnt(conn))
        await asyncio.sleep(0)  # whoever asks meanwhile is answered between the parts
        if moved & {"releases", "exposed"}:
            known = replace(known, serving=await self._serving(conn))
        if self._choosing:
            known = replace(known, comparisons=await self._compared(conn, known, versions, asked))
        return known

    async def _learnt(self, conn: Connection) -> dict[str, Any]:
        return {
            "powers": {row[0]: row[1] async for row in _rows(conn, POWERS)},
            "fixed": tuple([_fix.decode(row[0]) async for row in _rows(conn, FIXES)]),
            "overrides": tuple([one async for row in _rows(conn, OVERRIDES, [OVER]) if (one := _override(*row))]),
            "freezes": tuple([_freeze(*row) async for row in _rows(conn, FREEZES)]),
            "controls": tuple([held async for row in _rows(conn, CONTROLS) if (held := _control(*row))]),
            "cases": tuple([GateCases(*row) async for row in _rows(conn, CASES, [RUNS_MIN])]) if self._cases else (),
        }

    async def _serving(self, conn: Connection) -> tuple[GateServing, ...]:
        """What was promoted, the last first, then by sessions of the last day."""
        at_s = datetime.now(UTC).timestamp()
        if at_s - self._lately[0] > LATELY_S or not self._lately[1]:
            self._lately = (at_s, [row async for row in _rows(conn, LATELY)])
        found: dict[tuple[str, str], dict[str, None]] = {}
        for agent, environment, releases in [*[row async for row in _rows(conn, PROMOTED)], *self._lately[1]]:
            found.setdefault((agent, environment), {}).update(dict.fromkeys(releases))
        return tuple(GateServing(*where, tuple(names)) for where, names in sorted(found.items()))

    async def _compared(
        self, conn: Connection, known: GateSnapshot, versions: Mapping[str, int], asked: Sequence[Any]
    ) -> tuple[GateComparison, ...]:
        assert self._choosing is not None
        sums = {(one.agent, one.release, one.environment): (one.sessions, one.bad) for one in known.exposure}
        await asyncio.sleep(0)
        pairs = self._choosing.pairs(known.serving, self._newest, sums, asked)
        found = await self._choosing.comparisons.read(conn, pairs, sums, versions.get("releases", 0))
        same = len(found) == len(known.comparisons) and all(
            a is b for a, b in zip(found, known.comparisons, strict=True)
        )
        return known.comparisons if same else tuple(found)


def _newest(releases: Iterable[GateRelease]) -> dict[str, list[str]]:
    """Of each agent."""
    found: dict[str, list[str]] = {}
    for one in sorted(releases, key=lambda one: one.first_seen, reverse=True):
        found.setdefault(one.agent, []).append(one.release)
    return found


async def _rows(conn: Connection, query: str, given: Sequence[Any] = ()) -> Any:
    async for row in conn.cursor().stream(query, given, size=CHUNK):
        yield row


def _override(body: str, ended_at: datetime | None, used_by: str | None) -> Override | None:
    """One that cannot be read, its dates included, has expired."""
    try:
        found = msgspec.json.decode(body, type=Override)
    except msgspec.DecodeError:
        return None
    return replace(found, ended_at=ended_at or found.ended_at, used_by=used_by or found.used_by)


def _freeze(body: str, ended_at: datetime | None, name: str, begins: datetime, ends: datetime) -> Freeze:
    """One that cannot be read holds everybody: nobody can tell whom it exempts."""
    try:
        return replace(msgspec.json.decode(body, type=Freeze), ended_at=ended_at)
    except msgspec.DecodeError:
        return Freeze(id=name, begins=begins, ends=ends, reason="it cannot be read", actor="", exempt="none", at=begins)


def _control(body: str) -> Control | None:
    try:
        return msgspec.json.decode(body, type=Control)
    except msgspec.DecodeError:
        return None
