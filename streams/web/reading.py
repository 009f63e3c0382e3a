"""What pages and API show, as the database has it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ..database import Connection
from ..records import Incident, Outcome
from .documents import (
    AttemptView,
    IncidentDetail,
    Incidents,
    IncidentSummary,
    ObligationView,
    OutcomeView,
)

OBLIGATIONS_MAX = 200
ATTEMPTS_MAX = 500
FIELDS = """
SELECT i.id, i.body - 'evidence', i.stage, i.agent, i.environment, i.opened_at,
    (SELECT state FROM obligations o WHERE o.incident = i.id AND o.kind = 'ticket' ORDER BY o.ordinal LIMIT 1),
    (SELECT state FROM obligations o WHERE o.incident = i.id AND o.kind = 'page' ORDER BY o.ordinal, o.seq LIMIT 1)
FROM incidents i
WHERE (%(stage)s::text IS NULL OR i.stage = %(stage)s
        OR (%(stage)s = 'active' AND i.stage NOT IN ('resolved', 'closed', 'merged')))
    AND (%(agent)s::text IS NULL OR i.agent = %(agent)s)
    AND (%(owner)s::text IS NULL OR i.owner = %(owner)s)
    AND (%(severity)s::text IS NULL OR i.severity = %(severity)s)
    AND (i.detector <> 'canary' OR %(owner)s = 'canary')  -- drills are for those who ask for them
"""
BY_TIME = (
    FIELDS
    + """
    AND (%(opened_at)s::timestamptz IS NULL OR (i.opened_at, i.id) < (%(opened_at)s, %(id)s))
ORDER BY i.opened_at DESC, i.id DESC LIMIT %(limit)s
"""
)
BY_NEED = (
    FIELDS
    + """
ORDER BY i.stage IN ('resolved', 'closed', 'merged'), array_position(ARRAY['critical','high','medium','low'], i.severity),
    i.last_seen DESC, i.id
LIMIT %(limit)s OFFSET %(offset)s
"""
)
OBLIGATIONS = """
SELECT id, kind, destination, state, created_at, not_before, settled_at, reference, url, why
FROM obligations WHERE incident = %s ORDER BY seq LIMIT %s
"""
ATTEMPTS = """
SELECT obligation, attempt, step, started, answered, answer, why
FROM attempts WHERE obligation = ANY(%s) ORDER BY id LIMIT %s
"""
OUTCOMES = """
SELECT outcome, at, actor, source, fixed_in, reason, reopened, body::text, confirmed_by
FROM outcomes WHERE incident = %s ORDER BY id LIMIT 200
"""


class BadCursor(Exception):
    """`after` is not what `next` said."""


class Wanted(NamedTuple):
    """Which incidents. `stage` may be `active`: neither resolved, closed nor merged."""

    stage: str | None = None
    agent: str | None = None
    owner: str | None = None
    severity: str | None = None


async def incidents(conn: Connection, wanted: Wanted, limit: int, after: str | None) -> Incidents:
    """The newest first."""
    opened_at, name = _place(after) if after else (None, "")
    values = {**wanted._asdict(), "opened_at": opened_at, "id": name, "limit": limit + 1}
    rows = await (await conn.execute(BY_TIME, values)).fetchall()
    shown = _summaries(rows[:limit])
    return Incidents(shown, _cursor(rows[limit - 1]) if len(rows) > limit else None)


async def listed(conn: Connection, wanted: Wanted, limit: int, offset: int) -> tuple[tuple[IncidentSummary, ...], bool]:
    """What needs somebody first, and whether there are more."""
    values = {**wanted._asdict(), "limit": limit + 1, "offset": offset}
    rows = await (await conn.execute(BY_NEED, values)).fetchall()
    return _summaries(rows[:limit]), len(rows) > limit


async def exists(conn: Connection, incident: str) -> bool:
    return await (await conn.execute("SELECT 1 FROM incidents WHERE id = %s", [incident])).fetchone() is not None


async def stage(conn: Connection, incident: str) -> tuple[str, str | None] | None:
    """And which incident speaks for it."""
    row = await (await conn.execute("SELECT stage, parent FROM incidents WHERE id = %s", [incident])).fetchone()
    return (row[0], row[1]) if row else None


async def detail(conn: Connection, incident: str) -> IncidentDetail | None:
    row = await (await conn.execute("SELECT body FROM incidents WHERE id = %s", [incident])).fetchone()
    if row is None:
        return None
    owed = await (await conn.execute(OBLIGATIONS, [incident, OBLIGATIONS_MAX])).fetchall()
    attempts: dict[str, list[AttemptView]] = {}
    for name, *attempt in await (await conn.execute(ATTEMPTS, [[one[0] for one in owed], ATTEMPTS_MAX])).fetchall():
        attempts.setdefault(name, []).append(AttemptView(*attempt))
    decided = await (await conn.execute(OUTCOMES, [incident])).fetchall()
    return IncidentDetail(
        incident=msgspec.convert(row[0], Incident),
        obligations=tuple(_obligation(one, attempts.get(one[0], [])) for one in owed),
        outcomes=tuple(_decided(*one) for one in decided),
    )


def _decided(*columns: Any) -> OutcomeView:
    outcome, at, actor, source, fixed_in, reason, reopened, body, confirmed_by = columns
    said = msgspec.json.decode(body, type=Outcome) if body else None
    return OutcomeView(outcome, at, actor, source, fixed_in, reason, reopened, said, confirmed_by)


def _obligation(row: Any, attempts: list[AttemptView]) -> ObligationView:
    columns = [name for name in ObligationView.__struct_fields__ if name != "attempts"]
    return ObligationView(**dict(zip(columns, row, strict=True)), attempts=tuple(attempts))


def _summaries(rows: Sequence[Any]) -> tuple[IncidentSummary, ...]:
    return tuple(_summary(*row[1:]) for row in rows)


def _summary(body: Any, stage: str, agent: str, environment: str, _: datetime, *states: str | None) -> IncidentSummary:
    one = msgspec.convert(body, Incident)
    return IncidentSummary(
        id=one.id,
        title=one.title,
        severity=one.severity,
        stage=stage,
        owner=one.owner,
        agent=agent,
        environment=environment,
        opened_at=one.opened_at,
        first_seen=one.first_seen,
        last_seen=one.last_seen,
        count=one.count,
        releases=one.releases,
        held=one.held,
        parent=one.parent,
        ticket=one.ticket,
        ticket_url=one.ticket_url,
        ticket_state=states[0],
        page_state=states[1],
        outcome=one.outcome,
        acknowledged_by=one.acknowledged_by,
    )


def _cursor(row: Any) -> str:
    return base64.urlsafe_b64encode(f"{row[5].isoformat()} {row[0]}".encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, name = text.partition(" ")
        opened_at = datetime.fromisoformat(at)
    except (ValueError, binascii.Error) as error:
        raise BadCursor(str(error)) from None
    if opened_at.tzinfo is None or not name or "\0" in name:
        raise BadCursor(cursor)
    return opened_at, name
