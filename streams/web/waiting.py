"""Those who wait for the answer to a question: however many there are, they cost one reading of the database."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from .answers import Refused

log = logging.getLogger(__name__)

LOOK_S = 0.25
READ_WITHIN_S = 4.0
WAITING_MAX = 2000
FULL = "Too many wait here already: ask again in a moment, or without `wait`."
OVER = "SELECT id FROM approvals WHERE id = ANY(%s) AND state <> 'pending'"


class Waiting:
    """One per process. Nobody who waits holds a connection."""

    def __init__(self, pool: Any, count_max: int = WAITING_MAX) -> None:
        self._pool, self._max = pool, count_max
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._count = 0
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False

    def __len__(self) -> int:
        return self._count

    def stop(self) -> None:
        """Whoever waits is answered now."""
        self._stopping = True
        self._told(list(self._waiting))

    async def close(self) -> None:
        self.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def over(self, question: str, wait_s: float) -> None:
        """Until it is answered or has expired, at most that long."""
        if self._stopping:
            return
        if self._count >= self._max:
            raise Refused(503, FULL)
        event = asyncio.Event()
        self._waiting[question].add(event)
        self._count += 1
        try:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look(), name="answers to questions")
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await event.wait()
        finally:
            self._count -= 1
            self._waiting[question].discard(event)
            if not self._waiting[question]:
                del self._waiting[question]

    async def _look(self) -> None:
        """As long as anybody waits. While the database is away they wait on."""
        while self._waiting and not self._stopping:
            try:
                async with asyncio.timeout(READ_WITHIN_S), self._pool.connection() as conn:
                    rows = await (await conn.execute(OVER, [list(self._waiting)])).fetchall()
                self._told([name for (name,) in rows])
            except (psycopg.Error, PoolTimeout, OSError, TimeoutError) as error:
                log.warning("answers cannot be read: %s", type(error).__name__)
            await asyncio.sleep(LOOK_S)

    def _told(self, questions: list[str]) -> None:
        for name in questions:
            for event in self._waiting.get(name, ()):
                event.set()
