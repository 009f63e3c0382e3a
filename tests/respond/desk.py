"""A settle loop on topics of its own, and what the database says afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import CollectorRegistry
from respond.outside import rows

from streams.policy import load
from streams.records.timeline import encode, partition_of
from streams.respond import book
from streams.respond.carry import nothing
from streams.respond.meters import Meters
from streams.respond.settling import Names, Settling
from streams.respond.worker import WiredBook
from streams.settings import Settings

PARTITIONS = 2


class OwnBook:
    """The book's fold with a test's own deciders."""

    def __init__(self, *deciders: Any) -> None:
        self.deciders: Sequence[Any] = deciders

    def fold(self, memories: Mapping[tuple[str, str], Any], inputs: Sequence[Any]) -> Any:
        found = book.fold(self.deciders, memories, inputs)
        return found.keys if isinstance(found, book.Missing) else found

    def woken(self, decider: str, key: str, at: datetime) -> book.Woken:
        return book.Woken(decider, key, at)


def shipped() -> WiredBook:
    return WiredBook(Settings(web_url="https://tocsin.example"), load())


async def topics(kafka: str) -> Names:
    own = uuid4().hex[:12]
    names = Names(f"findings-{own}", f"incidents-{own}", f"deadletters-{own}")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(names.findings, PARTITIONS, 1),
                NewTopic(names.incidents, 1, 1),
                NewTopic(names.deadletters, 1, 1),
            ]
        )
    finally:
        await admin.close()
    return names


async def found(kafka: str, names: Names, findings: Iterable[Any]) -> None:
    """Findings, or bytes, into the log; each fingerprint in its partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=5)
    await producer.start()
    try:
        acks = []
        for one in findings:
            key = one.fingerprint if not isinstance(one, bytes) else "x"
            value = one if isinstance(one, bytes) else encode(one)
            partition = partition_of(key, PARTITIONS)
            acks.append(await producer.send(names.findings, value, key=key.encode(), partition=partition))
        await asyncio.gather(*acks)
    finally:
        await producer.stop()


async def said(kafka: str, topic: str) -> list[Any]:
    """Everything in a topic of one partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        end = (await consumer.end_offsets([part]))[part]
        messages: list[Any] = []
        while len(messages) < end:
            messages += (await consumer.getmany(part, timeout_ms=200)).get(part, [])
        return messages
    finally:
        await consumer.stop()


def settling(uri: str, kafka: str, names: Names, own: Any = None, reached: Callable[[str], None] = nothing) -> Settling:
    return Settling(uri, kafka, names, own or shipped(), Meters(CollectorRegistry()), reached=reached)


@asynccontextmanager
async def running(loop: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loop.run())
    try:
        yield task
    finally:
        loop.stop()
        await task


async def read_all(uri: str, names: Names, count: int) -> bool:
    """Whether that many messages of the findings have been read and the inbox is empty."""
    read = await rows(uri, "SELECT coalesce(sum(next), 0) FROM positions WHERE part LIKE %s", f"{names.findings}/%")
    return read[0][0] >= count and not await rows(uri, "SELECT 1 FROM inbox")


async def written(uri: str) -> dict[str, Any]:
    """What the book wrote, without the wall clock in it: equal for equal histories."""
    incidents = await rows(
        uri,
        "SELECT id, stage, severity, owner, agent, count, body->'findings', body->'told' FROM incidents ORDER BY id",
    )
    return {
        "incidents": incidents,
        "obligations": await rows(uri, "SELECT id, destination, after FROM obligations ORDER BY id"),
        "memories": await rows(uri, "SELECT decider, key, version FROM memories ORDER BY 1, 2"),
        "seen": await rows(uri, "SELECT finding FROM seen ORDER BY 1"),
        "said": await rows(
            uri, "SELECT key, count(*) FROM publish WHERE topic LIKE 'incidents-%%' GROUP BY key ORDER BY 1"
        ),
        "positions": await rows(uri, "SELECT part, next FROM positions WHERE part <> 'turn' ORDER BY 1"),
    }


async def click(uri: str, record: Any) -> None:
    async with await _connected(uri) as conn:
        await conn.execute("INSERT INTO inbox (record) VALUES (%s)", [msgspec.json.encode(record).decode()])


async def _connected(uri: str) -> Any:
    from streams.database import connect

    return await connect(uri)
