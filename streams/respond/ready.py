"""Which obligations may be taken now, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from ..database import Connection
from ..records import Done, Obligation

OPENS, ADDS, EDITS, ASKS = "opens", "adds", "edits", "asks"  # three sorts, and those that nobody has answered

_COLUMNS: LiteralString = """o.id, o.incident, o.kind, o.ordinal, o.destination, o.body, o.after, o.at, o.state,
    o.attempt, o.failures, o.nonce, o.started, o.reference, o.url, o.confirm_at, o.audits, o.sort"""

# An obligation of another receiver that was refused is waited for in vain: it only leaves no reference.
_AFTER_MET: LiteralString = """NOT EXISTS (
    SELECT 1 FROM unnest({row}.after) AS named(id) LEFT JOIN obligations p ON p.id = named.id
    WHERE p.id IS NULL OR p.state IN ('owed', 'attempting')
       OR (p.state IN ('refused', 'expired') AND p.receiver = {row}.receiver))"""

_OF_ONE_PAGE: LiteralString = """{row}.incident = o.incident AND {row}.destination = o.destination
    AND {row}.kind = o.kind AND {row}.body->>'incident' = o.body->>'incident' AND {row}.sort = 'edits'
    AND {row}.ordinal > o.ordinal"""

# In order within an incident and destination; only an edit holds up nobody but edits. Each sort by itself: an index
# walked in its order ends when there is enough, however many wait.
_SORT: LiteralString = (
    """(SELECT {columns}, {newer}, {latest} FROM obligations o
    WHERE o.receiver = %(receiver)s AND o.sort = '{sort}' AND o.state IN ('owed', 'attempting')
      AND o.not_before <= now() AND (o.state = 'owed' OR o.ask_after <= now())
      AND NOT (CASE o.state WHEN 'owed' THEN '{sort} ' ELSE 'asks ' END || o.destination) = ANY(%(paused)s)
      AND NOT (o.incident || ' ' || o.destination) = ANY(%(busy)s)
      AND {met} AND NOT EXISTS (
        SELECT 1 FROM obligations e
        WHERE e.incident = o.incident AND e.destination = o.destination AND e.seq < o.seq
          AND e.state IN ('owed', 'attempting') AND (e.sort <> 'edits' OR o.sort = 'edits') AND {met_before})
    ORDER BY o.seq LIMIT %(limit)s)""".replace("{columns}", _COLUMNS)
).replace("{met_before}", _AFTER_MET.replace("{row}", "e"))
_PLAIN: LiteralString = (
    _SORT.replace("{newer}", "false")
    .replace("{latest}", "NULL::jsonb")
    .replace("{met}", _AFTER_MET.replace("{row}", "o"))
)

# An edit that waits for a ticket holds up none after it: while Jira is down, people still see who is on it. Those go
# without the ticket, as if they had not waited for it, and the first shows it once it is there.
_ALREADY: LiteralString = """(EXISTS (
        SELECT 1 FROM obligations w WHERE w.incident = o.incident AND w.destination = o.destination
          AND w.kind = o.kind AND w.sort = 'edits' AND w.state = 'owed' AND w.ordinal < o.ordinal AND w.after @> o.after)
    AND NOT EXISTS (
        SELECT 1 FROM unnest(o.after) AS named(id) LEFT JOIN obligations p ON p.id = named.id
        WHERE p.id IS NULL OR (p.receiver = o.receiver AND p.state <> 'done')))"""
_EDIT: LiteralString = (
    _SORT.replace(
        "o.after,",
        "ARRAY(SELECT p.id FROM obligations p WHERE p.id = ANY(o.after) AND p.state NOT IN ('owed', 'attempting')),",
    )
    .replace(
        "{newer}",
        "EXISTS (SELECT 1 FROM obligations n WHERE {page} AND n.state = 'owed' AND n.not_before <= now()"
        " AND ({met_too} OR {already}))",
    )
    .replace(
        "{latest}",
        "(SELECT l.body FROM obligations l WHERE {page_l} AND l.state IN ('owed', 'attempting', 'done')"
        " ORDER BY l.ordinal DESC LIMIT 1)",
    )
    .replace("AND {met} ", "AND ({met} OR {already}) ")
    .replace("{already}", _ALREADY)
    .replace("{page}", _OF_ONE_PAGE.replace("{row}", "n"))
    .replace("{page_l}", _OF_ONE_PAGE.replace("{row}", "l"))
    .replace("{met_too}", _AFTER_MET.replace("{row}", "n"))
    .replace("{met}", _AFTER_MET.replace("{row}", "o"))
)

# Near a limit, what opens an incident goes before what adds to one, and that before what brings a page up to date.
READY: LiteralString = (
    f"{_PLAIN.replace('{sort}', OPENS)} UNION ALL {_PLAIN.replace('{sort}', ADDS)}"
    f" UNION ALL {_EDIT.replace('{sort}', EDITS)} LIMIT %(limit)s"
)

CARE: LiteralString = """SELECT {columns}, false, NULL::jsonb FROM obligations o
    WHERE o.receiver = %(receiver)s AND coalesce(o.confirm_at, o.audit_at) <= now()
      AND NOT ('asks ' || o.destination) = ANY(%(paused)s) AND NOT (o.incident || ' ' || o.destination) = ANY(%(busy)s)
    ORDER BY o.confirm_at IS NULL, o.seq LIMIT %(limit)s""".replace("{columns}", _COLUMNS)

WORK: LiteralString = f"({READY}) UNION ALL ({CARE}) LIMIT %(limit)s"


class Row(NamedTuple):
    id: str
    incident: str
    kind: Any
    ordinal: int
    destination: str
    body: dict[str, Any]
    after: list[str]
    at: datetime | None
    state: str
    attempt: int
    failures: int
    nonce: str | None
    started: datetime | None
    reference: str | None
    url: str | None
    confirm_at: datetime | None
    audits: int
    sort: str
    newer: bool  # a newer edit of the same page could be made as well
    latest: dict[str, Any] | None  # what the newest of them says

    @property
    def obligation(self) -> Obligation:
        return Obligation(
            self.id, self.incident, self.kind, self.ordinal, self.destination, self.body, tuple(self.after), self.at
        )

    @property
    def order(self) -> str:
        """One at a time, in the order in which they were promised: per incident and destination."""
        return f"{self.incident} {self.destination}"

    @property
    def lane(self) -> str:
        """What is paused together: a sort at a destination, and the questions about it."""
        return f"{self.sort if self.state == 'owed' else ASKS} {self.destination}"

    @property
    def done(self) -> Done:
        return Done(self.reference or "", self.url)


class Look(NamedTuple):
    """Which obligations may be taken now."""

    receiver: str
    paused: Sequence[str]  # lanes
    busy: Sequence[str]  # orders
    limit: int


async def due(conn: Connection, query: LiteralString, look: Look) -> list[Row]:
    given = {**look._asdict(), "paused": list(look.paused), "busy": list(look.busy)}
    cursor = await conn.execute(query, given)
    return [Row(*row) for row in await cursor.fetchall()]
