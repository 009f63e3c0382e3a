"""Obligations as rows: what is due, the intent before a call, the answer after it, and the receipt in the same breath."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg.sql import SQL, Identifier

from ..database import Connection
from ..records import Answer, Done, NotDone, Receipt, Refused, Unknown
from .ready import CARE, READY, Look, Row, due
from .receivers.protocol import CREDENTIALS, Absent, Blind

__all__ = ["CARE", "READY", "Look", "Row", "due"]

BACKOFF_S_MAX = 300.0
DOUBLINGS_MAX = 16  # a float has an end, an outage of days fails more often than that
WHY_MAX = 1000

_REFERENCES: LiteralString = """(
    SELECT jsonb_object_agg(id, jsonb_build_array(reference, url)) FROM obligations
    WHERE state = 'done' AND reference IS NOT NULL
      AND (id = ANY(%(after)s) OR (incident = %(incident)s AND incident <> '')))"""
_INTENT: LiteralString = """WITH taken AS (
        UPDATE obligations SET state = 'attempting', attempt = attempt + 1, nonce = %(nonce)s, started = now(),
            ask_after = now() + make_interval(secs => %(ask_after_s)s)
        WHERE id = %(id)s AND state = 'owed' AND attempt = %(attempt)s RETURNING id, attempt
    ), noted AS (
        INSERT INTO attempts (obligation, attempt, step, nonce) SELECT id, attempt, 'call', %(nonce)s FROM taken
    ) SELECT {references} FROM taken""".replace("{references}", _REFERENCES)

_CARED: LiteralString = """WITH noted AS (
        INSERT INTO attempts (obligation, attempt, step, nonce, answered, answer, why)
        VALUES (%(id)s, %(attempt)s, %(step)s, %(nonce)s, clock_timestamp(), %(answer)s, nullif(%(why)s, ''))
    ) UPDATE obligations SET {} = now() + make_interval(secs => %(delay)s), failures = %(failures)s,
        audits = audits + %(audits)s
    WHERE id = %(id)s AND state = 'done'"""

# The attempt's answer, the obligation's state, the receipt, and a hint for those who wait for a ticket: at once.
_ANSWERED: LiteralString = """WITH ended AS (
        UPDATE attempts SET answered = clock_timestamp(), answer = %(answer)s, why = %(said)s WHERE id =
        (SELECT max(id) FROM attempts WHERE obligation = %(id)s AND attempt = %(attempt)s AND answered IS NULL)
    ), moved AS (
        UPDATE obligations SET {} WHERE id = %(id)s AND state = 'attempting' AND attempt = %(attempt)s RETURNING state
    ), told AS (
        INSERT INTO inbox (record) SELECT %(receipt)s::jsonb FROM moved WHERE %(receipt)s::text IS NOT NULL
    ) SELECT CASE WHEN %(awaited)s AND state = 'done' THEN pg_notify('tocsin_obligations', '') END FROM moved"""


class Intent(NamedTuple):
    """An attempt that may begin."""

    nonce: str
    references: dict[str, Done]


async def references(conn: Connection, row: Row) -> dict[str, Done]:
    """What `after` came to, and everything else that was done for the incident."""
    cursor = await conn.execute("SELECT " + _REFERENCES, {"after": row.after, "incident": row.incident})
    found = await cursor.fetchone()
    return _references(found[0] if found else None)


def _references(found: dict[str, Any] | None) -> dict[str, Done]:
    return {name: Done(reference, url) for name, (reference, url) in (found or {}).items()}


async def known(conn: Connection, row: Row) -> Done | None:
    """The newest of its kind and destination that was there before the attempt."""
    cursor = await conn.execute(
        "SELECT reference, url FROM obligations WHERE destination = %s AND state = 'done' AND kind = %s"
        " AND settled_at < %s ORDER BY settled_at DESC LIMIT 1",
        [row.destination, row.kind, row.started],
    )
    found = await cursor.fetchone()
    return Done(found[0], found[1]) if found and found[0] else None


async def intend(conn: Connection, row: Row, ask_after_s: float) -> Intent | None:
    """The intent of the next attempt, committed before anything leaves. None: somebody else has taken it."""
    nonce = hashlib.blake2b(f"{row.id}#{row.attempt + 1}".encode(), digest_size=12).hexdigest()
    given = {"nonce": nonce, "ask_after_s": ask_after_s, "id": row.id, "attempt": row.attempt}
    cursor = await conn.execute(_INTENT, {**given, "after": row.after, "incident": row.incident})
    found = await cursor.fetchone()
    return Intent(nonce, _references(found[0])) if found else None


async def skip(conn: Connection, row: Row) -> None:
    """An edit that a newer one follows need not be made."""
    await conn.execute(
        "UPDATE obligations SET state = 'expired', why = 'a newer edit follows', settled_at = now()"
        " WHERE id = %s AND state = 'owed' AND attempt = %s",
        [row.id, row.attempt],
    )


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
            change = "state = 'owed', failures = failures + %(failed)s, why = %(why)s"
            change += ", not_before = now() + make_interval(secs => %(delay)s)"
            # Whoever says when to come back is well.
            given = {"why": kept(why), "failed": int(not after_s), "delay": after_s or backoff(row.id, row.failures)}
        case Refused(why):
            change = "state = 'refused', why = %(why)s, settled_at = now()"
            given = {"why": kept(why)}
        case Unknown(why):
            change, given = "why = %(why)s", {"why": kept(why)}
    receipt = _receipt(row, answer) if isinstance(answer, Done | Refused) else None
    given |= {"id": row.id, "attempt": row.attempt, "answer": _word(answer), "said": given.get("why")}
    given |= {"receipt": receipt and msgspec.json.encode(receipt).decode(), "awaited": row.kind == "ticket"}
    cursor = await conn.execute(SQL(_ANSWERED).format(SQL(change)), given)
    return await cursor.fetchone() is not None


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
    column: LiteralString = "confirm_at" if step == "confirm" else "audit_at"
    given = {
        "id": row.id, "attempt": row.attempt, "step": step, "nonce": row.nonce, "answer": _word(answer),
        "why": kept(getattr(answer, "why", None) or getattr(answer, "reference", None) or ""),
        "delay": delay, "failures": row.failures + 1 if again else 0, "audits": int(step == "audit" and not again),
    }  # fmt: skip
    await conn.execute(SQL(_CARED).format(Identifier(column)), given)


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
