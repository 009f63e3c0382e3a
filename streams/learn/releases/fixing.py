"""Keeps table `fixes`: read everything that matters, decide anew, write what differs. Dying anywhere loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import CaseScoredData, GateFix, GateRelease
from ..delivering import releases_of

TROUBLES_MAX = 2_000  # those seen last
EACH_S = 4.0

VERSION = "SELECT sum(version)::bigint FROM gate_inputs"
# A merged incident is decided by the one that explains it. Older episodes of the same trouble are told what came later.
TROUBLES = """
SELECT i.id, i.fingerprint, COALESCE(NULLIF(i.body->'agents', '[]'), jsonb_build_array(NULLIF(i.agent, ''))),
    COALESCE(p.body, i.body)->>'fixed_in',
    COALESCE(COALESCE(p.body, i.body)->'decision'->>'at', COALESCE(p.body, i.body)->>'resolved_at')::timestamptz,
    array_remove(ARRAY[i.id, i.ticket, p.id, p.ticket], NULL), i.releases, i.body->'subject'->>'tool',
    ARRAY(SELECT DISTINCT unnest(n.releases) FROM incidents n
        WHERE n.fingerprint = i.fingerprint AND n.episode > i.episode
            AND COALESCE(n.outcome, '') NOT IN ('false_positive', 'external_cause'))
FROM incidents i LEFT JOIN incidents p ON i.stage = 'merged' AND p.id = i.parent
WHERE CASE WHEN p.id IS NULL THEN i.outcome ELSE p.outcome END = 'fixed'
ORDER BY i.last_seen DESC LIMIT %s
"""
READY = "SELECT id FROM cases WHERE state = 'ready' AND id = ANY(%s)"
SCORES = "SELECT case_id, release, body FROM case_scores WHERE agent = %s AND case_id = ANY(%s)"
# A new generation counts again: the larger of both.
CALLS = """
SELECT release, what, max(count) FROM (
    SELECT release, what, generation, sum(count) AS count FROM exposed_more
    WHERE agent = %s AND what = ANY(%s) GROUP BY release, what, generation
) g GROUP BY release, what
"""
CALLS_SINCE = """
SELECT release, max(count) FROM (
    SELECT release, generation, sum((more->'calls'->>%(tool)s)::bigint) AS count FROM exposure
    WHERE agent = %(agent)s AND release = ANY(%(releases)s) AND minute >= %(since)s GROUP BY release, generation
) g WHERE count IS NOT NULL GROUP BY release
"""
KNOWN = "SELECT incident, agent, release, state, how, detail FROM fixes"
WRITE = """
INSERT INTO fixes VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (incident, agent, release) DO UPDATE
    SET state = EXCLUDED.state, how = EXCLUDED.how, detail = EXCLUDED.detail, at = EXCLUDED.at
"""
FORGET = "DELETE FROM fixes WHERE (incident, agent, release) = (%s, %s, %s)"


class Row(NamedTuple):
    """An incident that people call fixed, as the database has it."""

    incident: str
    fingerprint: str
    agents: list[str | None]
    fixed_in: str | None
    outcome_at: datetime | None
    names: list[str]
    releases: list[str]
    tool: str | None
    again: list[str]


class Found(NamedTuple):
    """What speaks for or against a fix, by release."""

    case: str | None
    scores: Mapping[str, Sequence[CaseScoredData]]
    calls: Mapping[str, int]


class Rules(NamedTuple):
    """What decides: handed in."""

    case_id: Callable[[str, str], str]
    arrange: Callable[[Sequence[GateRelease], str], Any]
    fixes: Callable[[str, Row, Any, Found], Iterable[GateFix]]  # of one agent


class Fixing:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._version = -1
        self._looked = 0.0

    async def turn(self, conn: Connection, now_s: float) -> int:
        """How many rows changed. Looks when something has changed, and not all the time."""
        if self._looked and now_s - self._looked < EACH_S:
            return 0
        row = await (await conn.execute(VERSION)).fetchone()
        if row is None or row[0] == self._version:
            return 0
        self._looked = now_s
        changed = await self.look(conn)
        self._version = -1 if changed else int(row[0])  # what was written is looked at once more
        return changed

    async def look(self, conn: Connection) -> int:
        rows = [Row(*row) for row in await (await conn.execute(TROUBLES, [TROUBLES_MAX])).fetchall()]
        by_agent: dict[str, list[Row]] = {}
        for row in rows:
            for agent in dict.fromkeys(one for one in row.agents if one):
                by_agent.setdefault(agent, []).append(row)
        wanted: dict[tuple[str, str, str], GateFix] = {}
        for agent, some in by_agent.items():
            for fix in await self._agent(conn, agent, some):
                wanted[fix.incident, fix.agent, fix.release] = fix
        return await self._write(conn, wanted)

    async def _agent(self, conn: Connection, agent: str, rows: list[Row]) -> list[GateFix]:
        graph = self._rules.arrange(await releases_of(conn, agent), agent)
        names = {row.fingerprint: self._rules.case_id(agent, row.fingerprint) for row in rows}
        ready = {row[0] for row in await (await conn.execute(READY, [[*names.values()]])).fetchall()}
        scores: dict[str, dict[str, list[CaseScoredData]]] = {}
        for case, release, body in await (await conn.execute(SCORES, [agent, sorted(ready)])).fetchall():
            scores.setdefault(case, {}).setdefault(release, []).append(msgspec.convert(body, CaseScoredData))
        tools = sorted({f"call:{row.tool}" for row in rows if row.tool})
        calls: dict[str, dict[str, int]] = {}
        for release, what, n in await (await conn.execute(CALLS, [agent, tools])).fetchall():
            calls.setdefault(what, {})[release] = int(n)
        found: list[GateFix] = []
        for row in rows:
            case = names[row.fingerprint]
            counted = await self._since(conn, agent, row, calls.get(f"call:{row.tool}", {})) if row.tool else {}
            evidence = Found(case if case in ready else None, scores.get(case, {}), counted)
            found += self._rules.fixes(agent, row, graph, evidence)
        return found

    async def _since(self, conn: Connection, agent: str, row: Row, calls: Mapping[str, int]) -> dict[str, int]:
        """Of a release in which it was seen before people called it fixed, only calls since then count."""
        seen = [release for release in row.releases if release in calls]
        if not seen:
            return dict(calls)
        asked = {"agent": agent, "tool": row.tool, "releases": seen, "since": row.outcome_at}
        later: dict[str, Any] = dict(await (await conn.execute(CALLS_SINCE, asked)).fetchall())
        return {**calls, **{release: int(later.get(release, 0)) for release in seen}}

    async def _write(self, conn: Connection, wanted: Mapping[tuple[str, str, str], GateFix]) -> int:
        known = {tuple(row[:3]): GateFix(*row) for row in await (await conn.execute(KNOWN)).fetchall()}
        now = datetime.now(UTC)
        changed = [fix for place, fix in wanted.items() if known.get(place) != fix]
        gone = [place for place in known if place not in wanted]
        if not changed and not gone:
            return 0
        async with conn.transaction(), conn.cursor() as cursor:
            for one in changed:
                row = (one.incident, one.agent, one.release, one.state, one.how, Jsonb(one.detail), now)
                await cursor.execute(WRITE, row)
            if gone:
                await cursor.executemany(FORGET, gone)
        return len(changed) + len(gone)
