"""Carriers: remember the intent, do, remember the answer, say. An intent without an answer is asked about."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import cast

import msgspec
import psycopg
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ..database import Connection
from ..locks import Hint, Lock, rest
from ..records import Answer, Done, NotDone, Refused, Unknown
from . import owed
from .breaker import Breaker
from .late import late
from .meters import Meters
from .paces import Pace, audits, nothing
from .ready import OPENS, WORK, Look, Row, due
from .receivers.protocol import ALONE, QUOTA, Absent, Blind, Doubt, Paced, Receiver

__all__ = ["Carrier", "Pace", "audits", "nothing"]

log = logging.getLogger(__name__)

TOGETHER = 16
AHEAD = 64  # looked up at once
CONNECTIONS = 4
GIVE_UP_S = 30.0  # at the latest; at once after a refusal
WAKE_S = 0.005


class Carrier:
    """Carries the obligations of one receiver. The lock keeps others from working in vain; the row keeps it safe."""

    def __init__(
        self,
        uri: str,
        receiver: Receiver,
        pace: Pace,
        meters: Meters,
        *,
        reached: Callable[[str], None] = nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uri, self._receiver, self._pace, self._meters, self._reached = uri, receiver, pace, meters, reached
        self._clock, self._breaker = clock, Breaker(receiver.name, clock)
        self._paced = cast("Paced", receiver) if hasattr(receiver, "pace") else None
        self._many = bool(getattr(receiver, "many", False))  # outsides: one that is down says nothing of the others
        self._stopping = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], Row] = {}
        self._ahead: deque[Row] = deque()  # to be taken next
        self._paused: dict[str, float] = {}  # lane -> until when it is left alone
        self._stale, self._refused, self._gave_up = True, True, 0.0
        self._heard = -1
        self._hint: Hint | None = None
        self._lock: Lock | None = None

    def stop(self) -> None:
        """Begin nothing more; what is under way is waited for, so that nobody has to ask about it."""
        self._stopping.set()
        if self._hint is not None:
            self._hint.give()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._session()
            except (psycopg.OperationalError, OSError) as error:
                log.warning("%s: the database cannot be reached (%s)", self._receiver.name, type(error).__name__)
                self._meters.waits(self._receiver.name, "PostgreSQL")
                await rest(self._stopping, 1.0)

    async def _session(self) -> None:
        name = f"carry:{self._receiver.name}"
        self._lock = Lock(self._uri, name, wanted=self._wanted)
        async with self._lock as lock, Hint(self._uri, "obligations") as hint:
            self._hint = hint
            if lock.held:
                await self._work(lock.conn, hint)

    def _wanted(self) -> bool:
        self._meters.waits(self._receiver.name, "PostgreSQL" if self._lock is not None and self._lock.away else "")
        return not self._stopping.is_set()

    async def _work(self, conn: Connection, hint: Hint) -> None:
        pool = AsyncConnectionPool(
            self._uri, min_size=1, max_size=CONNECTIONS, timeout=10.0, open=False,
            kwargs={"autocommit": True, "application_name": f"tocsin carry {self._receiver.name}"},
        )  # fmt: skip
        set_json_loads(msgspec.json.decode, conn)
        await conn.execute("SET jit = off")
        await owed.owe_again(conn, self._receiver.name)
        async with pool:
            try:
                await self._turns(conn, pool, hint)
            finally:
                await self._finish()

    async def _turns(self, conn: Connection, pool: AsyncConnectionPool, hint: Hint) -> None:
        self._ahead.clear()
        self._meters.waits(self._receiver.name)
        while not self._stopping.is_set():
            if not await self._turn(conn, pool, hint):
                await hint.wait(self._rest_s())
                self._stale = True

    def _rest_s(self) -> float:
        """Until somebody might be taken, should nobody give a hint."""
        now = self._clock()
        waits = [until - now for until in self._paused.values()]
        if self._breaker.left_s():
            waits = [self._breaker.left_s()]  # nobody before that
        return max(WAKE_S, min(self._pace.poll_s, *waits)) if waits else self._pace.poll_s

    async def _finish(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._pace.call_timeout_s + 10.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _turn(self, conn: Connection, pool: AsyncConnectionPool, hint: Hint) -> int:
        """Take what is due; how many were taken."""
        for task in [task for task in self._tasks if task.done()]:
            del self._tasks[task]
            task.result()  # a bug of ours, or a test's kill: stop loudly
        free = self._breaker.free(TOGETHER, len(self._tasks))
        if free <= 0:
            return 0
        if self._breaker.why:
            self._ahead.clear()  # one at a time: of what is due now, not of what was due when it opened
            self._stale = True
        news = hint.heard != self._heard and not (self._ahead and self._ahead[-1].sort == OPENS)  # nothing goes before
        if news or (self._stale and not self._ahead):
            self._heard, self._stale = hint.heard, False
            await self._look(conn)
        taken = 0
        while self._ahead and taken < free:
            taken += self._begin(pool, self._ahead.popleft())
        return taken

    async def _look(self, conn: Connection) -> None:
        now = self._clock()
        if self._refused or now - self._gave_up > GIVE_UP_S:
            self._refused, self._gave_up = False, now
            await owed.give_up(conn, self._receiver.name)
        self._paused = {lane: until for lane, until in self._paused.items() if until > now}
        busy = [row.order for row in self._tasks.values()]
        look = Look(self._receiver.name, list(self._paused), busy, AHEAD)
        self._ahead = deque(await due(conn, WORK, look))
        if self._breaker.why:  # a question changes nothing, and a system that fails only to create still answers it
            self._ahead = deque(sorted(self._ahead, key=lambda row: (row.state == "attempting") != self._breaker.asks))

    def _begin(self, pool: AsyncConnectionPool, row: Row) -> bool:
        if row.order in {other.order for other in self._tasks.values()} or row.lane in self._paused:
            return False
        work = self._care if row.state == "done" else self._carry
        if self._paced is not None:
            if row.state != "done" and self._paced.edits(row.obligation):
                work = self._skip if row.newer and row.state == "owed" else work
                row = row._replace(body=row.latest or row.body)  # whenever it is made, it says what holds now
            asking = row.state != "owed"
            wait = 0.0 if work == self._skip else self._paced.pace(row.obligation, asking=asking)
            if wait > 0:
                self._paused[row.lane] = self._clock() + wait
                return False
        if row.sort == OPENS and row.state == "owed":
            row = row._replace(body=late(row.body, row.at, datetime.now(UTC)))
        task = asyncio.create_task(self._guarded(work, pool, row), name=row.id)
        task.add_done_callback(self._done)
        self._tasks[task] = row
        return True

    def _done(self, _task: asyncio.Task[None]) -> None:
        if self._hint is not None:
            self._hint.give()

    async def _guarded(
        self, work: Callable[[AsyncConnectionPool, Row], Awaitable[None]], pool: AsyncConnectionPool, row: Row
    ) -> None:
        try:
            await work(pool, row)
        except (psycopg.OperationalError, PoolTimeout):
            # The intent stays without an answer, and is asked about.
            log.warning("%s: the database went away while %s was carried", self._receiver.name, row.id)

    async def _skip(self, pool: AsyncConnectionPool, row: Row) -> None:
        async with pool.connection() as conn:
            await owed.skip(conn, row)

    async def _carry(self, pool: AsyncConnectionPool, row: Row) -> None:
        if row.state == "attempting":
            await self._ask(pool, row)
            return
        self._at("taken", row)
        async with pool.connection() as conn:
            began = time.monotonic()
            intent = await owed.intend(conn, row, self._pace.ask_after_s)
        if intent is None:
            return
        self._at("intent", row)
        if time.monotonic() - began > self._pace.ask_after_s - self._pace.call_timeout_s:
            return  # this process was held up: by the time of the answer others may be asking
        row = row._replace(attempt=row.attempt + 1, state="attempting", nonce=intent.nonce)
        answer = await self._called(self._receiver.carry(row.obligation, intent.references, intent.nonce))
        self._at("called", row)
        await self._answered(pool, row, answer, doubt=row.attempt > 1)

    async def _ask(self, pool: AsyncConnectionPool, row: Row) -> None:
        async with pool.connection() as conn:
            if not await owed.ask(conn, row, self._pace.ask_after_s):
                return
            references = await owed.references(conn, row)
            known = await owed.known(conn, row)
        self._at("ask", row)
        assert row.started is not None
        try:
            found = await self._receiver.find(row.obligation, references, Doubt(row.started, known))
        except Exception as error:  # a receiver's bug is not an absence
            found = Blind(_bug(self._receiver.name, error))
        self._at("asked", row)
        if isinstance(found, Done):
            self._meters.asked(self._receiver.name, row.kind, "adopted")
            await self._answered(pool, row, found, doubt=True)
            return
        self._meters.asked(self._receiver.name, row.kind, type(found).__name__.lower())
        await self._heed(pool, row, found)
        async with pool.connection() as conn:
            await owed.unseen(conn, row, found)

    async def _answered(self, pool: AsyncConnectionPool, row: Row, answer: Answer, *, doubt: bool) -> None:
        self._meters.answered(self._receiver.name, row.kind, answer)
        audits = self._pace.audits_s if doubt and row.kind in self._receiver.confirmed else ()
        async with pool.connection() as conn:
            kept = await owed.answered(conn, row, answer, audits[0] if audits else None)
            if not kept and isinstance(answer, Done):
                log.warning(
                    "%s: %s was answered after it had been given up; looking for doubles", row.id, answer.reference
                )
                await owed.doubled(conn, row)
        self._at("answered", row)
        await self._heed(pool, row, answer)

    async def _care(self, pool: AsyncConnectionPool, row: Row) -> None:
        step = "confirm" if row.confirm_at is not None else "audit"
        self._at(step, row)
        act = self._receiver.confirm if step == "confirm" else self._receiver.audit
        answer = await self._called(act(row.obligation, row.done))
        self._at(f"{step}ed", row)
        await self._heed(pool, row, answer)
        later = self._pace.audits_s[row.audits + 1 :] if step == "audit" else ()
        if step == "audit" and isinstance(answer, Done) and answer.reference:
            self._meters.retired(self._receiver.name, len(answer.reference.split()))
        async with pool.connection() as conn:
            await owed.cared(conn, row, step, answer, later[0] if later else None)
        self._at("cared", row)

    def _at(self, step: str, row: Row) -> None:
        """Told twice, for those who mean one kind of obligation."""
        self._reached(step)
        self._reached(f"{step} {row.kind}:{row.ordinal}")

    async def _called(self, call: object) -> Answer:
        try:
            answer: Answer = await call  # type: ignore[misc]
        except Exception as error:  # receivers never raise: this one has a bug, and nobody knows what it did
            return Unknown(_bug(self._receiver.name, error))
        return answer

    async def _heed(self, pool: AsyncConnectionPool, row: Row, answer: Answer | Absent | Blind) -> None:
        """What an answer means for the others."""
        if isinstance(answer, NotDone) and answer.after_s and not answer.why.startswith((ALONE, QUOTA)):
            sort = row._replace(state="owed") if row.state == "attempting" else row  # not what asks: what was tried
            self._paused[sort.lane] = self._clock() + answer.after_s
        self._refused = self._refused or isinstance(answer, Refused)
        let_in_again = not self._many and self._breaker.heed(answer)
        self._meters.left_alone(self._receiver.name, self._breaker.why)
        if let_in_again:
            async with pool.connection() as conn:
                await owed.owe_again(conn, self._receiver.name)


def _bug(receiver: str, error: Exception) -> str:
    """Where it was raised, and not what it says: the message may quote what was sent."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}" if at is not None else "?"
    log.error("receiver %s raised %s in %s", receiver, type(error).__name__, where)
    return f"the receiver raised {type(error).__name__} in {where}"
