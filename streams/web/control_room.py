"""Keeps what agents are told in memory, answers whoever waits for a change at once, and takes what people ask for."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
from msgspec.structs import replace
from psycopg_pool import PoolTimeout

from ..database import Connection
from ..learn.controls.reach import affected
from ..learn.recording import tell
from ..locks import Hint
from ..records import Control, ControlAsked, Scope
from ..records.signing import signed
from .answers import Refused
from .control_documents import ControlChange, ControlGiven, ControlsDocument, ControlTaken, ScopeGiven
from .gatehouse import CannotAnswer
from .guard import Keys
from .waiting import FULL, WAITING_MAX

log = logging.getLogger(__name__)

WAIT_S_MAX = 25.0
READ_EACH_S = 1.0
READ_WITHIN_S = 4.0
STALE_S = 30.0
LASTING_MAX = timedelta(days=366)
STANDS = """
SELECT coalesce((SELECT max(seq) FROM controls), 0),
    coalesce((SELECT next FROM positions WHERE reader = 'control' AND part = 'beat'), 0)
"""
CONTROLS = "SELECT body::text FROM controls WHERE state <> 'closed' ORDER BY scope"
CHANGES = """
SELECT scope, at, actor, record::text FROM control_changes
WHERE %(scope)s::text IS NULL OR scope = %(scope)s ORDER BY id DESC LIMIT %(limit)s
"""
NEEDS = {"tenant": ("id",), "agent": ("agent",), "release": ("agent", "id"), "tool": ("id",), "global": ()}
NEEDS["agent_tool"] = ("agent", "id")


class Known(NamedTuple):
    """What was read last."""

    seq: int
    beat: int
    beat_s: float  # by our clock: the controller's is another one
    controls: tuple[Control, ...]

    @property
    def stale(self) -> bool:
        return not self.beat or time.monotonic() - self.beat_s > STALE_S

    @property
    def etag(self) -> str:
        return f'"{self.seq}-{int(self.stale)}"'


class ControlRoom:
    """One per process: a thousand agents that wait cost one reading of the database."""

    def __init__(self, pool: Any, uri: str, keys: Keys, key: bytes = b"") -> None:
        self._pool, self._uri, self.keys, self._key = pool, uri, keys, key
        self._known: Known | None = None
        self._changed = asyncio.Event()
        self._stopping, self._waiting = False, 0

    def stop(self) -> None:
        """Whoever waits is answered now."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Until stopped and cancelled. While the database is away, what was known stays known, and becomes stale."""
        async with Hint(self._uri, "controls") as hint:
            while not self._stopping:
                await self._look()
                await hint.wait(READ_EACH_S)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(READ_WITHIN_S), self._pool.connection() as conn:
                await self.read(conn)
        except (psycopg.Error, PoolTimeout, OSError, TimeoutError, msgspec.DecodeError) as error:
            log.warning("controls cannot be read: %s", type(error).__name__)

    async def read(self, conn: Connection) -> None:
        row = await (await conn.execute(STANDS)).fetchone()
        assert row is not None, "a SELECT without FROM has one row"
        before, (seq, beat) = self._known, row
        beat_s = before.beat_s if before is not None and before.beat == beat else time.monotonic()
        if before is not None and before.seq == seq:
            self._known = before._replace(beat=beat, beat_s=beat_s)
            if before.stale and not self._known.stale:
                self._tell()
            return
        rows = await (await conn.execute(CONTROLS)).fetchall()
        controls = tuple(msgspec.json.decode(raw, type=Control) for (raw,) in rows)
        self._known = Known(int(seq), int(beat), beat_s, controls)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def known(self, since: int | None = None, wait_s: float = 0.0) -> Known:
        """At once when something is not as it was at `since`; otherwise when it changes, or after a while."""
        if self._known is None:
            async with asyncio.timeout(READ_WITHIN_S), self._pool.connection() as conn:
                await self.read(conn)
        if self._known is None:
            raise CannotAnswer("the controls have not been read yet")
        if since == self._known.seq and wait_s > 0 and not self._stopping:
            await self._wait(min(wait_s, WAIT_S_MAX))
        return self._known

    async def _wait(self, wait_s: float) -> None:
        if self._waiting >= WAITING_MAX:
            raise Refused(503, FULL)
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        finally:
            self._waiting -= 1

    def document(self, known: Known) -> bytes:
        told = ControlsDocument("controls/v1", known.seq, known.beat, known.stale, known.controls)
        return signed(told, self._key)

    async def ask(self, given: ControlGiven) -> ControlTaken:
        now = datetime.now(UTC)
        asked = meant(given, now)
        async with self._pool.connection() as conn:
            share = await affected(conn, asked.scope)
            await tell(conn, replace(asked, affected=share))
        return ControlTaken(True, asked.id, asked.scope.key, asked.want, asked.until, share)

    async def shares(self, scopes: list[Scope]) -> dict[str, float | None]:
        async with self._pool.connection() as conn:
            return {one.key: await affected(conn, one) for one in scopes}

    async def changes(self, scope: str | None, limit: int) -> tuple[ControlChange, ...]:
        async with self._pool.connection() as conn:
            rows = await (await conn.execute(CHANGES, {"scope": scope, "limit": limit})).fetchall()
        decoded = msgspec.json.Decoder(Control)
        return tuple(ControlChange(key, at, actor, decoded.decode(raw)) for key, at, actor, raw in rows)


def meant(given: ControlGiven, now: datetime) -> ControlAsked:
    """What was asked for, or why it makes no sense."""
    if given.until and given.for_s:
        raise Refused(422, "Say when it ends once: `until` or `for_s`.")
    until = given.until or (now + timedelta(seconds=given.for_s) if given.for_s else None)
    if until is not None and until <= now:
        raise Refused(422, "`until` must be in the future.")
    if until is not None and until - now > LASTING_MAX:
        raise Refused(422, f"`until` is too far away: {LASTING_MAX.days} days at most, or no end at all.")
    if until is not None and given.want == "close":
        raise Refused(422, "What is closed has no end.")
    if given.ratio is not None and given.want != "throttle":
        raise Refused(422, "`ratio` goes with `throttle` alone.")
    scope = _scope(given.scope)
    of_tool = scope.kind in ("tool", "agent_tool")
    if (given.want == "deny_tool" and not of_tool) != bool(given.tools):
        raise Refused(
            422, "`tools` goes with `deny_tool` of all agents, a tenant, an agent or a release, and only there."
        )
    name = given.id or hashlib.blake2b(msgspec.json.encode((given, now)), digest_size=8).hexdigest()
    return ControlAsked(
        id=f"{given.source}-{name}",
        scope=scope,
        want=given.want,
        at=now,
        actor=given.actor,
        source=given.source,
        reason=given.reason,
        incident=given.incident,
        ratio=given.ratio,
        tools=tuple(given.tools),
        until=until,
    )


def _scope(given: ScopeGiven) -> Scope:
    needed = NEEDS[given.kind]
    here = tuple(name for name in ("agent", "id") if getattr(given, name))
    if here != needed:
        wants = " and ".join(f"`{name}`" for name in needed) or "neither `agent` nor `id`"
        raise Refused(422, f"A scope of kind {given.kind} needs {wants}, and nothing else.")
    return Scope(given.kind, given.agent, given.id)
