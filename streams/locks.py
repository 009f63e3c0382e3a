"""One at a time, and at once: advisory locks by name, and hints that something is there to do."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg

from .database import Connection, connect

log = logging.getLogger(__name__)


def _always() -> bool:
    return True


class Lock:
    """An advisory lock by name on its own direct connection: whoever waits stands by, a dead holder lets go."""

    def __init__(self, uri: str, name: str, *, poll_s: float = 0.5, wanted: Callable[[], bool] = _always) -> None:
        self.name = name
        self._uri, self._poll_s, self._wanted = uri, poll_s, wanted
        self._key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
        self._conn: Connection | None = None
        self.held = False
        self.away = False  # the database cannot be reached: nobody can say who holds it

    @property
    def conn(self) -> Connection:
        """The connection that holds the lock: what is done on it ends with the lock."""
        assert self._conn is not None, f"the lock {self.name} is not held"
        return self._conn

    async def __aenter__(self) -> Self:
        """Waits until it is held; entered without it only once `wanted` says no more."""
        while self._wanted():
            self.held = await self._taken()
            if self.held:
                break
            await asyncio.sleep(self._poll_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._drop()

    async def _taken(self) -> bool:
        """One try. A database that is away is waited for like another holder."""
        try:
            if self._conn is None:
                self._conn = await connect(self._uri, application=f"tocsin {self.name}")
            cursor = await self._conn.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            row = await cursor.fetchone()
            self.away = False
            return bool(row and row[0])
        except psycopg.OperationalError as error:
            self.away = True
            log.warning("lock %s: the database cannot be reached (%s)", self.name, type(error).__name__)
            await self._drop()
            return False
        except BaseException:
            await self._drop()
            raise

    async def _drop(self) -> None:
        self.held = False
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(psycopg.Error):
                await conn.close()


class Hint:
    """Listens to inserts into one table; `wait` returns at a hint or after a while. Hints may be lost: callers poll anyway."""

    def __init__(self, uri: str, channel: str) -> None:
        self._uri, self._channel = uri, channel
        self._heard = asyncio.Event()
        self.heard = 0  # hints of the database, not those given here
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name=f"hint {self._channel}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def give(self) -> None:
        self._heard.set()

    def taken(self) -> bool:
        """Whether there was a hint since the last call."""
        heard = self._heard.is_set()
        self._heard.clear()
        return heard

    async def wait(self, timeout_s: float) -> None:
        await rest(self._heard, timeout_s)
        self._heard.clear()

    async def _listen(self) -> None:
        while True:
            with suppress(psycopg.Error):
                await self._hear()
            await asyncio.sleep(1.0)

    async def _hear(self) -> None:
        async with await connect(self._uri, application=f"tocsin hint {self._channel}") as conn:
            await conn.execute(f"LISTEN tocsin_{self._channel}")
            self._told()  # what happened before this
            async for _ in conn.notifies():
                self._told()

    def _told(self) -> None:
        self.heard += 1
        self.give()


async def rest(until: asyncio.Event, seconds: float) -> None:
    """That long, or until the event."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
