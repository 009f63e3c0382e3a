"""What gates answered, as it is stored: history, reviews of overrides, and what shadow mode would have done."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..database import Connection
from ..records import Bypassed, GateInputs, GateValues
from .gate_documents import DecisionView, Deployed, GateReport, GateReview, Review, RuleReview, ShadowGate

BAD = ("block", "hold")
OVERRIDDEN_MAX = 0.2  # a rule that people set aside more often than that is proposed to become a warning
BLOCKED_MIN = 5
WITHIN_DAYS = 7
STORED = "SELECT document, gate_values, inputs, as_of FROM decisions WHERE id = %s"
LISTED = """
SELECT id, gate, agent, release, environment, state, as_of FROM decisions
WHERE (%(since)s::timestamptz IS NULL OR as_of >= %(since)s) AND (%(gate)s::text IS NULL OR gate = %(gate)s)
    AND (%(agent)s::text IS NULL OR agent = %(agent)s) AND (%(release)s::text IS NULL OR release = %(release)s)
    AND (%(environment)s::text IS NULL OR environment = %(environment)s)
ORDER BY as_of DESC, id LIMIT %(limit)s
"""
SINCE = "SELECT gate, agent, release, environment, state, since FROM gate_states"
REVIEW = """
SELECT o.gate, count(*), count(*) FILTER (WHERE f.found), percentile_cont(0.5) WITHIN GROUP (ORDER BY b.waited)
FROM overrides o
LEFT JOIN LATERAL (SELECT extract(epoch FROM o.approved_at - min(as_of)) AS waited FROM decisions d
    WHERE (d.gate, d.agent, d.release, d.environment) = (o.gate, o.agent, o.release, o.environment)
    AND d.state = ANY(%(bad)s) AND d.as_of BETWEEN o.created_at - interval '7 days' AND o.approved_at) b ON true
LEFT JOIN LATERAL (SELECT true AS found FROM incidents i WHERE i.agent = o.agent AND o.release = ANY(i.releases)
    AND i.opened_at > o.approved_at AND i.severity IN ('critical', 'high')
    AND i.outcome IS DISTINCT FROM 'false_positive' LIMIT 1) f ON true
WHERE o.approved_at > %(since)s GROUP BY o.gate ORDER BY o.gate
"""
RULES = """
WITH said AS (
    SELECT d.gate, d.agent, d.release, d.environment, r->>'rule' AS rule, r->'detail' ? 'overridden_by' AS overridden
    FROM (SELECT * FROM decisions WHERE as_of > %(since)s ORDER BY as_of DESC LIMIT 20000) d,
        jsonb_array_elements(convert_from(d.document, 'UTF8')::jsonb->'reasons') r
    WHERE r->>'effect' = 'block'
), releases AS (
    SELECT gate, rule, agent, release, environment, bool_or(overridden) AS overridden FROM said GROUP BY 1, 2, 3, 4, 5
)
SELECT gate, rule, count(*), count(*) FILTER (WHERE overridden) FROM releases GROUP BY 1, 2 ORDER BY 1, 2
"""
DEPLOYED = """
SELECT DISTINCT ON (x.gate, d.agent, d.release, d.environment) x.gate, d.agent, d.release, d.environment, d.at,
    coalesce((SELECT r->'detail'->>'would' FROM jsonb_array_elements(convert_from(x.document, 'UTF8')::jsonb->'reasons') r
        WHERE r->>'rule' = 'shadow' LIMIT 1), x.state),
    (SELECT count(*) FROM incidents i WHERE i.agent = d.agent AND d.release = ANY(i.releases)
        AND i.severity IN ('critical', 'high') AND i.outcome IS DISTINCT FROM 'false_positive'
        AND i.last_seen >= d.at AND i.opened_at < d.at + make_interval(days => %(within)s)
        AND NOT coalesce(i.body->'held' @> '["dry_run"]', false))
FROM deployments d
JOIN LATERAL (SELECT DISTINCT ON (gate) gate, state, document FROM decisions y
    WHERE (y.agent, y.release, y.environment) = (d.agent, d.release, d.environment) AND y.as_of <= d.at
    ORDER BY gate, as_of DESC) x ON true
WHERE d.op = 'promote' AND d.result = 'ok' AND d.at > %(since)s
ORDER BY x.gate, d.agent, d.release, d.environment, d.at DESC LIMIT 500
"""
BYPASSES = "SELECT body FROM bypasses WHERE at > %s ORDER BY at DESC LIMIT 200"


class Stored(NamedTuple):
    """A decision with everything it was made of."""

    document: bytes
    values: GateValues
    inputs: GateInputs
    as_of: datetime


async def stored(conn: Connection, decision: str) -> Stored | None:
    row = await (await conn.execute(STORED, [decision])).fetchone()
    if row is None:
        return None
    document, values, inputs, as_of = row
    read = (msgspec.json.decode(bytes(values), type=GateValues), msgspec.json.decode(bytes(inputs), type=GateInputs))
    return Stored(bytes(document), *read, as_of)


async def decisions(conn: Connection, limit: int, **wanted: Any) -> tuple[DecisionView, ...]:
    given = dict.fromkeys(("since", "gate", "agent", "release", "environment")) | wanted
    rows = await (await conn.execute(LISTED, {**given, "limit": limit})).fetchall()
    return tuple(DecisionView(*row) for row in rows)


async def standing(conn: Connection) -> dict[tuple[str, str, str, str], tuple[str, datetime]]:
    """Since when each gate has been answering what it does: by gate, agent, release, environment."""
    rows = await (await conn.execute(SINCE)).fetchall()
    return {(gate, agent, release, where): (state, since) for gate, agent, release, where, state, since in rows}


async def review(conn: Connection, days: int, since: datetime) -> Review:
    rows = await (await conn.execute(REVIEW, {"since": since, "bad": list(BAD)})).fetchall()
    gates = tuple(
        GateReview(gate, count, found, found / count, None if median is None else float(median))
        for gate, count, found, median in rows
    )
    rows = await (await conn.execute(RULES, {"since": since})).fetchall()
    return Review(days, gates, tuple(_rule(*row) for row in rows))


def _rule(gate: str, rule: str, blocked: int, overridden: int) -> RuleReview:
    share = overridden / blocked
    often = blocked >= BLOCKED_MIN and share > OVERRIDDEN_MAX
    proposal = f"more than {OVERRIDDEN_MAX:.0%} of its blocks were overridden: let it warn" if often else ""
    return RuleReview(gate, rule, blocked, overridden, share, proposal)


async def report(conn: Connection, days: int, times: tuple[datetime, datetime], gates: dict[str, bool]) -> GateReport:
    """`times`: since when, and now. `gates`: whether each is in shadow mode."""
    since, now = times
    rows = await (await conn.execute(DEPLOYED, {"since": since, "within": WITHIN_DAYS})).fetchall()
    deployed = tuple(_deployed(row, now) for row in rows)
    bypasses = [msgspec.convert(body, Bypassed) for (body,) in await (await conn.execute(BYPASSES, [since])).fetchall()]
    names = sorted({*gates, *(one.gate for one in deployed)})
    shadows = tuple(_shadow(name, gates.get(name, False), deployed) for name in names)
    return GateReport(days, WITHIN_DAYS, shadows, deployed, tuple(bypasses))


def _deployed(row: Any, now: datetime) -> Deployed:
    gate, agent, release, environment, at, state, incidents = row
    return Deployed(gate, agent, release, environment, at, state, incidents, _error(at, state, incidents, now))


def _error(at: datetime, state: str, incidents: int, now: datetime) -> str:
    if state not in BAD:
        return "allowed_but_bad" if incidents else ""
    if incidents:
        return ""
    return "blocked_but_fine" if (now - at).days >= WITHIN_DAYS else "waiting"


def _shadow(gate: str, shadow: bool, deployed: tuple[Deployed, ...]) -> ShadowGate:
    ours = [one for one in deployed if one.gate == gate]
    errors = [one.error for one in ours]
    stopped = sum(one.state in BAD for one in ours)
    counts = (errors.count("blocked_but_fine"), errors.count("allowed_but_bad"), errors.count("waiting"))
    return ShadowGate(gate, shadow, len(ours), len(ours) - stopped, stopped, *counts)
