"""The sweep: tickets that were made and never confirmed are adopted or retired; what was refused is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple, Protocol

import psycopg

from ..database import Connection
from ..locks import Lock, rest
from ..records import Answer, Done
from . import ticketed
from .meters import Meters
from .receivers.protocol import Blind, Stray

log = logging.getLogger(__name__)


class Sweep(NamedTuple):
    """When what is done."""

    every_s: float = 600.0
    age_minutes: int = 15  # younger ones may be on their way
    again_s: float = 900.0  # how long a refusal stands before it is tried again
    turn_s: float = 60.0


SWEEP = Sweep()


def sweeping(after_s: float) -> Sweep:
    """All times from one: how old what nobody recorded has to be before a sweep settles it. JQL counts in minutes."""
    return Sweep(after_s * 2 / 3, int(after_s // 60), after_s, min(60.0, after_s / 5))


class Swept(Protocol):
    """A receiver whose things may be left over. `strays` and `same` never touch anything."""

    name: str

    async def strays(self, deployment: str, age_minutes: int) -> list[Stray] | Blind: ...
    async def same(self, found: Stray, recorded: str) -> bool | Blind: ...
    def reference(self, found: Stray) -> Done: ...
    async def retire(self, found: Stray, recorded: str) -> Answer: ...


class Sweeper:
    """One at a time, by lock; safety is the row's. A search that is blind changes nothing."""

    def __init__(self, uri: str, receiver: Swept, deployment: str, meters: Meters, sweep: Sweep = SWEEP) -> None:
        self._uri, self._receiver, self._deployment = uri, receiver, deployment
        self._meters, self._sweep = meters, sweep
        self._stopping = asyncio.Event()
        self._next = 0.0
        self.turns = 0

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        while not self._stopping.is_set():
            try:
                async with Lock(self._uri, f"sweep:{self._receiver.name}", wanted=self._wanted) as lock:
                    await self._turns(lock)
            except (psycopg.OperationalError, OSError) as error:
                log.warning("sweep: the database cannot be reached (%s)", type(error).__name__)
                await rest(self._stopping, 1.0)

    async def _turns(self, lock: Lock) -> None:
        while lock.held and not self._stopping.is_set():
            await self.turn(lock.conn)
            await rest(self._stopping, self._sweep.turn_s)

    def _wanted(self) -> bool:
        return not self._stopping.is_set()

    async def turn(self, conn: Connection) -> None:
        again = await ticketed.try_again(conn, self._receiver.name, self._sweep.again_s)
        if again:
            log.warning("%s: %d that were refused are tried again", self._receiver.name, again)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._sweep.every_s
            await self.sweep(conn)
        self.turns += 1

    async def sweep(self, conn: Connection) -> None:
        found = await self._receiver.strays(self._deployment, self._sweep.age_minutes)
        if isinstance(found, Blind):
            log.warning("%s cannot be swept: %s", self._receiver.name, found.why)
            return
        for one in found:
            await self._settle(conn, one)

    async def _settle(self, conn: Connection, one: Stray) -> None:
        recorded = await ticketed.claimed(conn, one.obligation, one.incident, self._receiver.reference(one))
        if recorded is None:
            return  # of an obligation that nobody remembers: a person's business
        if recorded.adopted:
            log.warning("%s: %s was made and never recorded; adopted", one.obligation, one.key)
            self._meters.asked(self._receiver.name, "ticket", "adopted")
            return
        same = await self._receiver.same(one, recorded.reference)
        if isinstance(same, Blind):
            log.warning("%s is left alone: %s", one.key, same.why)
        elif same:
            await ticketed.confirm_again(conn, one.obligation)
        else:
            answer = await self._receiver.retire(one, recorded.reference)
            await ticketed.retired(conn, one.obligation, one.key, answer)
            if isinstance(answer, Done):
                self._meters.retired(self._receiver.name, 1)
