"""Leads the breakers of agents: takes what the book owes them, counts trials, says that somebody is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Gauge

from ...database import Connection
from ...records import Control, ControlAsked, ControlBeat, Incident, Probed, Silence
from ..recording import tell
from .commanding import Commanding
from .reach import affected

BEAT_S = 5.0
REPEAT_S = 30.0
PROBE_S = 5.0
TAKEN_MAX = 100
FORGOTTEN = timedelta(minutes=15)  # what waited so long is asked for again, if it is still true
OWED = """
SELECT id, incident, destination, body, created_at FROM obligations
WHERE receiver = 'control' AND state = 'owed' ORDER BY seq LIMIT %s FOR UPDATE SKIP LOCKED
"""
TAKEN = """
UPDATE obligations SET state = %s, why = %s, reference = destination, settled_at = now() WHERE id = %s
"""
STATES = "SELECT state, count(*) FROM controls GROUP BY state"
TRIALS = "SELECT body FROM controls WHERE state = 'half_open'"
TRIED = """
SELECT coalesce(sum(coalesce((more->>'ended')::bigint, 0)), 0)::bigint FROM exposure
WHERE agent = %(agent)s AND (release = %(release)s OR %(release)s = '') AND minute >= %(since)s
"""
SILENCES = "SELECT matchers, reason, actor, at, until, kind FROM silences WHERE until > now() AND ended_at IS NULL"


def _nobody(_step: str) -> None:
    pass


class Leading:
    """One turn at a time, by whoever holds the lock of learn."""

    def __init__(
        self,
        commanding: Commanding,
        registry: CollectorRegistry | None = None,
        *,
        reached: Callable[[str], None] = _nobody,
    ) -> None:
        self._commanding, self._reached = commanding, reached
        self._states = Gauge("tocsin_controls", "Scopes by what agents are told of them", ("state",), registry=registry)
        self._beat_s = self._repeated_s = self._tried_s = 0.0

    async def turn(self, conn: Connection) -> int:
        """How many obligations were taken."""
        now_s = time.monotonic()
        if not self._beat_s or now_s - self._beat_s >= BEAT_S:
            self._beat_s = now_s
            await self._commanding.beat(conn, ControlBeat(datetime.now(UTC), 0))
            self._states.clear()
            for state, count in await (await conn.execute(STATES)).fetchall():
                self._states.labels(state).set(count)
        if not self._repeated_s or now_s - self._repeated_s >= REPEAT_S:
            self._repeated_s = now_s
            await self._commanding.repeat(conn)
        if now_s - self._tried_s >= PROBE_S:
            self._tried_s = now_s
            await tried(conn)
        return await self._take(conn)

    async def _take(self, conn: Connection) -> int:
        """Obligation and order in one transaction: each is taken exactly once, whenever this process dies."""
        async with conn.transaction():
            rows = await (await conn.execute(OWED, [TAKEN_MAX])).fetchall()
            if not rows:
                return 0
            silences = await _silences(conn)
            for name, incident, _, body, created_at in rows:
                now = datetime.now(UTC)
                why = await _in_vain(conn, incident, silences, now)
                why = why or ("nobody was there to do it in time" if now - created_at > FORGOTTEN else None)
                if why is None:
                    asked = msgspec.convert(body, ControlAsked)
                    await tell(conn, replace(asked, at=now, affected=await affected(conn, asked.scope)))
                await conn.execute(TAKEN, ["expired" if why else "done", why, name])
            self._reached("control:taken")
        return len(rows)


async def tried(conn: Connection) -> None:
    """How many sessions went ahead where a scope is on trial: minutes that began after it did, closed ones."""
    for (body,) in await (await conn.execute(TRIALS)).fetchall():
        control: Control = msgspec.convert(body, Control)
        since = control.probe.since if control.probe else None
        if since is None or not control.scope.agent:
            continue
        release = control.scope.id if control.scope.kind == "release" else ""
        given = {"agent": control.scope.agent, "release": release, "since": since}
        row = await (await conn.execute(TRIED, given)).fetchone()
        if row and row[0]:
            await tell(conn, Probed(control.scope, since, int(row[0]), datetime.now(UTC)))


async def _silences(conn: Connection) -> list[Silence]:
    rows = await (await conn.execute(SILENCES)).fetchall()
    return [Silence("", matchers, reason, actor, at, until, kind) for matchers, reason, actor, at, until, kind in rows]


async def _in_vain(conn: Connection, incident: str, silences: list[Silence], now: datetime) -> str | None:
    """Why it is not done after all: the incident is over by now, or silenced."""
    row = await (await conn.execute("SELECT body FROM incidents WHERE id = %s", [incident])).fetchone()
    if row is None:
        return "nobody knows the incident"
    known = msgspec.convert(row[0], Incident)
    if known.stage in ("resolved", "closed", "merged"):
        return f"the incident is {known.stage}"
    return "the incident is silenced" if any(one.hides(known, now) for one in silences) else None


def settings_key(secret: Any) -> bytes:
    """The key of signatures; empty: nothing is signed."""
    key: str = secret.reveal()
    return key.encode()
