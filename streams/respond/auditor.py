"""Does everybody have what was promised? Reads the database by the wall clock; retries, and tells people by another way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import psycopg
from aiokafka.errors import KafkaError

from ..database import Connection
from ..locks import Lock, rest
from ..records import Finding, Obligation
from ..records.timeline import encode
from ..settle import publish
from . import auditing
from .auditing import Late
from .book_rows import say
from .heartbeat import Heartbeat
from .meters import Meters

log = logging.getLogger(__name__)

EVERY_S_MAX = 15.0
REFUSED_AGAIN_S = 1800.0
STANDS_S_MAX = 60.0
ELSEWHERE_MAX = 20  # the oldest: that there are more, one incident says


class Promised(NamedTuple):
    """How long people may be without, and where."""

    page_s: float
    ticket_s: float
    receivers: tuple[str, ...]  # those that are configured
    stands_s: float = STANDS_S_MAX
    refused_again_s: float = REFUSED_AGAIN_S

    @property
    def every_s(self) -> float:
        return min(EVERY_S_MAX, self.page_s / 4, self.ticket_s / 4, self.stands_s / 4)


class Words(NamedTuple):
    """What is said to whom, as the deciders have it."""

    broken: Callable[[Any, int, datetime | None, datetime], Finding]
    elsewhere: Callable[[Late, datetime], Obligation | None]
    findings: str  # topic
    incidents: str


class Clock(Protocol):
    async def stands_s(self) -> float | None: ...

    async def stop(self) -> None: ...


class Drill(Protocol):
    async def turn(self, conn: Connection, now: datetime) -> int:
        """Go on with the drill; how many have failed and not yet made up for it."""
        ...


class Auditor:
    """One at a time, by lock. What it says does not go through what it watches, as far as that is possible."""

    def __init__(
        self, uri: str, promised: Promised, words: Words, meters: Meters, *, heartbeat: Heartbeat, clock: Clock
    ) -> None:
        self._uri, self._promised, self._words, self._meters = uri, promised, words, meters
        self._heartbeat, self._clock = heartbeat, clock
        self.drill: Drill | None = None
        self._stopping = asyncio.Event()
        self._retried: set[tuple[str, str]] = set()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped. A database that is away is waited for; nobody hears a heartbeat meanwhile."""
        while not self._stopping.is_set():
            try:
                await self._session()
            except (psycopg.OperationalError, OSError) as error:
                log.warning("auditor: the database cannot be reached (%s)", type(error).__name__)
                await rest(self._stopping, 1.0)
        await self._clock.stop()

    async def _session(self) -> None:
        async with Lock(self._uri, "auditor", wanted=self._wanted) as lock:
            while lock.held and not self._stopping.is_set():
                if await self.turn(lock.conn):
                    await self._heartbeat.beat()
                await rest(self._stopping, self._promised.every_s)

    def _wanted(self) -> bool:
        return not self._stopping.is_set()

    async def turn(self, conn: Connection) -> bool:
        """One look at everything. True: all is well."""
        promised = self._promised
        late = await auditing.late(conn, promised.page_s, promised.ticket_s, promised.receivers)
        waiting = await auditing.waiting(conn, max(promised.page_s, promised.ticket_s), promised.receivers)
        refused = await auditing.refused(conn)
        found: dict[str, tuple[int, datetime | None]] = {
            "page": _counted([one.since for one in late if one.kind == "page"]),
            "ticket": _counted([one.since for one in late if one.kind == "ticket"]),
            "waiting": waiting,
            "refused": refused,
            "event_time": (int(await self._stands()), None),
            "canary": (await self.drill.turn(conn, datetime.now(UTC)) if self.drill else 0, None),
        }
        await auditing.owe_refused_again(conn, promised.refused_again_s)
        await self._retry(conn, late)
        await self._tell(conn, late, {what: one for what, one in found.items() if one[0]})
        for what, (count, _) in found.items():
            self._meters.broken(what, count)
        return not any(count for count, _ in found.values())

    async def _stands(self) -> bool:
        try:
            stands_s = await self._clock.stands_s()
        except (KafkaError, OSError) as error:
            log.warning("auditor: Kafka cannot be reached (%s)", type(error).__name__)
            with suppress(Exception):
                await self._clock.stop()
            self._meters.waits("the auditor", "Kafka")
            return True
        self._meters.waits("the auditor")
        return stands_s is not None and stands_s > self._promised.stands_s

    async def _retry(self, conn: Connection, late: Sequence[Late]) -> None:
        """Once each: the carrier's own pauses are there for a reason."""
        names = {(one.incident, one.kind) for one in late}
        fresh = [one.obligation for one in late if one.obligation and (one.incident, one.kind) not in self._retried]
        self._retried = names
        if fresh:
            log.warning("auditor: %s obligations are late and tried again at once", len(fresh))
            await auditing.at_once(conn, fresh)

    async def _tell(
        self, conn: Connection, late: Sequence[Late], found: dict[str, tuple[int, datetime | None]]
    ) -> None:
        """Findings and messages are told apart by their ids: saying them again says nothing."""
        now = datetime.now(UTC)
        said: list[Any] = [
            one for one in (self._words.elsewhere(one, now) for one in late[:ELSEWHERE_MAX]) if one is not None
        ]
        async with conn.transaction():
            await say(conn, said, self._words.incidents)
            for what, (count, oldest) in found.items():
                finding = self._words.broken(what, count, oldest, now)
                if await auditing.unsaid(conn, finding.id):
                    await publish(conn, self._words.findings, finding.fingerprint, encode(finding))


def _counted(since: Sequence[datetime]) -> tuple[int, datetime | None]:
    return len(since), min(since, default=None)
