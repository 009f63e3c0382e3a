"""Sessions that an evaluator passed, drawn for people to look at: a share of all, and a few a week in any case."""

from __future__ import annotations

from collections.abc import Callable

from ...database import Connection
from ...records import Exposure, Judged

JUDGED = """
INSERT INTO judged VALUES (%(evaluator)s, %(agent)s, %(release)s, %(environment)s, %(generation)s, %(minute)s,
    %(scored)s, %(flagged)s)
ON CONFLICT (evaluator, agent, release, environment, generation, minute) DO UPDATE
    SET scored = GREATEST(judged.scored, EXCLUDED.scored), flagged = GREATEST(judged.flagged, EXCLUDED.flagged)
"""
DRAWN = """
INSERT INTO audits (evaluator, session, agent, at)
SELECT %(evaluator)s, %(session)s, %(agent)s, %(minute)s
WHERE %(anyway)s OR (SELECT count(*) FROM audits WHERE evaluator = %(evaluator)s
    AND at >= date_trunc('week', %(minute)s::timestamptz, 'UTC')
    AND at < date_trunc('week', %(minute)s::timestamptz, 'UTC') + interval '7 days') < %(weekly)s
ON CONFLICT DO NOTHING
"""
WAITING_MAX = 500  # of one evaluator: what nobody looks at needs no more
WAITING = "SELECT count(*) FROM audits WHERE evaluator = %s AND labelled_at IS NULL"


class Sampling:
    """`draw` gives each session its place between 0 and 1, the same as where it was chosen."""

    def __init__(self, generation: int, share: float, weekly_min: int, draw: Callable[[str, str], float]) -> None:
        self._generation, self._share, self._weekly, self._draw = generation, share, weekly_min, draw

    async def write(self, conn: Connection, record: Exposure) -> None:
        """Inside the caller's transaction. A minute that is said again adds nothing."""
        for name, one in record.judged.items():
            place = {"evaluator": name, "agent": record.agent, "minute": record.minute, "weekly": self._weekly}
            where = {"release": record.release, "environment": record.environment, "generation": self._generation}
            await conn.execute(JUDGED, {**place, **where, "scored": one.scored, "flagged": one.flagged})
            await self._draw_some(conn, one, place)

    async def _draw_some(self, conn: Connection, one: Judged, place: dict[str, object]) -> None:
        if not one.sample:
            return
        row = await (await conn.execute(WAITING, [place["evaluator"]])).fetchone()
        if row is not None and row[0] >= WAITING_MAX:
            return
        for session in one.sample:
            anyway = self._draw(str(place["evaluator"]), session) < self._share
            await conn.execute(DRAWN, {**place, "session": session, "anyway": anyway})
