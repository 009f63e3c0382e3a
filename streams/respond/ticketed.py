"""Tickets as rows: adopted by a sweep, confirmed again, and tried again when what refused them may have been mended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import LiteralString, NamedTuple

from ..database import Connection
from ..records import Answer, Done, Receipt
from .owed import kept, tell

# What an administrator can mend: a field, a permission, a project. Not what is about the thing itself.
MENDABLE = r"(^|: )(3xx|400|403|404|410|422)(:|$)"
NO_TICKET = r"^(3xx|4\d\d)(:|$)"  # without a ticket nothing else is of use: whatever refused it is asked again
PROBES = 20  # tried where nothing says that it is mended
TRIED_FOR = "7 days"
AUDIT_S = 60.0

# Whatever waits for one of these carries its reason, and is owed again with it; or once what it waits for is there.
_REFUSED: LiteralString = """SELECT o.id, o.seq, EXISTS (
        SELECT 1 FROM obligations d WHERE d.destination = o.destination AND d.kind = o.kind AND d.state = 'done'
        AND d.settled_at > o.settled_at) AS mended
    FROM obligations o
    WHERE o.receiver = %(receiver)s AND o.state = 'refused'
      AND (o.why ~ %(mendable)s OR (o.kind = 'ticket' AND o.why ~ %(no_ticket)s)
        OR (o.why LIKE 'waits for %%' AND NOT EXISTS (
          SELECT 1 FROM obligations p WHERE p.id = ANY(o.after) AND p.receiver = o.receiver AND p.state <> 'done')))
      AND o.settled_at < now() - make_interval(secs => %(after_s)s) AND o.created_at > now() - %(tried_for)s::interval
      AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.incident = o.incident AND t.gone_at IS NOT NULL)"""
_AGAIN: LiteralString = """WITH refused AS ({refused}), chosen AS (
        SELECT id FROM refused WHERE mended UNION (SELECT id FROM refused ORDER BY seq LIMIT %(probes)s))
    UPDATE obligations o SET state = 'owed', failures = 0, not_before = now(), settled_at = NULL
    FROM chosen WHERE o.id = chosen.id AND o.state = 'refused'""".replace("{refused}", _REFUSED)


class Recorded(NamedTuple):
    """The ticket that counts for the obligation, whether or not it is the one that was found."""

    reference: str
    adopted: bool


async def claimed(conn: Connection, obligation: str, incident: str, found: Done) -> Recorded | None:
    """The row is locked first. No ticket recorded: the one found is, from now on. None: no such obligation."""
    async with conn.transaction():
        cursor = await conn.execute(
            "SELECT state, reference, attempt FROM obligations WHERE id = %s AND incident = %s AND kind = 'ticket' FOR UPDATE",
            [obligation, incident],
        )
        row = await cursor.fetchone()
        if row is None:
            return None
        state, reference, attempt = row
        if state == "done" and reference:
            return Recorded(reference, adopted=False)
        await conn.execute(
            "UPDATE obligations SET state = 'done', reference = %s, url = %s, why = NULL, failures = 0, settled_at = now(),"
            " confirm_at = now(), audit_at = now() + make_interval(secs => %s) WHERE id = %s",
            [kept(found.reference), found.url and kept(found.url), AUDIT_S, obligation],
        )
        await _swept(conn, obligation, attempt, "done", f"adopted {found.reference}")
        await tell(conn, [Receipt(obligation, incident, "ticket", found, datetime.now(UTC))])
    return Recorded(found.reference, adopted=True)


async def confirm_again(conn: Connection, obligation: str) -> None:
    """It is the one, but still says that it is not: the carrier tells it so."""
    await conn.execute("UPDATE obligations SET confirm_at = now() WHERE id = %s AND state = 'done'", [obligation])


async def retired(conn: Connection, obligation: str, key: str, answer: Answer) -> None:
    word = "done" if isinstance(answer, Done) else type(answer).__name__.lower()
    why = f"retired {key}" if isinstance(answer, Done) else answer.why
    await _swept(conn, obligation, 0, word, why)


async def try_again(conn: Connection, receiver: str, after_s: float) -> int:
    """Refused ones are owed again: all for which something shows that it is mended, otherwise a few of the oldest."""
    cursor = await conn.execute(
        _AGAIN,
        {
            "receiver": receiver,
            "mendable": MENDABLE,
            "no_ticket": NO_TICKET,
            "after_s": after_s,
            "tried_for": TRIED_FOR,
            "probes": PROBES,
        },
    )
    return cursor.rowcount


async def _swept(conn: Connection, obligation: str, attempt: int, answer: str, why: str) -> None:
    await conn.execute(
        "INSERT INTO attempts (obligation, attempt, step, answered, answer, why) VALUES (%s, %s, 'sweep', now(), %s, %s)",
        [obligation, attempt, answer, kept(why)],
    )
