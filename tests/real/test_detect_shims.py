"""Each correction of Faust on a real broker: what would be wrong without it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import builders as b
import pytest
from aiokafka import AIOKafkaProducer
from detect.story import Story
from detect.test_stages import of_events
from prometheus_client import CollectorRegistry, generate_latest
from real.detecting import PATIENCE_S, Timeline

from streams import policy, topics
from streams.detect.engine.app import Engine
from streams.detect.engine.changelog import Changelogs, Store
from streams.detect.engine.limits import Limits
from streams.detect.engine.metrics import Metrics
from streams.detect.engine.remember import Sends
from streams.detect.engine.shims import Consumer, Transport
from streams.detect.shelf import Live, behind
from streams.detect.worker import engine
from streams.settings import Settings
from streams.topics import SESSIONS_CHANGELOG, TIMELINE, named


@pytest.fixture
def generation() -> int:
    return random.randrange(2, 2**31)


class Running:
    """The engine inside this test's loop."""

    def __init__(self, made: Engine, registry: CollectorRegistry) -> None:
        self.engine, self.registry = made, registry
        self.stop = asyncio.Event()
        self.turns = 0
        self.task = asyncio.ensure_future(made.run(self.stop))

    @property
    def app(self) -> Any:
        return self.engine.app

    async def ready(self) -> None:
        await self.until(lambda: bool(self.engine.gaps.next))

    async def until(self, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline
            if self.task.done():
                self.task.result()
            await asyncio.sleep(0.05)


@pytest.fixture
async def running(kafka: str, generation: int, datadir: Path) -> AsyncIterator[Running]:
    await topics.ensure(kafka, generation)
    registry = CollectorRegistry()
    settings = Settings(kafka=kafka, generation=generation, datadir=datadir)
    turns: list[float] = []
    limits = Limits(session_s=6, heartbeat_s=1, commit_s=0.2)
    made = engine(settings, policy.load(), limits, Metrics(registry), lambda: turns.append(time.monotonic()))
    running = Running(made, registry)
    running.turned = turns  # type: ignore[attr-defined]
    try:
        await running.ready()
        yield running
    finally:
        running.stop.set()
        await running.task


async def test_fetches_wait_for_milliseconds_and_not_for_seconds(running: Running) -> None:
    consumer = running.app.consumer._thread._consumer
    assert consumer._fetcher._fetch_max_wait_ms == Limits().fetch_wait_ms


async def test_what_is_said_twice_on_the_way_arrives_once(running: Running) -> None:
    """Without sequence numbers a retry after a lost answer doubles a finding."""
    producer = running.app.producer._producer
    assert producer._txn_manager is not None
    assert producer._sender._acks == -1


async def test_back_pressure_does_not_stall_for_a_second_at_a_time(running: Running) -> None:
    consumer = running.app.consumer
    tps = {tp for tp in consumer.assignment() if tp.topic == running.engine.address.timeline}
    consumer.pause_partitions(consumer.assignment())
    async with asyncio.timeout(5):
        for _ in range(20):
            assert await consumer._wait_next_records(1.0) == ({}, set())
    consumer.resume_partitions(tps)


async def test_a_healthy_engine_is_not_reported_as_stuck(
    kafka: str, generation: int, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """No stream reads the changelogs, and Faust would say so every 2.4 s from the fifth minute on."""
    consumer, later = running.app.consumer, time.monotonic() + 3600
    changelogs = [tp for tp in consumer.assignment() if tp.topic not in running.engine.groups]
    await tell(kafka, generation)
    await running.until(lambda: any(consumer.highwater(tp) for tp in changelogs))

    def reported() -> str:
        caplog.clear()
        for tp in changelogs:
            consumer.verify_event_path(later, tp)
        return caplog.text

    assert "has not started processing" not in reported()
    running.app.transport.limits = Limits(without=frozenset({"own watch"}))
    assert "has not started processing" in reported()


class Looking(Consumer):
    """A consumer whose fetches are only looked at."""

    def __init__(self, *active: str) -> None:
        self.transport = Transport
        self.flow_active = True
        self._active_partitions, self.given = set(active), []

    def _get_active_partitions(self) -> set[str]:
        return self._active_partitions

    async def _getmany(self, active_partitions: set[str], timeout: float) -> dict[str, Any]:  # noqa: ARG002
        self.given.append(active_partitions)
        return {}


async def test_the_fetcher_gets_a_set_of_its_own() -> None:
    """Faust empties the very set while the fetch is on its way, and the fetcher then fetches everything."""
    consumer = Looking("a", "b")
    await consumer._wait_next_records(1.0)
    consumer._active_partitions.clear()
    assert consumer.given == [{"a", "b"}]


async def test_doing_nothing_is_progress(running: Running) -> None:
    turned = running.turned  # type: ignore[attr-defined]
    before = len(turned)
    await running.until(lambda: len(turned) > before + 2)


async def test_it_counts_what_it_does(kafka: str, generation: int, running: Running) -> None:
    timeline = Timeline(kafka, generation, Story(seed=5, events=2000, sessions=50).tell())
    await timeline.write()
    story = timeline.story
    await running.until(lambda: f'tocsin_detect_records_total{{stage="timeline"}} {story.written}.0' in text(running))
    assert f'tocsin_detect_echoes_total{{stage="timeline"}} {story.written - story.events}.0' in text(running)
    assert 'tocsin_detect_shelves{stage="timeline"}' in text(running)
    assert 'tocsin_detect_clock_seconds{partition="0",stage="timeline"}' in text(running)


def text(running: Running) -> str:
    return generate_latest(running.registry).decode()


async def tell(kafka: str, generation: int) -> None:
    """One message that makes a finding."""
    message = of_events(*(b.tool_failed(n) for n in range(3)))
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(named(TIMELINE, generation), message.value, partition=0, headers=list(message.headers))
    await producer.stop()


async def test_a_finding_arrives(kafka: str, generation: int, running: Running) -> None:
    await tell(kafka, generation)
    timeline = Timeline(kafka, generation, Story())
    deadline = time.monotonic() + PATIENCE_S
    while not (found := await timeline.findings()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert [one.detector for one in found] == ["tool.repeated_error"]
    assert running.engine.gaps.next[named(TIMELINE, generation), 0] == 1


# -- the changelog ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def sends(kafka: str, generation: int) -> AsyncIterator[Sends]:
    await topics.ensure(kafka, generation)
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, enable_idempotence=True, max_batch_size=128 * 1024, max_request_size=2 * 1024 * 1024
    )
    await producer.start()
    yield Sends(producer, {"facts": "", "findings": "", "exposure": "", "deadletters": ""}, 10.0)
    await producer.stop()


def shelf(offset: int, partition: int = 0) -> bytes:
    live = Live(partition)
    live.echo("agent.events/1/0", offset, f"e{offset}")
    return live.encode()


async def read(kafka: str, generation: int, last: dict[int, int]) -> dict[str, bytes]:
    name = named(SESSIONS_CHANGELOG, generation)
    store = Store({}, lambda _, value, other: behind(value, other))
    await Changelogs(kafka, {name: store}, lambda: None).read({(name, p): offset for p, offset in last.items()})
    return store.data


async def test_shelves_of_any_size_and_number_come_back(kafka: str, generation: int, sends: Sends) -> None:
    """More than fit into a batch, some larger than a batch, some forgotten."""
    name = named(SESSIONS_CHANGELOG, generation)
    items: list[tuple[str, bytes | None]] = [(f"s{n}", shelf(n) * (400 if n == 7 else 1)) for n in range(5000)]
    items[7] = ("s7", shelf(7) + b"\xc0" * 700_000)
    await sends.remember(name, {0: items, 3: [("clock", shelf(1, 3))]})
    await sends.remember(name, {0: [("s9", None)]})
    kept = await read(kafka, generation, {0: 5000, 1: -1, 2: -1, 3: 0})
    assert kept.keys() == {key for key, _ in items if key != "s9"} | {"clock"}
    assert kept["s7"] == items[7][1]


async def test_what_a_zombie_wrote_later_is_not_believed(kafka: str, generation: int, sends: Sends) -> None:
    name = named(SESSIONS_CHANGELOG, generation)
    for offset in (1, 2, 3, 2):
        await sends.remember(name, {0: [("s1", shelf(offset))]})
    assert (await read(kafka, generation, {0: 3}))["s1"] == shelf(3)


async def test_only_what_was_there_at_the_assignment_is_read(kafka: str, generation: int, sends: Sends) -> None:
    name = named(SESSIONS_CHANGELOG, generation)
    await sends.remember(name, {0: [("s1", shelf(1))], 1: [("other", shelf(1, 1))]})
    assert set(await read(kafka, generation, {0: 0})) == {"s1"}
    assert await read(kafka, generation, {0: -1}) == {}
