"""What the pages say of evaluators: what they may cause, are worth, lost and earned, and what of their work to look at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from ...database import Connection
from ...records import Power, PowerChanged, ThresholdProposed, Worth, kind_of, power_of

LIST_MAX = 500
HISTORY_MAX = 100
SAMPLE_MAX = 50
FEW = 10  # below that many decisions a percentage is no number
# Those that somebody decided something on, those that may not what they began with, and those that found something lately.
EVERY = """
SELECT evaluator FROM worths UNION SELECT evaluator FROM powers
UNION (SELECT DISTINCT 'detector:' || detector || '@' || COALESCE(body->>'version', '0') FROM incidents
    WHERE opened_at > now() - interval '90 days' AND detector <> 'canary')
UNION (SELECT DISTINCT evaluator FROM judged WHERE minute > now() - interval '30 days')
UNION (SELECT DISTINCT judge FROM incidents, jsonb_array_elements_text(COALESCE(body->'judges', '[]')) judge
    WHERE opened_at > now() - interval '90 days')
ORDER BY 1 LIMIT %s
"""
POWERS = "SELECT evaluator, power, since FROM powers ORDER BY since, evaluator"
WORTHS = "SELECT evaluator, body::text FROM worths WHERE evaluator = ANY(%s)"
CHANGES = "SELECT record::text FROM power_changes WHERE evaluator = %s ORDER BY number DESC LIMIT %s"
PROPOSALS = """
SELECT body::text FROM proposals WHERE (%(detector)s = '' OR detector = %(detector)s)
    AND NOT COALESCE((body->>'withdrawn')::boolean, false) ORDER BY at DESC LIMIT %(limit)s
"""
SAMPLE = """
SELECT session, agent, at FROM audits WHERE evaluator = %s AND labelled_at IS NULL ORDER BY at DESC LIMIT %s
"""
WAITING = "SELECT evaluator, count(*) FROM audits WHERE labelled_at IS NULL GROUP BY evaluator"
JUDGED = """
SELECT COALESCE(sum(scored), 0)::bigint, COALESCE(sum(flagged), 0)::bigint
FROM judged WHERE evaluator = %(evaluator)s AND minute > now() - interval '30 days'
"""
LABELLED = "UPDATE audits SET labelled_at = %s WHERE evaluator = %s AND session = ANY(%s)"


class Evaluator(Struct, frozen=True, omit_defaults=True):
    id: str
    kind: str
    power: Power
    since: datetime | None = None  # None: as the policy begins
    worth: Worth | None = None  # None: nobody has decided on anything of it yet
    precision: str = ""  # in words
    waiting: int = 0  # sessions of its audit that nobody looked at


class Sampled(Struct, frozen=True):
    """A session that the evaluator passed, drawn by its hash: was it right?"""

    session: str
    agent: str
    at: datetime


class Evidence(Struct, frozen=True, omit_defaults=True):
    """What else its page shows."""

    changes: tuple[PowerChanged, ...] = ()
    proposals: tuple[ThresholdProposed, ...] = ()
    sample: tuple[Sampled, ...] = ()
    scored: int = 0  # sessions it judged in 30 days
    flagged: int = 0


_worth = msgspec.json.Decoder(Worth)
_changed = msgspec.json.Decoder(PowerChanged)
_proposed = msgspec.json.Decoder(ThresholdProposed)


async def evaluators(conn: Connection, start: Mapping[str, Power], limit: int = LIST_MAX) -> tuple[Evaluator, ...]:
    names = [str(row[0]) for row in await _rows(conn, EVERY, [limit])]
    return await _known(conn, names, start)


async def evaluator(conn: Connection, name: str, start: Mapping[str, Power]) -> Evaluator | None:
    """Also one that only appears in older incidents, if somebody decided on it."""
    known = {str(row[0]) for row in await _rows(conn, EVERY, [LIST_MAX * 10])}
    if name not in known:
        return None
    return (await _known(conn, [name], start))[0]


async def _known(conn: Connection, names: list[str], start: Mapping[str, Power]) -> tuple[Evaluator, ...]:
    powers = {str(name): (power, since) for name, power, since in await _rows(conn, POWERS)}
    worths = {str(name): _worth.decode(body) for name, body in await _rows(conn, WORTHS, [names])}
    waiting = {str(name): int(count) for name, count in await _rows(conn, WAITING)}
    held: dict[str, Power] = {name: power for name, (power, _) in powers.items()}
    found = []
    for name in names:
        since = powers[name][1] if name in powers else None
        worth, power = worths.get(name), power_of(name, held, start)
        found.append(Evaluator(name, kind_of(name), power, since, worth, precision(worth), waiting.get(name, 0)))
    return tuple(found)


async def evidence(conn: Connection, name: str) -> Evidence:
    detector = name.removeprefix("detector:").rpartition("@")[0] if name.startswith("detector:") else "\x1f"
    changes = tuple(_changed.decode(row[0]) for row in await _rows(conn, CHANGES, [name, HISTORY_MAX]))
    sample = tuple(Sampled(*row) for row in await _rows(conn, SAMPLE, [name, SAMPLE_MAX]))
    judged = await _rows(conn, JUDGED, {"evaluator": name})
    scored, flagged = judged[0] if judged else (0, 0)
    return Evidence(changes, await proposals(conn, detector), sample, int(scored), int(flagged))


async def proposals(conn: Connection, detector: str = "") -> tuple[ThresholdProposed, ...]:
    """Those that nobody took back, the newest first."""
    given = {"detector": detector, "limit": LIST_MAX}
    return tuple(_proposed.decode(row[0]) for row in await _rows(conn, PROPOSALS, given))


async def labelled(conn: Connection, name: str, sessions: list[str], at: datetime) -> None:
    """They leave the list of those to be looked at."""
    await conn.execute(LABELLED, [at, name, sessions])


def precision(worth: Worth | None) -> str:
    """Counts, and between which bounds; a percentage only from ten decisions on."""
    if worth is None or worth.confirmed + worth.rejected + worth.labels == 0:
        return "nobody has decided yet"
    bounds = f"between {worth.low or 0:.2f} and {worth.high or 0:.2f}"
    said = f"{worth.confirmed:.3g} right, {worth.rejected:.3g} wrong"
    few = worth.decisions + worth.labels < FEW
    return f"{said}: {bounds} with 90 % confidence" if few else f"{said}: {worth.mean or 0:.0%}, {bounds}"


async def _rows(conn: Connection, query: Any, given: Any = None) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query, given)).fetchall()
