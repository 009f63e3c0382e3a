"""Writes down overrides, freezes and notices: what learn's deciders say about gates, in their transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Freeze, Frozen, GateDecision, Notice, Overridden, Override

# `used_by` is written where the override is used: what is known there is not taken back.
OVERRIDE = """
INSERT INTO overrides (id, gate, agent, release, environment, expires_at, ended_at, body, state, created_at, approved_at, why)
VALUES (%(id)s, %(gate)s, %(agent)s, %(release)s, %(environment)s, %(expires_at)s, %(ended_at)s, %(body)s, %(state)s,
    %(created_at)s, %(approved_at)s, %(why)s)
ON CONFLICT (id) DO UPDATE SET ended_at = EXCLUDED.ended_at, state = EXCLUDED.state, why = EXCLUDED.why,
    approved_at = COALESCE(overrides.approved_at, EXCLUDED.approved_at),
    body = EXCLUDED.body || jsonb_strip_nulls(jsonb_build_object('used_by', overrides.used_by))
"""
FREEZE = """
INSERT INTO freezes VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO UPDATE
    SET begins = EXCLUDED.begins, ends = EXCLUDED.ends, ended_at = EXCLUDED.ended_at, body = EXCLUDED.body
"""
USED = """
UPDATE overrides SET used_by = %(decision)s, body = body || jsonb_build_object('used_by', %(decision)s::text)
WHERE id = ANY(%(ids)s) AND (body->'single_use')::boolean AND used_by IS NULL
"""
USED_BEFORE = "SELECT count(*) FROM overrides WHERE id = ANY(%(ids)s) AND used_by <> %(decision)s"
ASKED = """
INSERT INTO gate_asked VALUES (%(gate)s, %(agent)s, %(release)s, %(environment)s, %(at)s, %(at)s)
ON CONFLICT (gate, agent, release, environment) DO UPDATE SET last_at = GREATEST(gate_asked.last_at, EXCLUDED.last_at)
"""
TOLD = """
SELECT record FROM learn_inbox WHERE record->>'record' = %s AND record->>'id' = %s ORDER BY id DESC LIMIT 1
"""


class UsedAlready(Exception):
    """Somebody else was quicker: an override that counts once has counted."""


async def overridden(conn: Connection, records: Sequence[Overridden]) -> None:
    for one in records:
        override = one.override
        columns = {name: getattr(override, name) for name in ("id", "gate", "agent", "release", "environment")}
        times = {name: getattr(override, name) for name in ("expires_at", "ended_at", "created_at")}
        approved_at = one.at if one.what == "approved" else None
        rest = {"body": Jsonb(msgspec.to_builtins(override)), "state": one.what, "why": one.why}
        await conn.execute(OVERRIDE, {**columns, **times, **rest, "approved_at": approved_at})


async def frozen(conn: Connection, records: Sequence[Frozen]) -> None:
    for freeze in (one.freeze for one in records):
        body = Jsonb(msgspec.to_builtins(freeze))
        await conn.execute(FREEZE, (freeze.id, freeze.begins, freeze.ends, freeze.ended_at, body))


async def noticed(conn: Connection, records: Sequence[Notice]) -> None:
    """Into the book's inbox: it alone owes people anything."""
    for one in records:
        await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [Jsonb(msgspec.to_builtins(one))])


async def answered(conn: Connection, decision: GateDecision) -> None:
    """Somebody asked and is told this: beside the decision, in its transaction. Raises UsedAlready."""
    where = {name: getattr(decision, name) for name in ("gate", "agent", "release", "environment")}
    await conn.execute(ASKED, {**where, "at": decision.as_of})
    ids = [str(one.detail["overridden_by"]) for one in decision.reasons if "overridden_by" in one.detail]
    if not ids or decision.state != "warn":
        return  # a gate in shadow mode allows whatever anybody has taken upon themselves
    given = {"ids": ids, "decision": decision.decision_id}
    await conn.execute(USED, given)
    row = await (await conn.execute(USED_BEFORE, given)).fetchone()
    if row and row[0]:
        raise UsedAlready(", ".join(ids))


async def override_named(conn: Connection, name: str) -> Override | None:
    """As it stands; one that was asked for a moment ago may still be in the inbox."""
    found = await _body(conn, "SELECT body FROM overrides WHERE id = %s", name, "override")
    return msgspec.convert(found, Override) if found is not None else None


async def freeze_named(conn: Connection, name: str) -> Freeze | None:
    found = await _body(conn, "SELECT body FROM freezes WHERE id = %s", name, "freeze")
    return msgspec.convert(found, Freeze) if found is not None else None


async def _body(conn: Connection, query: Any, name: str, record: str) -> Any:
    row = await (await conn.execute(query, [name])).fetchone()
    if row is None:
        row = await (await conn.execute(TOLD, [record, name])).fetchone()
    return row[0] if row else None


async def overrides(conn: Connection, *, active: bool, now: datetime, limit: int = 200) -> list[tuple[Any, ...]]:
    """Body, state, why, approved_at of each, the newest first."""
    query = """
    SELECT body, state, why, approved_at FROM overrides
    WHERE NOT %(active)s OR (ended_at IS NULL AND used_by IS NULL AND expires_at > %(now)s)
    ORDER BY created_at DESC NULLS LAST, id LIMIT %(limit)s
    """
    return await (await conn.execute(query, {"active": active, "now": now, "limit": limit})).fetchall()


async def freezes(conn: Connection, *, active: bool, now: datetime, limit: int = 200) -> list[Freeze]:
    query = """
    SELECT body FROM freezes WHERE NOT %(active)s OR (ends > %(now)s AND ended_at IS NULL)
    ORDER BY begins DESC, id LIMIT %(limit)s
    """
    rows = await (await conn.execute(query, {"active": active, "now": now, "limit": limit})).fetchall()
    return [msgspec.convert(body, Freeze) for (body,) in rows]
