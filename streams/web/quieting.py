"""Silences as the pages and the API show them: all there were, what each hides now, what a new one would hide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from ..database import Connection
from ..records import Incident, Silence
from .documents import SilenceView

SHOWN_MAX = 200
OPEN_MAX = 5000
NAMED_MAX = 10
COLUMNS = "id, kind, matchers, reason, actor, source, at, until, ended_at"
LISTED = f"""
SELECT {COLUMNS}, until > now() AND ended_at IS NULL AS active FROM silences
WHERE NOT %(active)s OR (until > now() AND ended_at IS NULL)
ORDER BY active DESC, at DESC LIMIT %(limit)s
"""  # noqa: S608 - names of columns
HIDDEN = """
SELECT reason, count(*) FROM incidents i, jsonb_array_elements_text(coalesce(i.body->'held', '[]')) reason
WHERE i.stage NOT IN ('resolved', 'closed', 'merged') AND reason = ANY(%s) GROUP BY reason
"""
TOLD = """
SELECT record FROM inbox WHERE record->>'record' = 'silence' AND record->>'id' = %s ORDER BY id DESC LIMIT 1
"""


async def listed(conn: Connection, *, active: bool = False) -> tuple[SilenceView, ...]:
    rows = await (await conn.execute(LISTED, {"active": active, "limit": SHOWN_MAX})).fetchall()
    reasons = [f"silenced:{row[0]}" for row in rows]
    counted = await (await conn.execute(HIDDEN, [reasons])).fetchall() if rows else []
    hidden = {reason: count for reason, count in counted}  # noqa: C416 - typed
    return tuple(_view((*row, hidden.get(f"silenced:{row[0]}", 0) if row[-1] else 0)) for row in rows)


def _view(values: tuple[Any, ...]) -> SilenceView:
    return SilenceView(**dict(zip(SilenceView.__struct_fields__, values, strict=True)))


async def named(conn: Connection, name: str) -> Silence | None:
    """The silence as it was told last: one that the book has not read yet, otherwise one that it has."""
    told = await (await conn.execute(TOLD, [name])).fetchone()
    if told is not None:
        return msgspec.convert(told[0], Silence)
    query = f"SELECT {COLUMNS} FROM silences WHERE id = %s"  # noqa: S608 - names of columns
    row = await (await conn.execute(query, [name])).fetchone()
    if row is None:
        return None
    id_, kind, matchers, reason, actor, source, at, until, ended_at = row
    return Silence(id_, matchers, reason, actor, at, min(until, ended_at or until), kind, source)


async def would_hide(conn: Connection, silence: Silence, now: datetime) -> tuple[Incident, ...]:
    """Open incidents that it matches."""
    rows = await (
        await conn.execute(
            "SELECT body - 'evidence' FROM incidents WHERE stage NOT IN ('resolved', 'closed', 'merged')"
            " ORDER BY severity = 'critical' DESC, last_seen DESC LIMIT %s",
            [OPEN_MAX],
        )
    ).fetchall()
    found = (msgspec.convert(body, Incident) for (body,) in rows)
    return tuple(one for one in found if silence.hides(one, now))


def warning(silence: Silence, hidden: Sequence[Incident]) -> str | None:
    """Said where it is made: nobody is woken for a critical trouble that it hides."""
    critical = [one for one in hidden if one.severity == "critical"]
    if critical:
        unit = "a critical incident that is" if len(critical) == 1 else f"{len(critical)} critical incidents that are"
        return f"It hides {unit} open: {', '.join(one.id for one in critical[:NAMED_MAX])}."
    if fnmatchcase("critical", silence.matchers.get("severity", "*")):
        return "Critical incidents are hidden as well, if it matches them; with severity=high it would spare them."
    return None
