"""The settle loop of the incident book: findings, clicks, receipts and due times become rows, all or nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import psycopg
from aiokafka.errors import KafkaError

from ..database import Connection
from ..locks import Hint, Lock, rest
from ..records import DeadLetter
from ..settle import TURN, LogReader, advance, positions
from . import book_rows as rows
from .inputs import UNSTORABLE, Input, sighted, told, woken
from .meters import Meters
from .minutes import Minutes
from .shelf import Address, Shelf

log = logging.getLogger(__name__)

READER = "book"
READS_MAX = 100  # of the 200 inputs of a transaction: a backlog of findings keeps nobody's click waiting
OTHERS_MAX = 100
POLL_S = 1.0
INBOX_S = 0.1  # receipts come in crowds: one transaction for many leaves time for findings
IDLE_S = 0.05
GAUGE_S = 5.0
TIDY_S = 3600.0
TIDY_MORE_S = 5.0  # while there is more to go
START_S = 20.0  # Kafka that neither answers nor refuses
SEEN_KEPT = timedelta(days=30)  # findings themselves are kept for 7
FINISHED_KEPT = timedelta(days=90)
# A name too long for an index counts as operational, but it never goes away by itself.
UNSTORABLE_ERRORS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, OverflowError)
ISOLATED_FREE = 10
ISOLATED_SHARE_MAX = 0.01


class TooManyIsolated(Exception):
    """A decider raises again and again: going on would empty the findings into dead letters."""


class Book(Protocol):
    """The deciders and their fold, as the worker hands them in."""

    @property
    def deciders(self) -> Sequence[Any]: ...

    def fold(self, memories: Mapping[Address, Any], inputs: Sequence[Any]) -> Any | set[Address]:
        """Folded (memories, said, wakes, isolated), or the addresses of memories that are missing."""
        ...

    def woken(self, decider: str, key: str, at: datetime) -> Any: ...


class Names(NamedTuple):
    """What the topics are called in this generation, and the epoch of positions."""

    findings: str
    incidents: str
    deadletters: str
    epoch: int = 1
    exposure: str = ""  # empty: event time is not read
    minute_s: int = 60  # what one of its records covers


def nothing(_step: str) -> None:
    pass


async def nobody(_conn: Connection) -> None:
    pass


class Settling:
    """Run by the holder of the lock `book`; whoever finds the positions moved ends with NotTheWriter."""

    def __init__(
        self,
        uri: str,
        bootstrap: str,
        names: Names,
        book: Book,
        meters: Meters,
        *,
        reached: Callable[[str], None] = nothing,
    ) -> None:
        self._uri, self._bootstrap, self._names, self._book = uri, bootstrap, names, book
        self._meters, self._reached = meters, reached
        self._awake = [decider.name for decider in book.deciders]
        self._stopping = asyncio.Event()
        self._isolated, self._handled = 0, 0
        self._looked, self._gauged, self._tidied = 0.0, 0.0, 0.0
        self._lock: Lock | None = None
        self.progress: Callable[[], None] = lambda: None
        self.began: Callable[[Connection], Awaitable[None]] = nobody  # once this process is the writer

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped. The database or Kafka being away is waited for; everything else ends it loudly."""
        while not self._stopping.is_set():
            try:
                await self._session()
            except (psycopg.OperationalError, KafkaError, OSError) as error:
                log.warning("book: %s; beginning again from the positions", type(error).__name__)
                self.progress()
                self._meters.waits("the book", "PostgreSQL" if isinstance(error, psycopg.Error) else "Kafka")
                await rest(self._stopping, 1.0)

    async def _session(self) -> None:
        self._lock = Lock(self._uri, READER, wanted=self._wanted)
        async with self._lock as lock, Hint(self._uri, "inbox") as hint:
            if not lock.held:
                return
            await self.began(lock.conn)
            at = await positions(lock.conn, READER)
            known = {part: next_ for part, next_ in at.items() if part != TURN}
            source, names = LogReader(self._bootstrap, (self._names.findings,)), self._names
            minutes = Minutes(self._bootstrap, names.exposure, names.epoch, names.minute_s)
            try:
                async with asyncio.timeout(START_S):
                    await source.start(known)
                    await minutes.start(known)
                self._meters.waits("the book")
                await self._turns(lock.conn, source, minutes, at, hint)
            finally:
                await source.stop()
                await minutes.stop()

    async def _turns(
        self, conn: Connection, source: LogReader, minutes: Minutes, at: dict[str, int], hint: Hint
    ) -> None:
        shelf = Shelf(self._book.deciders)
        while not self._stopping.is_set():
            batch = await self._gather(conn, source, hint)
            batch += await minutes.batch(datetime.now(UTC))
            if batch:
                await self._settle(conn, shelf, at, batch)
            self.progress()

    def _wanted(self) -> bool:
        """Standing by is progress too."""
        self.progress()
        self._meters.waits("the book", "PostgreSQL" if self._lock is not None and self._lock.away else "")
        return not self._stopping.is_set()

    async def _gather(self, conn: Connection, source: LogReader, hint: Hint) -> list[Input]:
        reads = await source.batch(READS_MAX, IDLE_S)
        now = datetime.now(UTC)
        batch: list[Input] = []
        since = time.monotonic() - self._looked
        if since >= POLL_S or (since >= INBOX_S and hint.taken()):
            self._looked = time.monotonic()
            batch += [told(number, record) for number, record, _ in await rows.inbox(conn, OTHERS_MAX)]
            for decider, key in await rows.due(conn, self._awake, now, OTHERS_MAX - len(batch)):
                batch.append(woken(self._book.woken(decider, key, now), (decider, key)))
            if len(batch) >= OTHERS_MAX:
                hint.give()  # there may be more
            await self._keep_house(conn, now)
        batch += [sighted(read, self._names.epoch, now) for read in reads]
        return batch

    async def _settle(self, conn: Connection, shelf: Shelf, at: dict[str, int], batch: list[Input]) -> None:
        try:
            await self._transaction(conn, shelf, at, batch)
        except UNSTORABLE_ERRORS as error:
            if len(batch) == 1:
                letter = batch[0].buried(UNSTORABLE, f"{type(error).__name__}: {error}")
                await self._transaction(conn, shelf, at, [batch[0]._replace(record=None, letter=letter)])
                return
            for one in batch:  # whichever it is, the others go on
                await self._settle(conn, shelf, at, [one])

    async def _transaction(self, conn: Connection, shelf: Shelf, at: dict[str, int], batch: list[Input]) -> None:
        moved = _moved(at, batch)
        self._reached("begun")
        async with conn.transaction():
            await advance(conn, READER, moved)
            self._reached("advanced")
            inputs = await self._unseen(conn, batch)
            folded = await self._fold(conn, shelf, [one.record for one in inputs])
            self._reached("folded")
            letters = self._letters(batch, inputs, folded)
            async with conn.pipeline():
                await shelf.write(conn, folded.memories)
                await rows.say(conn, folded.said, self._names.incidents)
                await rows.bury(conn, letters, self._names.deadletters)
                await rows.emptied(conn, [one.inbox for one in batch if one.inbox is not None])
                slept = {one.wake: None for one in batch if one.wake is not None}
                await rows.wake(conn, {**slept, **folded.wakes})
            self._reached("written")
        self._reached("committed")
        shelf.keep(folded.memories)
        at.update({part: new for part, (_, new) in moved.items()})
        self._count(batch, letters, len(folded.isolated))

    async def _unseen(self, conn: Connection, batch: list[Input]) -> list[Input]:
        """What the deciders get: every finding once, ever."""
        findings = {one.record.finding.id: one for one in batch if one.read and one.record is not None}
        fresh = await rows.fresh(conn, list(findings))
        first: dict[str, Input] = {}
        for one in batch:
            if one.read and one.record is not None and one.record.finding.id in fresh:
                first.setdefault(one.record.finding.id, one)
        kept = {id(one) for one in first.values()}
        return [one for one in batch if one.record is not None and (one.read is None or id(one) in kept)]

    async def _fold(self, conn: Connection, shelf: Shelf, inputs: list[Any]) -> Any:
        folded = self._book.fold(shelf.kept, inputs)
        while isinstance(folded, set):
            await shelf.load(conn, folded)
            folded = self._book.fold(shelf.kept, inputs)
        return folded

    def _letters(self, batch: list[Input], inputs: list[Input], folded: Any) -> list[DeadLetter]:
        letters = [one.letter for one in batch if one.letter is not None]
        by_record = {id(one.record): one for one in inputs}
        for isolated in folded.isolated:
            log.error("decider %s could not digest an input: %s", isolated.decider, isolated.why)
            letters.append(by_record[id(isolated.record)].buried(f"decider:{isolated.decider}", isolated.why))
        return letters

    def _count(self, batch: list[Input], letters: list[DeadLetter], isolated: int) -> None:
        for kind, count in Counter(one.kind for one in batch if one.kind).items():
            self._meters.settled(kind, count)
        for letter in letters:
            self._meters.letter(letter.reason)
        self._handled += len(batch)
        self._isolated += isolated
        if self._isolated > ISOLATED_FREE + ISOLATED_SHARE_MAX * self._handled:
            raise TooManyIsolated(f"{self._isolated} of {self._handled} inputs made a decider raise")

    async def _keep_house(self, conn: Connection, now: datetime) -> None:
        clock = time.monotonic()
        if clock - self._gauged >= GAUGE_S:
            self._gauged = clock
            self._meters.waiting(await rows.waiting(conn))
        if clock - self._tidied >= TIDY_S:
            more = await rows.tidy(conn, now - SEEN_KEPT, now - FINISHED_KEPT)
            self._tidied = clock - TIDY_S + TIDY_MORE_S if more else clock


def _moved(at: Mapping[str, int], batch: list[Input]) -> dict[str, tuple[int, int]]:
    """Part -> (old, new). The turn moves always: a click alone must not get past another writer."""
    moved = {TURN: (at.get(TURN, 0), at.get(TURN, 0) + 1)}
    for one in batch:
        if one.read is not None:
            part, next_ = one.read.part, one.read.offset + 1
            moved[part] = (at.get(part, 0), max(next_, moved.get(part, (0, 0))[1]))
    return moved
