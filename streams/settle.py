"""What the settle loops share: reading a log from positions in the database, saying things to Kafka, one writer by lock."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from .database import Connection, connect

log = logging.getLogger(__name__)

TURN = "turn"  # the part that moves with every transaction, even one that read nothing from the log
PUBLISH_MAX = 500
REQUEST_BYTES_MAX = 2 * 1024 * 1024


class NotTheWriter(Exception):
    """Somebody else moved the positions: this process must not write again."""


class LogShrank(Exception):
    """A position lies beyond the end of its partition: the topic was recreated or lost data."""


class Read(NamedTuple):
    part: str  # "<topic>/<partition>"
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


class LogReader:
    """All partitions of some topics from given positions, without a consumer group; the earliest where none is known."""

    def __init__(self, bootstrap: str, topics: tuple[str, ...]) -> None:
        self._bootstrap, self._topics = bootstrap, topics
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, positions: Mapping[str, int]) -> None:
        self._consumer = consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            parts = [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in sorted(consumer.partitions_for_topic(topic) or ())
            ]
            # An own assignment: one by topic would begin anew, from the earliest, whenever the metadata changes.
            consumer.unsubscribe()
            consumer.assign(parts)
            await self._seek(consumer, parts, positions)
        except BaseException:
            await self.stop()
            raise

    async def _seek(
        self, consumer: AIOKafkaConsumer, parts: list[TopicPartition], positions: Mapping[str, int]
    ) -> None:
        ends = await consumer.end_offsets(parts) if parts else {}
        for part in parts:
            known = positions.get(f"{part.topic}/{part.partition}")
            if known is None:
                continue
            if known > ends[part]:
                raise LogShrank(
                    f"{part.topic}/{part.partition} ends at {ends[part]}, but it was read up to {known}: the topic was "
                    "recreated or lost data. Start a new generation (TOCSIN_GENERATION) to read it from its start."
                )
            consumer.seek(part, known)

    async def batch(self, records_max: int = 200, wait_s: float = 0.2) -> list[Read]:
        """What has arrived, in the order of each partition; at once when there is something."""
        assert self._consumer is not None, "start() comes first"
        found = await self._consumer.getmany(timeout_ms=max(int(wait_s * 1000), 0), max_records=records_max)
        return [
            Read(f"{part.topic}/{part.partition}", message.offset, message.key, message.value, message.timestamp)
            for part, messages in found.items()
            for message in messages
        ]

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


async def positions(conn: Connection, reader: str) -> dict[str, int]:
    """What `reader` reads next, by part."""
    cursor = await conn.execute("SELECT part, next FROM positions WHERE reader = %s", [reader])
    return {str(part): int(next_) for part, next_ in await cursor.fetchall()}


async def advance(conn: Connection, reader: str, moved: Mapping[str, tuple[int, int]]) -> None:
    """Compare and set, part -> (old, new), inside the caller's transaction. A part nobody has read stands at 0."""
    if not moved:
        return
    rows = [(new, reader, part, old) for part, (old, new) in sorted(moved.items())]
    fresh = [(reader, part, new) for new, _, part, old in rows if old == 0]
    async with conn.cursor() as cursor:
        await cursor.executemany("UPDATE positions SET next = %s WHERE reader = %s AND part = %s AND next = %s", rows)
        done = cursor.rowcount
        if done < len(rows) and fresh:
            await cursor.executemany("INSERT INTO positions VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", fresh)
            done += cursor.rowcount
    if done != len(rows):
        raise NotTheWriter(f"{reader}: the positions are not where this process left them; another one is the writer")


async def publish(conn: Connection, topic: str, key: str, value: bytes) -> None:
    """Say something to Kafka in the caller's transaction: the Publisher sends the row once it is committed."""
    await publish_all(conn, [(topic, key, value)])


async def publish_all(conn: Connection, rows: Iterable[tuple[str, str, bytes]]) -> None:
    async with conn.cursor() as cursor:
        await cursor.executemany("INSERT INTO publish (topic, key, value) VALUES (%s, %s, %s)", rows)


class Lock:
    """An advisory lock by name on its own direct connection: whoever waits stands by, a dead holder lets go."""

    def __init__(self, uri: str, name: str, *, poll_s: float = 0.5) -> None:
        self.name = name
        self._uri, self._poll_s = uri, poll_s
        self._key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
        self._conn: Connection | None = None

    @property
    def conn(self) -> Connection:
        """The connection that holds the lock: what is done on it ends with the lock."""
        assert self._conn is not None, f"the lock {self.name} is not held"
        return self._conn

    async def __aenter__(self) -> Self:
        while not await self._taken():
            await asyncio.sleep(self._poll_s)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self._drop()

    async def _taken(self) -> bool:
        """One try. A database that is away is waited for like another holder."""
        try:
            if self._conn is None:
                self._conn = await connect(self._uri, application=f"tocsin {self.name}")
            cursor = await self._conn.execute("SELECT pg_try_advisory_lock(%s)", [self._key])
            row = await cursor.fetchone()
            return bool(row and row[0])
        except psycopg.OperationalError as error:
            log.warning("lock %s: the database cannot be reached (%s)", self.name, type(error).__name__)
            await self._drop()
            return False
        except BaseException:
            await self._drop()
            raise

    async def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            with suppress(psycopg.Error):
                await conn.close()


class Hint:
    """Listens to one channel; `wait` returns at a hint or after a while. Hints may be lost: callers poll anyway."""

    def __init__(self, uri: str, channel: str) -> None:
        self._uri, self._channel = uri, channel
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name=f"hint {self._channel}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
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
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        self._heard.clear()

    async def _listen(self) -> None:
        while True:
            try:
                conn = await connect(self._uri, application=f"tocsin hint {self._channel}")
                async with conn:
                    await conn.execute(f"LISTEN {self._channel}")
                    self.give()
                    async for _ in conn.notifies():
                        self.give()
            except psycopg.Error:
                await asyncio.sleep(1.0)


def _unheard(_topic: str) -> None:
    pass


class Publisher:
    """Sends the rows of `publish` in their order, one publisher at a time; a row goes after its acknowledgement."""

    def __init__(self, uri: str, bootstrap: str, *, refused: Callable[[str], None] = _unheard) -> None:
        self._uri, self._bootstrap, self._refused = uri, bootstrap, refused
        self._stopping = asyncio.Event()
        self._hint: Hint | None = None

    def stop(self) -> None:
        self._stopping.set()
        if self._hint is not None:
            self._hint.give()

    async def run(self) -> None:
        """Until stopped. Kafka or the database being away is waited for: the rows keep."""
        while not self._stopping.is_set():
            try:
                await self._session()
            except (KafkaError, psycopg.OperationalError, OSError) as error:
                log.warning("publisher: %s; trying again", type(error).__name__)
                await self._rest(1.0)

    async def _session(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_request_size=REQUEST_BYTES_MAX,
        )
        async with Lock(self._uri, "publisher") as lock, Hint(self._uri, "tocsin_publish") as hint:
            self._hint = hint
            await producer.start()
            try:
                while not self._stopping.is_set():
                    if not await self._send(lock.conn, producer):
                        await hint.wait(1.0)
            finally:
                await producer.stop()

    async def _send(self, conn: Connection, producer: AIOKafkaProducer) -> int:
        cursor = await conn.execute("SELECT id, topic, key, value FROM publish ORDER BY id LIMIT %s", [PUBLISH_MAX])
        rows = await cursor.fetchall()
        acks = []
        for number, topic, key, value in rows:
            try:
                acks.append(await producer.send(topic, value, key=key.encode()))
            except MessageSizeTooLargeError:
                # It would hold up everything after it for ever, and the database still has what it says.
                log.error("publisher: row %s for %s has %s bytes, more than Kafka takes", number, topic, len(value))  # noqa: TRY400
                self._refused(topic)
        await asyncio.gather(*acks)
        if rows:
            await conn.execute("DELETE FROM publish WHERE id = ANY(%s)", [[row[0] for row in rows]])
        return len(rows)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
