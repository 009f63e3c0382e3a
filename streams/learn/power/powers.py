"""Writes down what evaluators may cause and are worth, and tells the book and everybody: in the settle's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace
from psycopg.types.json import Jsonb

from ...database import Connection
from ...records import PowerChanged, ThresholdProposed, Worth
from ...settle import publish
from ..settling import Write

CHANGE = "INSERT INTO power_changes (evaluator, number, at, record) VALUES (%s, %s, %s, %s)"
POWER = """
INSERT INTO powers (evaluator, power, since, body) VALUES (%s, %s, %s, %s) ON CONFLICT (evaluator) DO UPDATE
    SET power = EXCLUDED.power, since = EXCLUDED.since, body = EXCLUDED.body
"""
WORTH = """
INSERT INTO worths (evaluator, at, body) VALUES (%s, now(), %s) ON CONFLICT (evaluator) DO UPDATE
    SET at = EXCLUDED.at, body = EXCLUDED.body
"""


SEEN_MAX = 200
SEEN = """
SELECT id, COALESCE(body->>'observed', ''), severity, COALESCE(outcome, '') FROM incidents
WHERE detector = %s AND (%s = '' OR COALESCE(NULLIF(body->'subject'->>'agent', ''), agent) = %s)
ORDER BY opened_at DESC LIMIT %s
"""
PROPOSED = """
INSERT INTO proposals VALUES (%s, %s, %s, %s) ON CONFLICT (incident) DO UPDATE
    SET at = EXCLUDED.at, body = EXCLUDED.body
"""


class Counted(Protocol):
    """What of the last incidents would not have been."""

    @property
    def seen(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def undecided(self) -> int: ...


class Seen(NamedTuple):
    incident: str
    observed: str
    severity: str
    outcome: str


Preview = Callable[[str, str, float, list[Any]], Counted]


class Powers:
    """`preview` counts what a threshold would have done to incidents: it is handed in, deciding is not done here."""

    def __init__(self, topic: str, preview: Preview) -> None:
        self._topic, self._preview = topic, preview

    def writers(self) -> dict[type, Write]:
        """Changes before numbers: a worth is written beside the power that it has by then."""
        return {PowerChanged: self.changed, Worth: self.weighed, ThresholdProposed: self.proposed}

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

    async def proposed(self, conn: Connection, records: Sequence[ThresholdProposed]) -> None:
        """With what it would have done to the detector's last incidents of this agent."""
        for one in records:
            cursor = await conn.execute(SEEN, [one.detector, one.agent, one.agent, SEEN_MAX])
            rows = [Seen(*row) for row in await cursor.fetchall()]
            # The book may not have heard of this decision yet.
            own = "" if one.withdrawn else "false_positive"
            rows = [row._replace(outcome=own) if row.incident == one.incident else row for row in rows]
            severity = next((row.severity for row in rows if row.incident == one.incident), "medium")
            found = self._preview(one.detector, severity, one.value, rows)
            counts = {"seen": found.seen, "dropped": found.dropped, "lost": found.lost, "undecided": found.undecided}
            whole = replace(one, **counts)
            await conn.execute(PROPOSED, [one.incident, one.detector, one.at, Jsonb(msgspec.to_builtins(whole))])
