"""What went on without its gate: a release that was promoted, or has most of the sessions, though its gate held it.

Only of releases about which somebody asked: what learn sees by itself is no answer that anybody was given, and a team
that never asks goes past nothing. A rollback, an abort and a first step of a rollout go past nothing, and neither does
a release that was let through once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Bypassed
from ..recording import tell

LOOKED_BACK_D = 7
WINDOW_MIN = 30
SHARE_MIN, SESSIONS_MIN = 0.5, 20
LET = ("allow", "warn")

PROMOTED = """
SELECT g.gate, d.agent, d.release, d.environment, d.at, 'promoted' AS how, l.state, l.id,
    coalesce(d.body->'decided_by'->>'id', d.body->'decided_by'->>'kind', '') AS actor, (d.body->>'share')::float AS share
FROM deployments d
JOIN gate_asked g ON (g.agent, g.release, g.environment) = (d.agent, d.release, d.environment)
    AND g.gate = ANY(%(gates)s) AND g.first_at <= d.at
JOIN LATERAL (
    SELECT id, state FROM decisions x WHERE (x.agent, x.release, x.environment, x.gate)
        = (d.agent, d.release, d.environment, g.gate) AND x.as_of <= d.at ORDER BY x.as_of DESC LIMIT 1
) l ON NOT l.state = ANY(%(let)s)
WHERE d.op = 'promote' AND d.result = 'ok' AND coalesce((d.body->>'share')::float, 1) >= 1
    AND d.at > %(now)s - make_interval(days => %(days)s)
    AND NOT EXISTS (SELECT 1 FROM bypasses b WHERE (b.agent, b.release, b.environment)
        = (d.agent, d.release, d.environment))
ORDER BY d.at LIMIT 50
"""
EXPOSED = """
WITH lately AS (
    SELECT agent, release, environment, max(sessions) AS sessions FROM (
        SELECT agent, release, environment, generation, sum(sessions) AS sessions FROM exposure
        WHERE minute > %(now)s - make_interval(mins => %(minutes)s) GROUP BY 1, 2, 3, 4) e GROUP BY 1, 2, 3
), most AS (
    SELECT l.*, l.sessions / sum(l.sessions) OVER (PARTITION BY agent, environment) AS share FROM lately l
)
SELECT s.gate, m.agent, m.release, m.environment, %(now)s::timestamptz, 'exposed', s.state, s.decision, '', m.share::float
FROM most m
JOIN gate_states s USING (agent, release, environment)
JOIN gate_asked g USING (gate, agent, release, environment)
JOIN releases r ON (r.agent, r.release) = (m.agent, m.release)
WHERE m.sessions >= %(sessions)s AND m.share > %(share)s AND s.gate = ANY(%(gates)s) AND NOT s.state = ANY(%(let)s)
    AND r.first_seen > (SELECT min(first_at) FROM gate_asked a
        WHERE (a.gate, a.agent, a.environment) = (s.gate, m.agent, m.environment))
    AND NOT EXISTS (SELECT 1 FROM decisions x WHERE (x.agent, x.release, x.environment, x.gate)
        = (m.agent, m.release, m.environment, s.gate) AND x.state = ANY(%(let)s))
    AND NOT EXISTS (SELECT 1 FROM bypasses b WHERE (b.agent, b.release, b.environment)
        = (m.agent, m.release, m.environment))
ORDER BY m.agent LIMIT 50
"""
RECORDED = "INSERT INTO bypasses VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING agent"


async def observe(conn: Connection, gates: list[str], now: datetime) -> list[Bypassed]:
    """Those that nobody knew of: recorded, and told to learn's detector, each once."""
    given = {"gates": gates, "let": list(LET), "now": now, "days": LOOKED_BACK_D}
    given |= {"minutes": WINDOW_MIN, "share": SHARE_MIN, "sessions": SESSIONS_MIN}
    rows: list[Any] = [*await (await conn.execute(PROMOTED, given)).fetchall()]
    rows += await (await conn.execute(EXPOSED, given)).fetchall()
    return [one for one in map(_bypassed, rows) if await record(conn, one)]


async def record(conn: Connection, one: Bypassed) -> bool:
    kept = (one.agent, one.release, one.environment, one.gate, one.at, Jsonb(msgspec.to_builtins(one)))
    async with conn.transaction():
        if await (await conn.execute(RECORDED, kept)).fetchone() is None:
            return False
        await tell(conn, one)
    return True


def _bypassed(row: Any) -> Bypassed:
    gate, agent, release, environment, at, how, state, decision, actor, share = row
    return Bypassed(
        gate=gate,
        agent=agent,
        release=release,
        environment=environment,
        at=at,
        how=how,
        state=state,
        decision=decision,
        actor=actor,
        share=share,
    )
