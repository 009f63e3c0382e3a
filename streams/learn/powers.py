"""Writes down what evaluators may cause and are worth, and tells the book and everybody: in the settle's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import PowerChanged, Worth
from ..settle import publish
from .settling import Write

CHANGE = "INSERT INTO power_changes (evaluator, number, at, record) VALUES (%s, %s, %s, %s)"
POWER = """
INSERT INTO powers (evaluator, power, since, body) VALUES (%s, %s, %s, %s) ON CONFLICT (evaluator) DO UPDATE
    SET power = EXCLUDED.power, since = EXCLUDED.since, body = EXCLUDED.body
"""
WORTH = """
INSERT INTO worths (evaluator, at, body) VALUES (%s, now(), %s) ON CONFLICT (evaluator) DO UPDATE
    SET at = EXCLUDED.at, body = EXCLUDED.body
"""


class Powers:
    def __init__(self, topic: str) -> None:
        self._topic = topic

    def writers(self) -> dict[type, Write]:
        """Changes before numbers: a worth is written beside the power that it has by then."""
        return {PowerChanged: self.changed, Worth: self.weighed}

    async def changed(self, conn: Connection, records: Sequence[PowerChanged]) -> None:
        """History, what holds now, the book, and the export."""
        for one in records:
            record = Jsonb(msgspec.to_builtins(one))
            worth = Jsonb(msgspec.to_builtins(one.worth))
            await conn.execute(CHANGE, [one.evaluator, one.number, one.at, record])
            await conn.execute(POWER, [one.evaluator, one.after, one.at, worth])
            await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [record])
            await publish(conn, self._topic, one.evaluator, msgspec.json.encode(one))

    async def weighed(self, conn: Connection, records: Sequence[Worth]) -> None:
        for one in records:
            body = Jsonb(msgspec.to_builtins(one))
            await conn.execute(WORTH, [one.evaluator, body])
