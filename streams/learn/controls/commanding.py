"""Writes down what agents are told, and tells them: rows, history and the control topic in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import Control, ControlBeat, ControlGone, ControlRefused
from ...records.signing import signed
from ...settle import publish

BEAT = "heartbeat"
STANDS = "SELECT body FROM controls WHERE scope = %s FOR UPDATE"
CONTROL = """
INSERT INTO controls (scope, state, seq, not_after, body) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (scope) DO UPDATE SET state = EXCLUDED.state, seq = EXCLUDED.seq, not_after = EXCLUDED.not_after,
    body = EXCLUDED.body, updated_at = now()
WHERE controls.seq < EXCLUDED.seq
"""
CHANGE = "INSERT INTO control_changes (scope, at, actor, record) VALUES (%s, %s, %s, %s)"
ACTIVE = "SELECT body FROM controls WHERE state NOT IN ('closed', 'disabled') ORDER BY scope FOR SHARE"
UNSENT = "DELETE FROM publish WHERE topic = %s AND key = %s"
# A beat's number is its time in milliseconds, so that it grows beyond a database that was set back.
TURN = """
INSERT INTO positions VALUES ('control', 'beat', %(ms)s)
ON CONFLICT (reader, part) DO UPDATE SET next = greatest(positions.next + 1, EXCLUDED.next) RETURNING next
"""


class Commanding:
    """`topic` is the control topic. With a key everything on it is signed."""

    def __init__(self, topic: str, key: bytes = b"") -> None:
        self._topic, self._key = topic, key

    def writers(self) -> dict[type, Callable[[Connection, Sequence[Any]], Any]]:
        return {
            Control: self.controls,
            ControlGone: self.gone,
            ControlRefused: self.refusals,
        }

    async def controls(self, conn: Connection, records: Sequence[Control]) -> None:
        for one in records:
            row = await (await conn.execute(STANDS, [one.scope.key])).fetchone()
            body = Jsonb(msgspec.to_builtins(one))
            await conn.execute(CONTROL, (one.scope.key, one.state, one.seq, one.not_after, body))
            if row is None or not msgspec.convert(row[0], Control).like(one):
                await self._changed(conn, one)
            await self._publish(conn, one)

    async def gone(self, conn: Connection, records: Sequence[ControlGone]) -> None:
        """The row stays, for its history."""
        for one in records:
            await publish(conn, self._topic, one.scope.key, None)

    async def refusals(self, conn: Connection, records: Sequence[ControlRefused]) -> None:
        for one in records:
            await self._changed(conn, one.control, one.source)

    async def repeat(self, conn: Connection) -> int:
        """Everything that agents have to know, once more: for those whose topic was tampered with, or cut short."""
        async with conn.transaction():  # under a lock: what is repeated must not come after what replaces it
            rows = await (await conn.execute(ACTIVE)).fetchall()
            for (body,) in rows:
                await self._publish(conn, msgspec.convert(body, Control))
        return len(rows)

    async def beat(self, conn: Connection, beat: ControlBeat) -> None:
        """One at a time waits to be sent, however long Kafka is away."""
        async with conn.transaction():
            row = await (await conn.execute(TURN, {"ms": int(beat.at.timestamp() * 1000)})).fetchone()
            assert row is not None
            await conn.execute(UNSENT, [self._topic, BEAT])
            await publish(conn, self._topic, BEAT, signed(replace(beat, seq=int(row[0])), self._key))

    async def _publish(self, conn: Connection, control: Control) -> None:
        await publish(conn, self._topic, control.scope.key, signed(control, self._key))

    async def _changed(self, conn: Connection, control: Control, source: str = "") -> None:
        who = control.actor or source or "detector"
        await conn.execute(CHANGE, (control.scope.key, control.issued_at, who, Jsonb(msgspec.to_builtins(control))))
