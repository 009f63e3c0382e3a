"""Sends dead letters, acknowledged before the position moves."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer


class Letters:
    """Connects when there is something to say: most of the time there is not."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._producer: AIOKafkaProducer | None = None

    async def say(self, key: bytes, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> None:
        if self._producer is None:
            producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, enable_idempotence=True, acks="all")
            await producer.start()
            self._producer = producer
        await self._producer.send_and_wait(self._topic, value, key=key, headers=list(headers))

    async def stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
