"""What the tests of detect on a real broker share: a timeline written to Kafka, processes over it, and the comparison."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from detect.story import Story
from detect.truth import Pair, findings, messages

from streams import topics
from streams.detect.engine.changelog import Changelogs, Store
from streams.detect.scope.evaluator_failures import EvaluatorFailures
from streams.detect.session.cost import Spent
from streams.detect.shelf import Shelf
from streams.detect.stage import Folding
from streams.records import Finding
from streams.topics import Topic, named

RUNNER = Path(__file__).with_name("detect_process.py")
PATIENCE_S = 60.0
_findings = msgspec.json.Decoder(Finding)


class Worker:
    """One detect process, ended by its id."""

    def __init__(self, kafka: str, generation: int, datadir: Path, replica: str = "0", **given: Any) -> None:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        self.log = datadir / f"detect-{replica}-{len(list(datadir.glob('*.log')))}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(RUNNER), f"--kafka={kafka}", f"--generation={generation}"),
                    *(f"--datadir={datadir / replica}", f"--replica={replica}", *options),
                ],
                stderr=log,
            )

    @property
    def code(self) -> int | None:
        return self.process.poll()

    def end(self, number: int = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
            if number != signal.SIGKILL:
                os.kill(self.process.pid, signal.SIGCONT)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    async def ended(self) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)
        assert self.process.returncode is not None
        return self.process.returncode

    async def said(self, word: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while word not in self.log.read_text():
            assert self.code is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            await asyncio.sleep(0.05)

    def stopped(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] == "T"


class Timeline:
    """A story on a broker, in a generation of its own."""

    def __init__(self, kafka: str, generation: int, story: Story) -> None:
        self.kafka, self.generation, self.story = kafka, generation, story

    async def write(self, part: slice = slice(None)) -> None:
        await topics.ensure(self.kafka, self.generation)
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, enable_idempotence=True, linger_ms=5)
        await producer.start()
        try:
            name = self.name(topics.TIMELINE)
            acks = [
                await producer.send(name, value, partition=partition, headers=headers)
                for partition, value, headers in self.story.messages[part]
            ]
            await asyncio.gather(*acks)
        finally:
            await producer.stop()

    def name(self, topic: Topic) -> str:
        return named(topic, self.generation)

    @property
    def group(self) -> str:
        return f"tocsin-detect-g{self.generation}"

    async def lag(self) -> dict[str, int]:
        """Messages of the timeline and of the facts that have not been committed."""
        names = {self.name(topics.TIMELINE), self.name(topics.FACTS)}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await admin.start()
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(name, p) for name in names for p in range(4)])
            done = await self._committed(admin)
        finally:
            await consumer.stop()
            await admin.close()
        lag = dict.fromkeys(names, 0)
        for tp, end in ends.items():
            lag[tp.topic] += end - max(done[tp].offset if tp in done else 0, 0)
        return lag

    async def _committed(self, admin: AIOKafkaAdminClient) -> dict[TopicPartition, Any]:
        try:
            return await admin.list_consumer_group_offsets(self.group)
        except KafkaError:  # a young broker has no coordinator yet
            return {}

    async def caught_up(self, *workers: Worker, again: Any = None) -> None:
        """Until everything is committed; `again` starts a worker anew when one has ended."""
        deadline = time.monotonic() + PATIENCE_S
        calm = 0
        while calm < 2:
            calm = calm + 1 if not sum((await self.lag()).values()) else 0
            if again:
                again()
            else:
                for worker in workers:
                    assert worker.code is None, worker.log.read_text()
            logs = "\n".join(worker.log.read_text()[-3000:] for worker in workers)
            assert time.monotonic() < deadline, f"{await self.lag()} {logs}"
            await asyncio.sleep(0.1)

    async def committed(self, least: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        name, total = self.name(topics.TIMELINE), len(self.story.messages)
        while total - (await self.lag())[name] < least:
            assert time.monotonic() < deadline, await self.lag()
            await asyncio.sleep(0.05)

    async def read(self, topic: Topic) -> list[Any]:
        """Everything in a topic."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await consumer.start()
        try:
            tps = [TopicPartition(self.name(topic), p) for p in range(topic.partitions)]
            ends = {tp: end for tp, end in (await consumer.end_offsets(tps)).items() if end}
            if not ends:
                return []
            consumer.assign(list(ends))
            await consumer.seek_to_beginning(*ends)
            records: list[Any] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for found in (await consumer.getmany(timeout_ms=200, max_records=20_000)).values():
                    records += found
            return records
        finally:
            await consumer.stop()

    async def shelves(self, topic: Topic, stage: Folding) -> dict[str, bytes]:
        """As the next worker would find them: what a zombie had under way when it woke does not count."""
        name, kept = self.name(topic), dict[str, bytes]()
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka)
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(name, p) for p in range(topic.partitions)])
        finally:
            await consumer.stop()
        changelogs = Changelogs(self.kafka, {name: Store(kept, stage.stale)}, lambda: None)
        await changelogs.read({(tp.topic, tp.partition): end - 1 for tp, end in ends.items()})
        return kept

    async def findings(self) -> list[Finding]:
        return [_findings.decode(record.value) for record in await self.read(topics.FINDINGS)]

    async def assert_exact(self) -> None:
        """Counters and the set of findings are what they are when nothing goes wrong."""
        story, pair = self.story, Pair()
        spent, scored = memories(
            await self.shelves(topics.SESSIONS_CHANGELOG, pair.sessions),
            await self.shelves(topics.SCOPES_CHANGELOG, pair.scopes),
        )
        assert {key: (s.nano, s.calls) for key, s in spent.items()} == {
            key: (nano, story.calls[key]) for key, nano in story.nano.items()
        }
        assert +scored == +story.scored
        said = []
        for message in messages(story.messages):
            said += pair.feed([message])
        assert {finding.id for finding in await self.findings()} == {finding.id for finding in findings(said)}


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def memories(sessions: dict[str, bytes], scopes: dict[str, bytes]) -> tuple[dict[str, Spent], Counter[tuple[str, ...]]]:
    spent: dict[str, Spent] = {}
    for key, value in sessions.items():
        kept = {} if key.startswith("\0") else msgspec.msgpack.decode(value, type=Shelf).memories
        if SpentName in kept:
            spent[key] = msgspec.msgpack.decode(kept[SpentName].value, type=Spent)
    scored: Counter[tuple[str, ...]] = Counter()
    for key, value in scopes.items():
        kept = {} if key.startswith("\0") else msgspec.msgpack.decode(value, type=Shelf).memories
        if BankName not in kept:
            continue
        held = msgspec.msgpack.decode(kept[BankName].value, type=EvaluatorFailures.memory)
        assert not held.open
        for arm in held.state.arms:
            scored[(*held.words[1:3], "passed")] += arm.passed
            scored[(*held.words[1:3], "failed")] += arm.failed
    return spent, scored


SpentName, BankName = "cost.session", "eval.failure_rate"
