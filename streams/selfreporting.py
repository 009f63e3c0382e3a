"""Sends a role's heartbeats to the timeline. Whatever happens to them, the role goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from aiokafka import AIOKafkaProducer

from .records.timeline import Headers

log = logging.getLogger(__name__)

FIRST_S = 5.0  # a role that falls over at once has never been well
SEND_S = 5.0
END_S = 2.0


class Message(Protocol):
    @property
    def partition(self) -> int: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> Headers: ...


class SelfReporting:
    """`beat` makes the message for a time; its second argument says that this is the last one of a clean end."""

    def __init__(self, kafka: str, topic: str, every_s: float, beat: Callable[[datetime, bool], Message]) -> None:
        self._kafka, self._topic, self._every_s, self._beat = kafka, topic, every_s, beat
        self._producer: AIOKafkaProducer | None = None
        self._beaten = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        wait_s = min(FIRST_S, self._every_s)
        try:
            while not await _set(stop, wait_s):
                await self._send(ended=False)
                wait_s = self._every_s
            if self._beaten:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._send(ended=True), END_S)
        finally:
            await self._close()

    async def _send(self, *, ended: bool) -> None:
        """A beat that cannot be sent is not kept: the next one says how things are by then."""
        try:
            async with asyncio.timeout(SEND_S):
                if self._producer is None:
                    self._producer = AIOKafkaProducer(bootstrap_servers=self._kafka, acks="all")
                    await self._producer.start()
                beat = self._beat(datetime.now(UTC), ended)
                await self._producer.send_and_wait(
                    self._topic, beat.value, partition=beat.partition, headers=list(beat.headers)
                )
            self._beaten = True
        except Exception as error:  # any: to say how one is must not be what one dies of
            log.warning("no heartbeat: %s", type(error).__name__)
            await self._close()

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):  # a broker that is gone
                await asyncio.wait_for(producer.stop(), END_S)


async def _set(stop: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), within_s)
    return stop.is_set()
