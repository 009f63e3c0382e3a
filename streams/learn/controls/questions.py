"""Questions as rows: written down with what people are owed for them, read by those who ask and those who answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec
from msgspec import Struct
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Approval, ApprovalAnswered, ApprovalAsked, Obligation
from ..recording import tell

LISTED_MAX = 200
WRITTEN = """
INSERT INTO approvals (id, state, asked_at, expires_at, answered_at, actor, body) VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET state = EXCLUDED.state, answered_at = EXCLUDED.answered_at, actor = EXCLUDED.actor
WHERE approvals.state = 'pending' AND EXCLUDED.state <> 'pending'
"""
OWED = """
INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body, after, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""
# Where nobody was asked yet, nobody need be: neither the question nor its end is posted.
UNASKED = """
UPDATE obligations SET state = 'expired', settled_at = now(), why = 'the question is over'
WHERE incident = %s AND ordinal = 1 AND state IN ('owed', 'refused')
"""
FIELDS: LiteralString = """
SELECT a.state, a.answered_at, a.actor, a.body,
    (SELECT o.url FROM obligations o WHERE o.id = 'approval:' || a.id || ':page:1') FROM approvals a
"""
BY_ID: LiteralString = FIELDS + "WHERE a.id = %s"
NEWEST: LiteralString = (
    FIELDS + "WHERE NOT %s OR a.state = 'pending' ORDER BY a.state <> 'pending', a.asked_at DESC LIMIT %s"
)
TOLD = "SELECT record FROM learn_inbox WHERE record->>'record' = 'approval_asked' AND record->>'id' = %s LIMIT 1"


class Standing(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A question as people and agents see it. `link`: the message in which it was asked."""

    id: str
    state: str
    action: str
    asked_at: datetime
    expires_at: datetime
    agent: str = ""
    session: str = ""
    reason: str = ""
    resource: str = ""
    incident: str = ""
    answered_at: datetime | None = None
    actor: str | None = None
    link: str | None = None


async def approved(conn: Connection, records: Sequence[Approval]) -> None:
    for one in records:
        asked, over = one.asked, one.state != "pending"
        times = (asked.at, asked.until, one.at if over else None)
        await conn.execute(WRITTEN, (asked.id, one.state, *times, one.actor or None, Jsonb(msgspec.to_builtins(asked))))


async def owed(conn: Connection, records: Sequence[Obligation]) -> None:
    """What learn itself owes people: questions. Everything else is the book's."""
    for one in records:
        if one.ordinal > 1:
            cursor = await conn.execute(UNASKED, [one.incident])
            if cursor.rowcount:
                continue
        receiver = one.destination.partition(":")[0]
        row = (one.id, one.incident, one.kind, one.ordinal, receiver, one.destination)
        await conn.execute(OWED, (*row, Jsonb(one.body), list(one.after), one.at))


async def question(conn: Connection, name: str) -> Standing | None:
    """One that was asked a moment ago may still be in the inbox."""
    row = await (await conn.execute(BY_ID, [name])).fetchone()
    if row is not None:
        return _standing(row)
    row = await (await conn.execute(TOLD, [name])).fetchone()
    if row is not None:
        return _standing(("pending", None, None, row[0], None))
    row = await (await conn.execute(BY_ID, [name])).fetchone()  # it may have been taken from there between the two
    return _standing(row) if row is not None else None


async def questions(conn: Connection, *, pending: bool) -> tuple[Standing, ...]:
    rows = await (await conn.execute(NEWEST, [pending, LISTED_MAX])).fetchall()
    return tuple(_standing(row) for row in rows)


async def answer(conn: Connection, said: ApprovalAnswered) -> str:
    """`heard`; or why not: `unknown`, or the state it is in already."""
    found = await question(conn, said.id)
    if found is None:
        return "unknown"
    if found.state == "pending" and said.at >= found.expires_at:
        return "expired"
    if found.state == "pending":
        await tell(conn, said)
        return "heard"
    return found.state


def _standing(row: Any) -> Standing:
    state, answered_at, actor, body, link = row
    asked = msgspec.convert(body, ApprovalAsked)
    given = {name: getattr(asked, name) for name in ("agent", "session", "reason", "resource", "incident")}
    return Standing(
        id=asked.id,
        state=state,
        action=asked.action,
        asked_at=asked.at,
        expires_at=asked.until,
        answered_at=answered_at,
        actor=actor,
        link=link,
        **given,
    )
