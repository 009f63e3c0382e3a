"""Incidents as far as gates care, with the decision of whatever decides for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from ...database import Connection
from ...records import GateIncident

INCIDENTS_MAX = 20_000
CHUNK = 100
HOPS_MAX = 5  # of a duplicate to what it is a duplicate of, and on
CLEAN_ROWS = 500  # minutes looked at for sessions since an outcome: enough for a hundred

# A merged incident has the stage and the decision of the one that explains it, for as long as that is there.
FIELDS = """
SELECT json_strip_nulls(json_build_object(
    'id', i.id, 'title', left(COALESCE(i.body->>'title', ''), 200), 'severity', i.severity,
    'stage', COALESCE(p.stage, i.stage), 'releases', i.releases, 'detector', i.detector,
    'outcome', CASE WHEN p.id IS NULL THEN i.outcome ELSE p.outcome END,
    'fixed_in', d.body->>'fixed_in', 'ticket', COALESCE(i.ticket, p.ticket),
    'ticket_url', COALESCE(i.body->>'ticket_url', p.body->>'ticket_url'),
    'agents', COALESCE(NULLIF(i.body->'agents', '[]'),
        CASE WHEN i.body->'subject'->>'agent' <> '' THEN jsonb_build_array(i.body->'subject'->>'agent') END, '[]'),
    'judges', jsonb_build_array(concat('detector:', i.detector, '@', COALESCE(i.body->>'version', '0')))
        || COALESCE(i.body->'judges', '[]'),
    'opened_at', i.body->>'opened_at', 'count', CASE WHEN d.body->'decision' ? 'count' THEN i.count END,
    'outcome_at', COALESCE(d.body->'decision'->>'at', d.body->>'resolved_at'),
    'actor', COALESCE(d.body->'decision'->>'actor', d.body->>'resolved_by'),
    'why', d.body->'decision'->>'why', 'expires_at', d.body->'decision'->>'expires_at',
    'accepted_count', CASE WHEN p.id IS NULL THEN d.body->'decision'->'count' END,
    'pressed', d.body->'decision'->'pressed', 'inferred', d.body->'decision'->'inferred',
    'duplicate_of', d.body->'decision'->>'duplicate_of'))::text
FROM incidents i LEFT JOIN incidents p ON i.stage = 'merged' AND p.id = i.parent
CROSS JOIN LATERAL (SELECT COALESCE(p.body, i.body) AS body) d
"""
CONCERNING = """
WHERE i.severity = ANY(%(severities)s) AND cardinality(i.releases) > 0
    AND (i.stage NOT IN ('resolved', 'closed') OR i.outcome IN (
        'fixed', 'unspecified', 'accepted_risk', 'wont_fix', 'cannot_reproduce', 'duplicate', 'false_positive'))
    AND (i.stage NOT IN ('resolved', 'closed') OR i.outcome <> 'false_positive'
        OR COALESCE((i.body->'decision'->>'pressed')::boolean, false))
    AND NOT COALESCE(i.body->'held' @> '["dry_run"]', false) -- a detector on trial blocks nobody
"""
ORDER = "ORDER BY i.stage IN ('resolved', 'closed'), i.last_seen DESC, i.id"
INCIDENTS = f"{FIELDS} {CONCERNING} {ORDER} LIMIT %(most)s"
CUT = f"""
SELECT DISTINCT COALESCE(agent, '') FROM (
    SELECT i.body->'subject'->>'agent' AS agent FROM incidents i {CONCERNING} {ORDER} OFFSET %(most)s
) beyond
"""  # noqa: S608 - no value in it
ORIGINALS = f"{FIELDS} WHERE i.id = ANY(%(names)s) OR i.ticket = ANY(%(names)s) LIMIT %(most)s"
CLEAN = """
SELECT wanted.id, COALESCE((SELECT sum(sessions) FROM (
    SELECT sessions FROM exposure e WHERE e.agent = wanted.agent AND e.minute >= wanted.at ORDER BY e.minute LIMIT %s
) since), 0)::bigint
FROM unnest(%s::text[], %s::text[], %s::timestamptz[]) AS wanted (id, agent, at)
"""

_incident = msgspec.json.Decoder(GateIncident)


class Read(NamedTuple):
    incidents: tuple[GateIncident, ...]
    cut: tuple[str, ...]  # agents of whom there are more


async def incidents(conn: Connection, severities: Sequence[str]) -> Read:
    asked = {"severities": list(severities), "most": INCIDENTS_MAX}
    found = [one async for row in conn.cursor().stream(INCIDENTS, asked, size=CHUNK) if (one := _decoded(row[0]))]
    cut: tuple[str, ...] = ()
    if len(found) >= INCIDENTS_MAX:
        cut = tuple(sorted([row[0] for row in await (await conn.execute(CUT, asked)).fetchall()]))
    followed = await _followed(conn, found)
    clean = await _clean(conn, followed)
    return Read(tuple(replace(one, clean=clean[one.id]) if one.id in clean else one for one in followed), cut)


def _decoded(text: str) -> GateIncident:
    """One whose decision cannot be read is undecided: it blocks."""
    try:
        return _incident.decode(text)
    except msgspec.ValidationError:
        known = msgspec.json.decode(text)
        dates = ("outcome_at", "expires_at", "opened_at")
        return msgspec.convert({key: value for key, value in known.items() if key not in dates}, GateIncident)


async def _followed(conn: Connection, found: Sequence[GateIncident]) -> list[GateIncident]:
    """Duplicates decide as what they are duplicates of. A circle, or what nobody knows, decides nothing."""
    known = {name: one for one in found for name in (one.ticket, one.id) if name}
    for _ in range(HOPS_MAX):
        asked = {one.duplicate_of for one in known.values() if one.outcome == "duplicate"} - {"", *known}
        if not asked:
            break
        given = {"names": sorted(asked), "most": INCIDENTS_MAX}
        rows = [_decoded(row[0]) async for row in conn.cursor().stream(ORIGINALS, given, size=CHUNK)]
        if not rows:
            break
        known |= {name: one for one in rows for name in (one.ticket, one.id) if name}
    return [_decides(one, known) for one in found]


def _decides(one: GateIncident, known: Mapping[str, GateIncident]) -> GateIncident:
    original: GateIncident | None = one
    seen = {one.id}
    while original is not None and original.outcome == "duplicate":
        original = known.get(original.duplicate_of)
        if original is not None and original.id in seen:
            return one
        seen |= {original.id} if original else set()
    if original is None or original is one:
        return one
    given: dict[str, Any] = {name: getattr(original, name) for name in _DECISION}
    return replace(one, duplicate_of=original.id, **given)


_DECISION = (
    *("stage", "outcome", "fixed_in", "outcome_at", "actor", "why", "expires_at", "pressed", "inferred"),
    *("accepted_count", "count"),
)


async def _clean(conn: Connection, found: Sequence[GateIncident]) -> dict[str, int]:
    wanted = [
        (one.id, agent, one.outcome_at)
        for one in found
        if one.outcome in ("cannot_reproduce", "unspecified") and one.outcome_at
        for agent in one.agents[:1]
    ]
    if not wanted:
        return {}
    names, agents, moments = (list(column) for column in zip(*wanted, strict=True))
    cursor = await conn.execute(CLEAN, [CLEAN_ROWS, names, agents, moments])
    return {name: int(sessions) for name, sessions in await cursor.fetchall()}
