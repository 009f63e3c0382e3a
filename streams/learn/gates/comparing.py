"""Two releases side by side, as the database counts them: one row per window of both, summed by share.

A pair is counted again when the sums of one of its releases have changed; what it costs is the minutes of the candidate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from ...database import Connection
from ...records import GateCell, GateComparison, GateShare, Measure

MINUTE = timedelta(minutes=1)
WAVER = timedelta(minutes=10)  # after a share was declared, sessions that began before still end
TOLD_MAX = 50  # declared shares of one rollout

Sums = Mapping[tuple[str, str, str], Any]


class Asked(Protocol):
    """A pair. Handed in: this file does not choose them."""

    @property
    def agent(self) -> str: ...

    @property
    def release(self) -> str: ...

    @property
    def environment(self) -> str: ...

    @property
    def baseline(self) -> str: ...


# A new generation counts the retained events again: the fuller count of a minute stands, nothing is added twice.
MINUTES = """
WITH first AS (
    SELECT min(minute) AS at FROM exposure
    WHERE (agent, release, environment) = (%(agent)s, %(release)s, %(environment)s) AND sessions > 0
), minutes AS (
    SELECT minute, release = %(release)s AS mine, max(sessions) AS sessions, max(bad) AS bad FROM exposure, first
    WHERE agent = %(agent)s AND environment = %(environment)s AND release IN (%(release)s, %(baseline)s)
        AND minute >= first.at
    GROUP BY 1, 2
)
"""
PACE = f"""{MINUTES}
SELECT min(minute) FILTER (WHERE mine AND sessions > 0), max(minute) FILTER (WHERE mine),
    COALESCE(sum(sessions) FILTER (WHERE mine
        AND minute > (SELECT max(minute) FROM minutes WHERE mine) - interval '1 hour'), 0)::bigint
FROM minutes
"""  # noqa: S608 - no value in it
# A window ends once the smaller arm has had so many sessions, or the hours are over: counts of sessions alone say where.
WINDOWS = f"""{MINUTES}, both_arms AS (
    SELECT minute, date_bin(%(span)s, minute, '2000-01-01Z') AS bin,
        COALESCE(sum(sessions) FILTER (WHERE mine), 0)::bigint AS mine,
        COALESCE(sum(bad) FILTER (WHERE mine), 0)::bigint AS bad,
        COALESCE(sum(sessions) FILTER (WHERE NOT mine), 0)::bigint AS theirs,
        COALESCE(sum(bad) FILTER (WHERE NOT mine), 0)::bigint AS their_bad
    FROM minutes GROUP BY minute
), placed AS (
    SELECT *, div(LEAST(sum(mine) OVER so_far - mine, sum(theirs) OVER so_far - theirs), %(thin)s) AS place
    FROM both_arms WINDOW so_far AS (PARTITION BY bin ORDER BY minute)
), windows AS (
    SELECT min(minute) AS at, max(minute) AS last, sum(mine)::bigint AS mine, sum(bad)::bigint AS bad,
        sum(theirs)::bigint AS theirs, sum(their_bad)::bigint AS their_bad
    FROM placed GROUP BY bin, place
), both_ran AS (SELECT * FROM windows WHERE mine > 0 AND theirs > 0)
"""  # noqa: S608
CELLS = f"""{WINDOWS}
SELECT CASE WHEN bad + their_bad > 0 THEN round(%(steps)s * ln(mine::float / theirs)) END,
    sum(mine::float / (mine + theirs) * (bad + their_bad)), sum(mine)::bigint, sum(bad)::bigint, sum(theirs)::bigint,
    sum(their_bad)::bigint
FROM both_ran GROUP BY 1 ORDER BY 1
"""  # noqa: S608
SHARES = f"""{WINDOWS}, declared AS (
    SELECT at AS since, lead(at, 1, 'infinity') OVER (ORDER BY at) AS until, (body->>'share')::float AS share
    FROM deployments WHERE (agent, release, environment) = (%(agent)s, %(release)s, %(environment)s) AND result = 'ok'
)
SELECT share, sum(mine)::bigint, sum(theirs)::bigint FROM both_ran
JOIN declared ON both_ran.at >= since + %(waver)s AND both_ran.last < until
WHERE share > 0 AND share < 1 GROUP BY share ORDER BY share LIMIT %(most)s
"""  # noqa: S608
MEASURES = """
SELECT e.release = %(release)s, m.key, sum((m.value->>0)::bigint)::bigint, sum((m.value->>1)::float),
    sum((m.value->>2)::float)
FROM exposure e, jsonb_each(e.more->'measures') m
WHERE e.agent = %(agent)s AND e.environment = %(environment)s AND e.release IN (%(release)s, %(baseline)s)
    AND e.minute >= %(first)s AND m.key = ANY(%(measures)s)
    AND e.generation = (SELECT max(generation) FROM exposed
        WHERE (agent, release, environment) = (%(agent)s, %(release)s, %(environment)s))
GROUP BY 1, 2
"""
ENDED = """
SELECT what, max(count) FROM exposed_more
WHERE (agent, release, environment) = (%(agent)s, %(release)s, %(environment)s) AND what IN ('ended', 'evaluated')
GROUP BY what
"""


class Cut(NamedTuple):
    """How windows are cut, and which of their shares are taken together."""

    span: timedelta
    thin: int
    steps: int


class Comparisons:
    """Those counted last, kept for as long as nothing about them changed."""

    def __init__(self, cut: Cut, measures: Sequence[str] = ()) -> None:
        self._cut, self._measures = cut, list(measures)
        self._kept: dict[tuple[str, ...], tuple[Any, GateComparison]] = {}

    async def read(self, conn: Connection, pairs: Sequence[Any], sums: Sums, deployed: int) -> list[GateComparison]:
        """`sums` of each address and `deployed` say whether a pair has to be counted again."""
        kept: dict[tuple[str, ...], tuple[Any, GateComparison]] = {}
        for pair in pairs:
            agent, release, environment, baseline = pair
            basis = (deployed, sums.get((agent, release, environment)), sums.get((agent, baseline, environment)))
            known = self._kept.get(tuple(pair))
            kept[tuple(pair)] = known if known and known[0] == basis else (basis, await self._counted(conn, pair))
        self._kept = kept
        return [one for _, one in kept.values()]

    async def _counted(self, conn: Connection, pair: Asked) -> GateComparison:
        asked: dict[str, Any] = {
            "agent": pair.agent,
            "release": pair.release,
            "environment": pair.environment,
            "baseline": pair.baseline,
        }
        first, last, lately = await _one(conn, PACE, asked)
        if first is None:
            return GateComparison(**asked)
        given = {**asked, **self._cut._asdict(), "waver": WAVER}
        rows = await _all(conn, CELLS, given)
        minutes = min(60.0, (last - first) / MINUTE + 1)
        ended = dict(await _all(conn, ENDED, asked))
        return GateComparison(
            **asked,
            sessions=sum(row[2] for row in rows),
            bad=sum(row[3] for row in rows),
            baseline_sessions=sum(row[4] for row in rows),
            baseline_bad=sum(row[5] for row in rows),
            cells=tuple(_cell(*row) for row in rows if row[0] is not None),
            shares=tuple(GateShare(*row) for row in await _all(conn, SHARES, {**given, "most": TOLD_MAX})),
            measures=await self._measured(conn, {**asked, "first": first}) if self._measures else {},
            ended=int(ended.get("ended", 0)),
            evaluated=int(ended.get("evaluated", 0)),
            per_minute=lately / minutes,
        )

    async def _measured(self, conn: Connection, asked: dict[str, Any]) -> dict[str, tuple[Measure, Measure]]:
        rows = await _all(conn, MEASURES, {**asked, "measures": self._measures})
        found = {(mine, name): Measure(int(count), total, squares) for mine, name, count, total, squares in rows}
        names = sorted({name for _, name in found})
        both = {name: (found.get((True, name)), found.get((False, name))) for name in names}
        return {name: (mine, theirs) for name, (mine, theirs) in both.items() if mine and theirs}


def _cell(_step: float, share: float, _mine: int, bad: int, _theirs: int, their_bad: int) -> GateCell:
    mean = share / (bad + their_bad)
    return GateCell(round(mean, 6) if math.isfinite(mean) else 0.0, bad, their_bad)


async def _all(conn: Connection, query: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query, given)).fetchall()


async def _one(conn: Connection, query: str, given: Mapping[str, Any]) -> tuple[Any, ...]:
    row = await (await conn.execute(query, given)).fetchone()
    assert row is not None, "an aggregate has one row"
    return row
