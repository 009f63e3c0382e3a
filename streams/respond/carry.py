"""Carriers: remember the intent, do, remember the answer, say. An intent without an answer is asked about."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ..database import Connection
from ..locks import Hint, Lock, rest
from ..records import Answer, Done, NotDone, Refused, Unknown
from . import owed
from .meters import Meters
from .owed import Look, Row
from .receivers.protocol import CREDENTIALS, Blind, Doubt, Receiver

log = logging.getLogger(__name__)

TOGETHER = 16
CONNECTIONS = 4
REST_S = 60.0  # after credentials were refused: asking on would only lock the account


class Pace(NamedTuple):
    """When what is done, in seconds."""

    call_timeout_s: float = 15.0
    ask_after_s: float = 45.0
    poll_s: float = 1.0
    audits_s: Sequence[float] = (60.0, 300.0, 1800.0)  # after a doubt: look for a second one


def audits(first_s: float) -> tuple[float, ...]:
    """Soon for the people who look at it, and late for an index that lags or a call that was committed late."""
    return (first_s, 5 * first_s, 30 * first_s)


def nothing(_step: str) -> None:
    pass


class Carrier:
    """Carries the obligations of one receiver. The lock keeps others from working in vain; the row keeps it safe."""

    def __init__(
        self, uri: str, receiver: Receiver, pace: Pace, meters: Meters, *, reached: Callable[[str], None] = nothing
    ) -> None:
        self._uri, self._receiver, self._pace, self._meters, self._reached = uri, receiver, pace, meters, reached
        self._stopping = asyncio.Event()
        self._tasks: dict[asyncio.Task[None], Row] = {}
        self._paused: dict[str, float] = {}  # destination -> monotonic time until which it asked us to wait
        self._closed_until = 0.0
        self._hint: Hint | None = None

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
                await rest(self._stopping, 1.0)

    async def _session(self) -> None:
        name = f"carry:{self._receiver.name}"
        async with Lock(self._uri, name, wanted=self._wanted) as lock, Hint(self._uri, "obligations") as hint:
            self._hint = hint
            if lock.held:
                await self._work(lock.conn, hint)

    def _wanted(self) -> bool:
        return not self._stopping.is_set()

    async def _work(self, conn: Connection, hint: Hint) -> None:
        pool = AsyncConnectionPool(
            self._uri, min_size=1, max_size=CONNECTIONS, timeout=10.0, open=False,
            kwargs={"autocommit": True, "application_name": f"tocsin carry {self._receiver.name}"},
        )  # fmt: skip
        await owed.owe_again(conn, self._receiver.name)
        async with pool:
            try:
                await self._turns(conn, pool, hint)
            finally:
                await self._finish()

    async def _turns(self, conn: Connection, pool: AsyncConnectionPool, hint: Hint) -> None:
        while not self._stopping.is_set():
            if not await self._turn(conn, pool):
                await hint.wait(self._pace.poll_s)

    async def _finish(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._pace.call_timeout_s + 10.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _turn(self, conn: Connection, pool: AsyncConnectionPool) -> int:
        """Take what is due; how many were taken."""
        for task in [task for task in self._tasks if task.done()]:
            del self._tasks[task]
            task.result()  # a bug of ours, or a test's kill: stop loudly
        free = TOGETHER - len(self._tasks)
        if free <= 0 or time.monotonic() < self._closed_until:
            return 0
        if not self._tasks:
            await owed.give_up(conn, self._receiver.name)
        taken = 0
        for query, work in ((owed.READY, self._carry), (owed.CARE, self._care)):
            look = Look(self._receiver.name, self._waiting(), [row.order for row in self._tasks.values()], free - taken)
            for row in await owed.due(conn, query, look) if look.limit > 0 else ():
                if row.order in {other.order for other in self._tasks.values()}:
                    continue
                task = asyncio.create_task(self._guarded(work, pool, row), name=row.id)
                task.add_done_callback(self._done)
                self._tasks[task] = row
                taken += 1
        return taken

    def _done(self, _task: asyncio.Task[None]) -> None:
        if self._hint is not None:
            self._hint.give()

    def _waiting(self) -> list[str]:
        now = time.monotonic()
        self._paused = {destination: until for destination, until in self._paused.items() if until > now}
        return list(self._paused)

    async def _guarded(self, work: Callable[..., object], pool: AsyncConnectionPool, row: Row) -> None:
        try:
            await work(pool, row)  # type: ignore[misc]
        except (psycopg.OperationalError, PoolTimeout):
            # The intent stays without an answer, and is asked about.
            log.warning("%s: the database went away while %s was carried", self._receiver.name, row.id)

    async def _carry(self, pool: AsyncConnectionPool, row: Row) -> None:
        if row.state == "attempting":
            await self._ask(pool, row)
            return
        self._at("taken", row)
        async with pool.connection() as conn:
            references = await owed.references(conn, row)
            began = time.monotonic()
            nonce = await owed.intend(conn, row, self._pace.ask_after_s)
        if nonce is None:
            return
        self._at("intent", row)
        if time.monotonic() - began > self._pace.ask_after_s - self._pace.call_timeout_s:
            return  # this process was held up: by the time of the answer others may be asking
        row = row._replace(attempt=row.attempt + 1, state="attempting", nonce=nonce)
        answer = await self._called(self._receiver.carry(row.obligation, references, nonce))
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
        async with pool.connection() as conn:
            await owed.unseen(conn, row, found)

    async def _answered(self, pool: AsyncConnectionPool, row: Row, answer: Answer, *, doubt: bool) -> None:
        self._meters.answered(self._receiver.name, row.kind, answer)
        self._heed(row, answer)
        audits = self._pace.audits_s if doubt and row.kind in self._receiver.confirmed else ()
        async with pool.connection() as conn:
            kept = await owed.answered(conn, row, answer, audits[0] if audits else None)
            if not kept and isinstance(answer, Done):
                log.warning(
                    "%s: %s was answered after it had been given up; looking for doubles", row.id, answer.reference
                )
                await owed.doubled(conn, row)
        self._at("answered", row)

    async def _care(self, pool: AsyncConnectionPool, row: Row) -> None:
        step = "confirm" if row.confirm_at is not None else "audit"
        self._at(step, row)
        act = self._receiver.confirm if step == "confirm" else self._receiver.audit
        answer = await self._called(act(row.obligation, row.done))
        self._at(f"{step}ed", row)
        self._heed(row, answer)
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

    def _heed(self, row: Row, answer: Answer) -> None:
        """What an answer means for the others."""
        if isinstance(answer, NotDone) and answer.after_s:
            self._paused[row.destination] = time.monotonic() + answer.after_s
        if isinstance(answer, Refused) and answer.why.startswith(CREDENTIALS):
            log.error("%s refuses our credentials: nothing is sent for %g s", self._receiver.name, REST_S)
            self._closed_until = time.monotonic() + REST_S


def _bug(receiver: str, error: Exception) -> str:
    """Where it was raised, and not what it says: the message may quote what was sent."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}" if at is not None else "?"
    log.error("receiver %s raised %s in %s", receiver, type(error).__name__, where)
    return f"the receiver raised {type(error).__name__} in {where}"
