"""What the tests of intake on a real broker share: producers, processes, and a look at what was written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from intake.sample import event

from streams import deadletters, topics
from streams.records import DeadLetter, IntakeRejected, Watermarks
from streams.records.timeline import Timed, unpack

RUNNER = Path(__file__).with_name("intake_process.py")
PATIENCE_S = 40.0
generations = count(int(time.time()) % 100_000 * 100 + 2)  # a timeline and a group of each test's own


class Worker:
    """One intake process, ended by its id."""

    def __init__(self, kafka: str, generation: int, folder: Path, replica: str = "0", **given: Any) -> None:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        self.log = folder / f"intake-{replica}.log"
        with self.log.open("ab") as log:
            command = [sys.executable, str(RUNNER), f"--kafka={kafka}", f"--generation={generation}"]
            self.process = subprocess.Popen([*command, f"--replica={replica}", *options], stderr=log)

    def end(self, number: int = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def ended(self) -> int:
        await until(lambda: self.process.poll() is not None, self.log.read_text)
        assert self.process.returncode is not None
        return self.process.returncode


async def until(true: Callable[[], bool], why: Callable[[], str] = lambda: "it did not happen in time") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, why()
        await asyncio.sleep(0.05)


@asynccontextmanager
async def producing(kafka: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=topics.INPUT_BYTES_MAX, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def produce(producer: AIOKafkaProducer, values: Iterable[bytes | None], epoch: int = 1) -> list[str]:
    """Sends round robin over the partitions; answers the positions."""
    sent = [
        await producer.send(topics.EVENTS.name, value, key=b"k%d" % n, partition=n % 4)
        for n, value in enumerate(values)
    ]
    return [f"{m.topic}/{epoch}/{m.partition}/{m.offset}" for m in await asyncio.gather(*sent)]


def values(test: str, many: int, start: int = 0) -> list[bytes]:
    """Good events whose times grow, every twentieth message unusable."""
    now = int(time.time())
    found = []
    for n in range(start, start + many):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now - 60 + n / 1000)) + f".{n % 1000:03}Z"
        made = event(id=f"{test}-{n}", time=at)
        made["data"]["ctx"] |= {"session_id": f"{test}-{n % 37}"}
        found.append(b"unusable " + test.encode() if n % 20 == 19 else msgspec.json.encode(made))
    return found


class Timeline:
    """Everything a generation's timeline holds, by partition and in order."""

    def __init__(self) -> None:
        self.records: dict[int, list[Timed | Watermarks]] = {}

    @property
    def events(self) -> list[Timed]:
        return [each for part in self.records.values() for each in part if not isinstance(each, Watermarks)]

    @property
    def watermarks(self) -> list[Watermarks]:
        return [each for part in self.records.values() for each in part if isinstance(each, Watermarks)]

    @property
    def positions(self) -> set[str]:
        return {str(each.position) for each in self.events}

    def at(self, position: str) -> list[Timed]:
        return [each for each in self.events if str(each.position) == position]

    @property
    def rejected(self) -> set[str]:
        return {str(each.position) for each in self.events if isinstance(each, IntakeRejected)}


async def timeline(
    kafka: str, generation: int, enough: Callable[[Timeline], bool], why: Callable[[], str] = lambda: ""
) -> Timeline:
    """Reads from the beginning until there is enough."""
    found = Timeline()
    topic = topics.named(topics.TIMELINE, generation)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        tps = [TopicPartition(topic, n) for n in range(topics.TIMELINE.partitions)]
        consumer.assign(tps)
        deadline = time.monotonic() + PATIENCE_S
        while not enough(found):
            assert time.monotonic() < deadline, f"not enough in {topic}: {len(found.events)} events; {why()}"
            for tp, messages in (await consumer.getmany(timeout_ms=100)).items():
                _add(found.records.setdefault(tp.partition, []), messages)
    finally:
        await consumer.stop()
    return found


def _add(to: list[Timed | Watermarks], messages: Iterable[Any]) -> None:
    for message in messages:
        found = unpack(message.value, message.headers)
        to += [found] if isinstance(found, Watermarks) else found


async def letters(kafka: str, positions: set[str]) -> dict[str, DeadLetter]:
    """The dead letters of these source positions, once all of them are there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = {str(each.letter.position): each.letter for each in await deadletters.listed(kafka, limit=5000)}
        if positions <= set(found):
            return {position: found[position] for position in positions}
        assert time.monotonic() < deadline, positions - set(found)
        await asyncio.sleep(0.1)
