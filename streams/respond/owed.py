"""Obligations as rows: what is due, the intent before a call, the answer after it, and the receipt in the same breath."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg.sql import SQL, Identifier

from ..database import Connection
from ..records import Answer, Done, NotDone, Obligation, Receipt, Refused, Unknown
from .receivers.protocol import CREDENTIALS, Absent, Blind

BACKOFF_S_MAX = 300.0
DOUBLINGS_MAX = 16  # a float has an end, an outage of days fails more often than that
WHY_MAX = 1000

_COLUMNS: LiteralString = """o.id, o.incident, o.kind, o.ordinal, o.destination, o.body, o.after, o.at, o.state,
    o.attempt, o.failures, o.nonce, o.started, o.reference, o.url, o.confirm_at, o.audits"""

# An obligation of another receiver that was refused is waited for in vain: it only leaves no reference.
_AFTER_MET: LiteralString = """NOT EXISTS (
    SELECT 1 FROM unnest({row}.after) AS named(id) LEFT JOIN obligations p ON p.id = named.id
    WHERE p.id IS NULL OR p.state IN ('owed', 'attempting')
       OR (p.state IN ('refused', 'expired') AND p.receiver = {row}.receiver))"""

# Near a limit, what opens an incident goes before what adds to one.
READY: LiteralString = (
    """SELECT {columns} FROM obligations o
    WHERE o.receiver = %(receiver)s AND o.state IN ('owed', 'attempting') AND o.not_before <= now()
      AND (o.state = 'owed' OR o.ask_after <= now())
      AND NOT o.destination = ANY(%(paused)s) AND NOT (o.incident || ' ' || o.destination) = ANY(%(busy)s)
      AND {met} AND NOT EXISTS (
        SELECT 1 FROM obligations e
        WHERE e.incident = o.incident AND e.destination = o.destination AND e.seq < o.seq
          AND e.state IN ('owed', 'attempting') AND {met_before})
    ORDER BY o.ordinal > 1 OR o.kind NOT IN ('page', 'ticket'), o.seq LIMIT %(limit)s""".replace("{columns}", _COLUMNS)
    .replace("{met}", _AFTER_MET.replace("{row}", "o"))
    .replace("{met_before}", _AFTER_MET.replace("{row}", "e"))
)

CARE: LiteralString = """SELECT {columns} FROM obligations o
    WHERE o.receiver = %(receiver)s AND coalesce(o.confirm_at, o.audit_at) <= now()
      AND NOT o.destination = ANY(%(paused)s) AND NOT (o.incident || ' ' || o.destination) = ANY(%(busy)s)
    ORDER BY o.confirm_at IS NULL, o.seq LIMIT %(limit)s""".replace("{columns}", _COLUMNS)


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
    def done(self) -> Done:
        return Done(self.reference or "", self.url)


class Look(NamedTuple):
    """Which obligations may be taken now."""

    receiver: str
    paused: Sequence[str]
    busy: Sequence[str]
    limit: int


async def due(conn: Connection, query: LiteralString, look: Look) -> list[Row]:
    given = {**look._asdict(), "paused": list(look.paused), "busy": list(look.busy)}
    cursor = await conn.execute(query, given)
    return [Row(*row) for row in await cursor.fetchall()]


async def references(conn: Connection, row: Row) -> dict[str, Done]:
    """What `after` came to, and everything else that was done for the incident."""
    cursor = await conn.execute(
        "SELECT id, reference, url FROM obligations WHERE state = 'done' AND (id = ANY(%s) OR (incident = %s AND incident <> ''))",
        [row.after, row.incident],
    )
    return {name: Done(reference, url) for name, reference, url in await cursor.fetchall() if reference is not None}


async def known(conn: Connection, row: Row) -> Done | None:
    """The newest of its kind and destination that was there before the attempt."""
    cursor = await conn.execute(
        "SELECT reference, url FROM obligations WHERE destination = %s AND state = 'done' AND kind = %s"
        " AND settled_at < %s ORDER BY settled_at DESC LIMIT 1",
        [row.destination, row.kind, row.started],
    )
    found = await cursor.fetchone()
    return Done(found[0], found[1]) if found and found[0] else None


async def intend(conn: Connection, row: Row, ask_after_s: float) -> str | None:
    """The intent of the next attempt, committed before anything leaves. None: somebody else has taken it."""
    nonce = hashlib.blake2b(f"{row.id}#{row.attempt + 1}".encode(), digest_size=12).hexdigest()
    async with conn.transaction():
        cursor = await conn.execute(
            "UPDATE obligations SET state = 'attempting', attempt = attempt + 1, nonce = %s, started = now(),"
            " ask_after = now() + make_interval(secs => %s) WHERE id = %s AND state = 'owed' AND attempt = %s",
            [nonce, ask_after_s, row.id, row.attempt],
        )
        if cursor.rowcount == 0:
            return None
        await _began(conn, row._replace(attempt=row.attempt + 1, nonce=nonce), "call")
    return nonce


async def ask(conn: Connection, row: Row, ask_after_s: float) -> bool:
    """Take the question, so that nobody else asks and repeats meanwhile."""
    async with conn.transaction():
        cursor = await conn.execute(
            "UPDATE obligations SET ask_after = now() + make_interval(secs => %s)"
            " WHERE id = %s AND state = 'attempting' AND attempt = %s AND ask_after <= now()",
            [ask_after_s, row.id, row.attempt],
        )
        if cursor.rowcount == 0:
            return False
        await _began(conn, row, "ask")
    return True


async def answered(conn: Connection, row: Row, answer: Answer, audit_s: float | None) -> bool:
    """The answer of attempt `row.attempt`; False: the row has moved on, and what was done is one too many."""
    match answer:
        case Done(reference, url):
            change: LiteralString = "state = 'done', reference = %(reference)s, url = %(url)s, why = NULL, failures = 0"
            change += ", settled_at = now(), confirm_at = CASE WHEN %(confirm)s THEN now() END"
            change += ", audit_at = now() + make_interval(secs => %(audit_s)s)"
            given: dict[str, Any] = {"reference": kept(reference), "url": url and kept(url)}
            given |= {"audit_s": audit_s, "confirm": row.kind == "ticket"}
        case NotDone(why, after_s):
            change = "state = 'owed', failures = failures + 1, why = %(why)s"
            change += ", not_before = now() + make_interval(secs => %(delay)s)"
            given = {"why": kept(why), "delay": max(after_s or 0.0, backoff(row.id, row.failures))}
        case Refused(why):
            change = "state = 'refused', why = %(why)s, settled_at = now()"
            given = {"why": kept(why)}
        case Unknown(why):
            change, given = "why = %(why)s", {"why": kept(why)}
    async with conn.transaction():
        await _ended(conn, row, _word(answer), given.get("why"))
        cursor = await conn.execute(
            SQL(
                "UPDATE obligations SET {} WHERE id = %(id)s AND state = 'attempting' AND attempt = %(attempt)s"
            ).format(SQL(change)),
            {**given, "id": row.id, "attempt": row.attempt},
        )
        if cursor.rowcount == 0:
            return False
        if isinstance(answer, Done | Refused):
            await tell(conn, [_receipt(row, answer)])
    return True


async def unseen(conn: Connection, row: Row, found: Absent | Blind) -> None:
    """Absent: the next attempt may begin. Blind: ask again later, further and further apart."""
    absent = isinstance(found, Absent)
    delay = 0.0 if absent else backoff(row.id, row.failures)
    state = "owed" if absent else "attempting"
    async with conn.transaction():
        await _ended(conn, row, "absent" if absent else "blind", found.why)
        await conn.execute(
            "UPDATE obligations SET state = %s, why = %s, failures = failures + 1, not_before = now(),"
            " ask_after = now() + make_interval(secs => %s) WHERE id = %s AND state = 'attempting' AND attempt = %s",
            [state, kept(found.why), delay, row.id, row.attempt],
        )


async def doubled(conn: Connection, row: Row) -> None:
    """Something was done for an attempt that nobody waits for any more: look for it at once."""
    await conn.execute("UPDATE obligations SET audit_at = now() WHERE id = %s AND state = 'done'", [row.id])


async def cared(conn: Connection, row: Row, step: str, answer: Answer, next_audit_s: float | None) -> None:
    """The answer of a confirmation or an audit. A refusal ends it: a person has changed or deleted the thing.

    Unless it is us whom nobody lets in: that says nothing about the thing.
    """
    again = isinstance(answer, NotDone | Unknown) or (
        isinstance(answer, Refused) and answer.why.startswith(CREDENTIALS)
    )
    delay = backoff(row.id, row.failures) if again else next_audit_s
    column = "confirm_at" if step == "confirm" else "audit_at"
    async with conn.transaction():
        await _began(conn, row, step)
        await _ended(conn, row, _word(answer), getattr(answer, "why", None) or getattr(answer, "reference", None))
        await conn.execute(
            SQL(
                "UPDATE obligations SET {} = now() + make_interval(secs => %s), failures = %s, audits = audits + %s"
                " WHERE id = %s AND state = 'done'"
            ).format(Identifier(column)),
            [delay, row.failures + 1 if again else 0, int(step == "audit" and not again), row.id],
        )


async def give_up(conn: Connection, receiver: str) -> int:
    """Whatever waits for something of the same receiver that was refused is refused with its reason."""
    async with conn.transaction():
        cursor = await conn.execute(
            "UPDATE obligations o SET state = 'refused', settled_at = now(),"
            " why = left('waits for ' || p.id || ', which is ' || p.state || ': ' || coalesce(p.why, ''), %s)"
            " FROM obligations p WHERE o.receiver = %s AND o.state = 'owed' AND p.id = ANY(o.after)"
            " AND p.receiver = o.receiver AND p.state IN ('refused', 'expired')"
            " RETURNING o.id, o.incident, o.kind, o.why",
            [WHY_MAX, receiver],
        )
        rows = await cursor.fetchall()
        now = datetime.now(UTC)
        await tell(conn, [Receipt(id_, incident, kind, Refused(why), now) for id_, incident, kind, why in rows])
    return len(rows)


async def owe_again(conn: Connection, receiver: str, obligation: str | None = None) -> int:
    """Refused ones are owed again: the one named, or (at a start, with perhaps other credentials) those refused for them."""
    cursor = await conn.execute(
        "UPDATE obligations SET state = 'owed', failures = 0, not_before = now(), settled_at = NULL WHERE receiver = %s"
        " AND state = 'refused' AND (id = %s OR (%s::text IS NULL AND position(%s in why) > 0))",
        [receiver, obligation, obligation, CREDENTIALS],
    )
    return cursor.rowcount


async def tell(conn: Connection, records: Sequence[Any]) -> None:
    """Into the book's inbox."""
    if records:
        async with conn.cursor() as cursor:
            rows = [(msgspec.json.encode(record).decode(),) for record in records]
            await cursor.executemany("INSERT INTO inbox (record) VALUES (%s)", rows)


def kept(text: str) -> str:
    """What the outside said, as PostgreSQL takes it."""
    return text[:WHY_MAX].replace("\0", "").encode(errors="replace").decode()


def backoff(name: str, failures: int) -> float:
    """1 s to 5 min, doubling, spread by what is waiting and not by chance."""
    spread = hashlib.blake2b(f"{name}#{failures}".encode(), digest_size=4).digest()
    return min(BACKOFF_S_MAX, 2.0 ** min(failures, DOUBLINGS_MAX)) * (
        0.75 + 0.5 * int.from_bytes(spread, "big") / 2**32
    )


def _receipt(row: Row, answer: Answer) -> Receipt:
    return Receipt(row.id, row.incident, row.kind, answer, datetime.now(UTC))


def _word(answer: Answer) -> str:
    return {Done: "done", NotDone: "not_done", Refused: "refused", Unknown: "unknown"}[type(answer)]


async def _began(conn: Connection, row: Row, step: str) -> None:
    await conn.execute(
        "INSERT INTO attempts (obligation, attempt, step, nonce) VALUES (%s, %s, %s, %s)",
        [row.id, row.attempt, step, row.nonce],
    )


async def _ended(conn: Connection, row: Row, answer: str, why: str | None) -> None:
    await conn.execute(
        "UPDATE attempts SET answered = clock_timestamp(), answer = %s, why = %s WHERE id ="
        " (SELECT max(id) FROM attempts WHERE obligation = %s AND attempt = %s AND answered IS NULL)",
        [answer, why and kept(why), row.id, row.attempt],
    )
