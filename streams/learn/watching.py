"""How far the pipeline has come: the clock of detection, once every finding from before it has reached the book."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from ..database import Connection
from ..records import ClockForwarded
from ..settle import positions

TAIL = 500  # where to begin reading: clocks come each second
BOOK = "book"
CLOCK = b'{"record":"clock"'
GAUGE = """
INSERT INTO gauges (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, at = now()
"""

_clock = msgspec.json.Decoder(ClockForwarded)


class Clock(Protocol):
    """What detection makes of forwarded clocks. Handed in: this file does not decide."""

    @property
    def at_s(self) -> float | None: ...


C = TypeVar("C", bound=Clock)


class Topics(NamedTuple):
    facts: str
    findings: str
    deadletters: str


class Watching(Generic[C]):
    """Reads one partition of the facts from its end: every one of them is told every clock."""

    def __init__(self, bootstrap: str, topics: Topics, start: C, step: Callable[[C, ClockForwarded], C]) -> None:
        self._bootstrap, self._topics = bootstrap, topics
        self._state, self._step = start, step
        self._waiting: tuple[float, dict[str, int]] | None = None  # a clock, and where findings ended then
        self._consumer: AIOKafkaConsumer | None = None
        self._parts: dict[str, list[TopicPartition]] = {}

    async def start(self) -> None:
        self._consumer = consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            for topic in self._topics:
                numbers = sorted(consumer.partitions_for_topic(topic) or ())
                self._parts[topic] = [TopicPartition(topic, number) for number in numbers]
            clocks = self._parts[self._topics.facts][:1]
            consumer.unsubscribe()
            consumer.assign(clocks)
            first, end = await consumer.beginning_offsets(clocks), await consumer.end_offsets(clocks)
            for part in clocks:
                consumer.seek(part, max(first[part], end[part] - TAIL))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def turn(self, conn: Connection, wait_s: float = 1.0) -> datetime | None:
        """One look; writes the gauges. Answers the watermark when it moved."""
        await self._listen(wait_s)
        known = await positions(conn, BOOK)
        bounds = await self._bounds(self._topics.findings)
        read = {part: max(known.get(part, 0), first) for part, (first, _) in bounds.items()}
        ends = {part: end for part, (_, end) in bounds.items()}
        letters = await self._bounds(self._topics.deadletters)
        await gauge(conn, "findings.waiting", sum(max(0, end - read[part]) for part, end in ends.items()))
        await gauge(conn, "deadletters", sum(end - first for first, end in letters.values()))
        if self._waiting is None and self._state.at_s is not None:
            self._waiting = (self._state.at_s, ends)
        if self._waiting is None or any(read.get(part, 0) < end for part, end in self._waiting[1].items()):
            return None
        at_s, self._waiting = self._waiting[0], None
        await gauge(conn, "watermark", at_s)
        return datetime.fromtimestamp(at_s, UTC)

    async def _listen(self, wait_s: float) -> None:
        assert self._consumer is not None, "start() comes first"
        found = await self._consumer.getmany(timeout_ms=int(wait_s * 1000), max_records=5000)
        values = [message.value or b"" for messages in found.values() for message in messages]
        for line in (line for value in values for line in value.split(b"\n") if line.startswith(CLOCK)):
            self._state = self._step(self._state, _clock.decode(line))

    async def _bounds(self, topic: str) -> dict[str, tuple[int, int]]:
        """Where each partition of the topic begins and ends."""
        assert self._consumer is not None, "start() comes first"
        parts = self._parts[topic]
        first, end = await self._consumer.beginning_offsets(parts), await self._consumer.end_offsets(parts)
        return {f"{part.topic}/{part.partition}": (first[part], end[part]) for part in parts}


async def gauge(conn: Connection, name: str, value: float) -> None:
    await conn.execute(GAUGE, [name, value])
