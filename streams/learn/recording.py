"""Writes down what was decided, by people and by gates, and says it: each in one transaction."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import (
    Acknowledgement,
    Assignment,
    GateDecision,
    GateInputs,
    GateValues,
    Merge,
    Notice,
    Outcome,
    Silence,
    Split,
)
from ..settle import publish

DECISION = """
INSERT INTO decisions VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""
STATE = """
INSERT INTO gate_states VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (gate, agent, release, environment) DO UPDATE
    SET state = EXCLUDED.state, decision = EXCLUDED.decision, since = EXCLUDED.since
WHERE gate_states.state <> EXCLUDED.state AND gate_states.since <= EXCLUDED.since -- who was slow tells nothing new
RETURNING state
"""
MADE_UP = """
DELETE FROM gate_states s WHERE since < now() - interval '90 days'
    AND NOT EXISTS (SELECT 1 FROM releases r WHERE (r.agent, r.release) = (s.agent, s.release))
"""
OUTCOME = """
INSERT INTO outcomes (incident, outcome, at, actor, source, fixed_in, reason, reopened, body)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


async def record_decision(
    conn: Connection, topic: str, decision: GateDecision, values: GateValues, inputs: GateInputs
) -> bytes:
    """The document as it is from now on. A state that differs from the one recorded last is published."""
    document = msgspec.json.encode(decision)
    where = (decision.gate, decision.agent, decision.release, decision.environment)
    kept = (
        *(decision.decision_id, *where, decision.state, decision.inputs_digest, values.version, decision.as_of),
        *(document, msgspec.json.encode(values), msgspec.json.encode(inputs)),
    )
    async with conn.transaction():
        await conn.execute(DECISION, kept)
        cursor = await conn.execute(STATE, (*where, decision.state, decision.decision_id, decision.as_of))
        if await cursor.fetchone():
            await publish(conn, topic, f"{decision.agent}@{decision.release}@{decision.environment}", document)
    return document


async def recorded(conn: Connection, decision_id: str) -> bytes | None:
    """The document of a decision, to the byte."""
    row = await (await conn.execute("SELECT document FROM decisions WHERE id = %s", [decision_id])).fetchone()
    return bytes(row[0]) if row else None


async def record_outcome(conn: Connection, topic: str, outcome: Outcome, *, book: bool = True) -> None:
    """History, the book's inbox, learn's and the export. Inside the caller's transaction, if there is one."""
    of = outcome
    body = Jsonb(msgspec.to_builtins(outcome))
    row = (of.incident, of.outcome, of.at, of.actor, of.source, of.fixed_in, of.reason, of.reopened, body)
    async with conn.transaction():
        await conn.execute(OUTCOME, row)
        if book:
            await put(conn, outcome)
        await tell(conn, outcome)
        await publish(conn, topic, outcome.incident, msgspec.json.encode(outcome))


async def put(
    conn: Connection, record: Outcome | Acknowledgement | Assignment | Split | Merge | Silence | Notice
) -> None:
    """Tell the book."""
    await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [Jsonb(msgspec.to_builtins(record))])


async def tell(conn: Connection, record: Struct) -> None:
    """Tell learn's own deciders."""
    await conn.execute("INSERT INTO learn_inbox (record) VALUES (%s)", [Jsonb(msgspec.to_builtins(record))])


async def forget(conn: Connection) -> None:
    """Old minutes (their sums stay), old decisions (the last of each known release stays) and old questions."""
    await conn.execute("DELETE FROM approvals WHERE state <> 'pending' AND expires_at < now() - interval '90 days'")
    await conn.execute("DELETE FROM exposure WHERE minute < now() - interval '90 days'")
    await conn.execute("DELETE FROM judged WHERE minute < now() - interval '90 days'")
    await conn.execute("DELETE FROM audits WHERE at < now() - interval '90 days'")
    await conn.execute("DELETE FROM gate_asked WHERE last_at < now() - interval '90 days'")
    await conn.execute(MADE_UP)
    await conn.execute(
        "DELETE FROM decisions WHERE as_of < now() - interval '90 days' AND id NOT IN (SELECT decision FROM gate_states)"
    )
