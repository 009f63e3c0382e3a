"""Whether event time goes on: detection tells every facts partition the clock of the timeline when it has moved."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

CLOCK = re.compile(rb'"record":"clock"')
TAIL = 50  # messages; a clock comes every second
WAIT_S = 5.0


class EventTime:
    """Looks at the end of one partition now and then. A clock that never came stands nowhere: nobody has begun."""

    def __init__(self, bootstrap: str, facts: str, clock: Callable[[], float] = time.time) -> None:
        self._bootstrap, self._part, self._clock = bootstrap, TopicPartition(facts, 0), clock
        self._consumer: AIOKafkaConsumer | None = None
        self._began = 0.0

    async def stands_s(self) -> float | None:
        """For how long it has stood still by the wall clock; None: it never went, or Kafka does not say."""
        if self._consumer is None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False)
            self._consumer = consumer
            await consumer.start()
            consumer.assign([self._part])
            self._began = self._clock()
        newest = await self._newest(self._consumer)
        # What stood still before this process was there to see it may only have been stopped together with it.
        return None if newest is None else max(0.0, self._clock() - max(newest, self._began))

    async def stop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception):  # a broker that is gone
                await consumer.stop()

    async def _newest(self, consumer: AIOKafkaConsumer) -> float | None:
        """When the last clock came, as Kafka has it."""
        end = (await consumer.end_offsets([self._part]))[self._part]
        first = (await consumer.beginning_offsets([self._part]))[self._part]
        at, deadline = max(first, end - TAIL), time.monotonic() + WAIT_S
        if at >= end:
            return None
        consumer.seek(self._part, at)
        newest = None
        while at < end and time.monotonic() < deadline:
            for message in (await consumer.getmany(self._part, timeout_ms=500)).get(self._part, ()):
                at = message.offset + 1
                if message.value is not None and CLOCK.search(message.value):
                    newest = message.timestamp / 1000
        return newest
