"""How the pipeline itself is, as far as the database knows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..database import Connection
from .documents import HealthDocument, Sink

OWED_S = 120.0
LEARN_S = 30.0
GAUGES = "SELECT name, value, at FROM gauges"
COUNTS = """
SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM publish),
    (SELECT count(*) FROM incidents WHERE stage NOT IN ('resolved', 'closed', 'merged'))
"""
SINKS = """
SELECT receiver, count(*) FILTER (WHERE state IN ('owed', 'attempting')),
    extract(epoch FROM now() - min(created_at) FILTER (WHERE state IN ('owed', 'attempting')))::float8,
    count(*) FILTER (WHERE state = 'attempting' AND ask_after < now()), count(*) FILTER (WHERE state = 'refused')
FROM obligations WHERE state IN ('owed', 'attempting', 'refused') AND receiver <> 'control' GROUP BY receiver
"""  # controls are no receiver's: learn takes them
POSITIONS = "SELECT reader || ':' || part, next FROM positions ORDER BY 1 LIMIT 500"


async def health(
    conn: Connection, configured: Mapping[str, bool], inputs_age_s: float | None, lag_s_max: float
) -> HealthDocument:
    """`configured`: receiver -> whether the settings name one."""
    gauges = {name: (value, at) for name, value, at in await (await conn.execute(GAUGES)).fetchall()}
    counts = await (await conn.execute(COUNTS)).fetchone()
    owed = {row[0]: row[1:] for row in await (await conn.execute(SINKS)).fetchall()}
    positions: dict[str, int] = dict(await (await conn.execute(POSITIONS)).fetchall())
    assert counts is not None, "a SELECT without FROM has one row"
    now = datetime.now(UTC)
    watermark = _moment(gauges, "watermark")
    lag_s = None if watermark is None else round((now - watermark).total_seconds(), 3)
    sinks = tuple(_sink(name, configured, owed.get(name, (0, None, 0, 0))) for name in sorted({*configured, *owed}))
    seen_at = gauges["findings.waiting"][1] if "findings.waiting" in gauges else None
    away = gauges.get("tickets.away", (0.0, now))[0] > 0
    problems = (*_clock(lag_s, lag_s_max), *_learn(seen_at, now), *_sinks(sinks), *_away(away))
    return HealthDocument(
        status="degraded" if problems else "ok",
        problems=problems,
        event_time_watermark=watermark,
        lag_s=lag_s,
        findings_waiting=_whole(gauges, "findings.waiting"),
        inbox_waiting=counts[0],
        publish_waiting=counts[1],
        dead_letters=_whole(gauges, "deadletters"),
        open_incidents=counts[2],
        sinks=sinks,
        tickets_away=away,
        learn_seen_at=seen_at,
        gate_inputs_age_s=None if inputs_age_s is None else round(inputs_age_s, 3),
        positions=positions,
    )


def _sink(name: str, configured: Mapping[str, bool], row: Any) -> Sink:
    owed, oldest_s, unknown, refused = row
    return Sink(
        name, configured.get(name, False), owed, None if oldest_s is None else round(oldest_s, 1), unknown, refused
    )


def _clock(lag_s: float | None, lag_s_max: float) -> tuple[str, ...]:
    if lag_s is None:
        return (
            "No event was read yet, or silent partitions are still waited for. Send one to the topic agent.events.",
        )
    if lag_s > lag_s_max:
        return (f"Event time stands {lag_s:.0f} s behind: intake, detect or respond is down or has a backlog.",)
    return ()


def _learn(seen_at: datetime | None, now: datetime) -> tuple[str, ...]:
    if seen_at is None:
        return ("The learn role has not looked yet.",)
    age_s = (now - seen_at).total_seconds()
    return (f"The learn role has not looked for {age_s:.0f} s.",) if age_s > LEARN_S else ()


def _sinks(sinks: tuple[Sink, ...]) -> tuple[str, ...]:
    found = []
    for sink in sinks:
        if not sink.configured:
            found.append(f"{sink.name} is not configured: {sink.owed} obligations wait for it.")
        elif sink.oldest_owed_s is not None and sink.oldest_owed_s > OWED_S:
            found.append(f"{sink.name} has owed something for {sink.oldest_owed_s:.0f} s.")
        if sink.refused:
            found.append(f"{sink.name} refused {sink.refused} obligations: see their incidents for the reason.")
    return tuple(found)


def _away(away: bool) -> tuple[str, ...]:
    return ("Jira cannot be read: gates use what people had decided before.",) if away else ()


def _moment(gauges: Mapping[str, tuple[float, datetime]], name: str) -> datetime | None:
    return datetime.fromtimestamp(gauges[name][0], UTC) if name in gauges else None


def _whole(gauges: Mapping[str, tuple[float, datetime]], name: str) -> int | None:
    return int(gauges[name][0]) if name in gauges else None
