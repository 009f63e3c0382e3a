"""What the settle loops share: reading a log from positions in the database, saying things to Kafka, one writer by lock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from .database import Connection
from .locks import Hint, Lock, rest

__all__ = [
    "TURN",
    "Hint",
    "Lock",
    "LogReader",
    "LogShrank",
    "NotTheWriter",
    "Publisher",
    "Read",
    "Saying",
    "advance",
    "positions",
    "publish",
    "publish_all",
    "rest",
]

log = logging.getLogger(__name__)

TURN = "turn"  # the part that moves with every transaction, even one that read nothing from the log
PUBLISH_MAX = 500
REQUEST_BYTES_MAX = 2 * 1024 * 1024
END_S = 4.0  # a broker that is gone is not waited for longer at the end: what is unacknowledged is still owed


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
            with suppress(TimeoutError):
                await asyncio.wait_for(consumer.stop(), END_S)


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


class Saying(NamedTuple):
    """What the database says to Kafka: one row of `publish`."""

    topic: str
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


async def publish(
    conn: Connection, topic: str, key: str, value: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
) -> None:
    """Say something to Kafka in the caller's transaction: the Publisher sends the row once it is committed."""
    await publish_all(conn, [Saying(topic, key, value, tuple(headers))])


async def publish_all(conn: Connection, sayings: Iterable[Saying]) -> None:
    rows = [(one.topic, one.key, one.value, msgspec.msgpack.encode(one.headers)) for one in sayings]
    if rows:
        async with conn.cursor() as cursor:
            await cursor.executemany("INSERT INTO publish (topic, key, value, headers) VALUES (%s, %s, %s, %s)", rows)


def _unheard(_topic: str) -> None:
    pass


async def ended(work: Coroutine[Any, Any, None], stopping: asyncio.Event, within_s: float) -> None:
    """The work to its end, but not for longer than `within_s` after it was to stop."""
    task, stop = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([task, stop], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([task], timeout=within_s)
    finally:
        stop.cancel()
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


class Publisher:
    """Sends the rows of `publish` in their order, one publisher at a time; a row goes after its acknowledgement."""

    def __init__(
        self,
        uri: str,
        bootstrap: str,
        *,
        refused: Callable[[str], None] = _unheard,
        end_s: float = END_S,
        reached: Callable[[str], None] = _unheard,
    ) -> None:
        self._reached = reached
        self._uri, self._bootstrap, self._refused, self._end_s = uri, bootstrap, refused, end_s
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
                await ended(self._session(), self._stopping, self._end_s)
            except (KafkaError, psycopg.OperationalError, OSError) as error:
                log.warning("publisher: %s; trying again", type(error).__name__)
                await rest(self._stopping, 1.0)

    def _wanted(self) -> bool:
        return not self._stopping.is_set()

    async def _session(self) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type="zstd",
            max_request_size=REQUEST_BYTES_MAX,
        )
        async with Lock(self._uri, "publisher", wanted=self._wanted) as lock, Hint(self._uri, "publish") as hint:
            self._hint = hint
            if not lock.held:
                return
            try:
                await producer.start()
                await self._turns(lock.conn, producer, hint)
            finally:
                await self._end(producer)

    async def _end(self, producer: AIOKafkaProducer) -> None:
        """In the middle of things it takes its time: what it still sends must not overtake what the next one sends."""
        try:
            async with asyncio.timeout(self._end_s if self._stopping.is_set() else None):
                await producer.stop()
        except TimeoutError:
            log.warning("publisher: Kafka did not answer at the end; what was not acknowledged is said again")
            await producer.client.close()

    async def _turns(self, conn: Connection, producer: AIOKafkaProducer, hint: Hint) -> None:
        while not self._stopping.is_set():
            if not await self._send(conn, producer):
                await hint.wait(1.0)

    async def _send(self, conn: Connection, producer: AIOKafkaProducer) -> int:
        cursor = await conn.execute(
            "SELECT id, topic, key, value, headers FROM publish ORDER BY id LIMIT %s", [PUBLISH_MAX]
        )
        rows = await cursor.fetchall()
        if rows:
            self._reached("publish")
        acks = []
        for number, topic, key, value, packed in rows:
            headers = msgspec.msgpack.decode(packed, type=list[tuple[str, bytes]]) if packed else []
            try:
                acks.append(await producer.send(topic, value, key=key.encode(), headers=headers))
            except MessageSizeTooLargeError:
                # It would hold up everything after it for ever, and the database still has what it says.
                size = len(value or b"")
                log.error("publisher: row %s for %s has %s bytes, too many", number, topic, size)  # noqa: TRY400
                self._refused(topic)
        await asyncio.gather(*acks)
        if rows:
            self._reached("said")
            await conn.execute("DELETE FROM publish WHERE id = ANY(%s)", [[row[0] for row in rows]])
            self._reached("published")
        return len(rows)
