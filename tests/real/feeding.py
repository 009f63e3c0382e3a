"""What the equality test shares: roles as processes that are killed, topics read whole, positions made comparable."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.records import Exposure, Finding
from streams.topics import EVENTS, Topic

PATIENCE_S = 120.0
POSITION = re.compile(r"(agent\.events/1/\d+|replay/1/0)/(\d+)")
_finding = msgspec.json.Decoder(Finding)
_exposure = msgspec.json.Decoder(Exposure)


class Role:
    """`tocsin run ROLE`, killed without warning and started again; ended by its id."""

    def __init__(self, role: str, folder: Path, **settings: str) -> None:
        self.role, self.log = role, folder / f"{role}.log"
        known = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        given = {f"TOCSIN_{name.upper()}": value for name, value in settings.items()}
        quiet = {"TOCSIN_SELF_REPORT_S": "0"}  # every event is compared
        self.environment = {**known, **quiet, **given, "TOCSIN_DATADIR": str(folder / role)}
        self.kills = 0

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "streams", "run", self.role]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def words(self) -> str:
        """Its last ones."""
        return f"{self.role}: {self.log.read_text()[-3000:]}"

    def again(self) -> None:
        """kill -9, and a new one."""
        assert self.process.poll() is None, self.words()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.__enter__()


async def read(kafka: str, topic: Topic) -> list[Any]:
    """Everything in a topic, as Kafka records."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        parts = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        ends = {part: end for part, end in (await consumer.end_offsets(parts)).items() if end}
        records: list[Any] = []
        if not ends:
            return records
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=200, max_records=20_000)).values():
                records += found
        return records
    finally:
        await consumer.stop()


async def findings(kafka: str, topic: Topic) -> list[Finding]:
    return [_finding.decode(record.value) for record in await read(kafka, topic)]


async def exposures(kafka: str, topic: Topic) -> set[bytes]:
    """As `minutes` says them."""
    return minutes(_exposure.decode(record.value) for record in await read(kafka, topic))


def minutes(exposures: Iterable[Exposure]) -> set[bytes]:
    return {msgspec.json.encode(one, order="deterministic") for one in exposures}


def places(lines: Iterable[bytes]) -> dict[str, str]:
    """Line of the file -> id of the event that stands there."""
    return {f"replay/1/0/{n}": msgspec.json.decode(line)["id"] for n, line in enumerate(lines, 1)}


async def places_in(kafka: str) -> dict[str, str]:
    """The same for the input topic."""
    return {
        f"agent.events/1/{record.partition}/{record.offset}": msgspec.json.decode(record.value)["id"]
        for record in await read(kafka, EVENTS)
    }


def canonical(record: Any, at: dict[str, str]) -> str:
    """A record with every position replaced by the event that stood there."""
    text = msgspec.json.encode(record, order="sorted").decode()
    return POSITION.sub(lambda match: at[match.group()], text)


async def until(holds: Callable[[], Awaitable[bool]], why: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, why()
        await asyncio.sleep(0.25)
