"""What the emitter costs its agent, and what a minute without a broker costs: nothing but disk.

`python -m benchmarks.gating.emitter` prints the numbers as JSON.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from streams.sandbox.kafka import EmbeddedKafka
from streams.sdk import Emitter, KafkaSink
from streams.sdk.spool import Item

EVENTS = 20_000
OUTAGE_S = 60.0
RATE = 500  # events a second while the broker is away


class Cost(NamedTuple):
    cpu_us: float  # of the agent's own thread, per event
    wall_ns: list[int]  # of each, sorted; what other threads and processes take of the machine included


class Nowhere:
    """Takes everything at once: what is measured is the agent's side."""

    lasting = True

    def send(self, batch: list[Item]) -> list[Any]:
        del batch
        return []

    def close(self) -> None: ...


def measure(outage_s: float = OUTAGE_S) -> dict[str, Any]:
    """`emit_us`: CPU of the agent's thread per event; `outage`: of real Kafka, killed and started again."""
    return {**_cost(), "outage": _outage(outage_s)}


def _cost() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        emitter = Emitter("bot", "1", Nowhere(), spool=folder, buffer=200_000, heartbeat_s=0.0, hash_key=b"key")
        with emitter.session() as work:
            told = _each(lambda: work.tool_called("refund", "ok", duration_ms=12, args_hash="hmac-sha256:abc"))
            emitter.flush(30)

            def called() -> None:
                with work.tool("refund") as call:
                    call.touched("order:1")

            calls = _each(called)
        emitter.close(30)
        lost = emitter.numbers().lost
    return {**_named("emit", told), **_named("call", calls), "lost": lost}


def _named(name: str, cost: Cost) -> dict[str, float]:
    wall = cost.wall_ns
    return {
        f"{name}_us": cost.cpu_us,
        f"{name}_wall_p50_us": wall[len(wall) // 2] / 1000,
        f"{name}_wall_p99_us": wall[int(0.99 * len(wall))] / 1000,
    }


def _each(work: Any) -> Cost:
    wall, cpu = [], time.thread_time_ns()
    for _ in range(EVENTS):
        began = time.perf_counter_ns()
        work()
        wall.append(time.perf_counter_ns() - began)
    return Cost((time.thread_time_ns() - cpu) / EVENTS / 1000, sorted(wall))


def _outage(outage_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tocsin-") as name:
        folder, topic = Path(name), f"events-{uuid4().hex}"
        broker = EmbeddedKafka(folder)
        broker.start()
        try:
            asyncio.run(_create(broker.address, topic))
            emitter = Emitter("bot", "1", KafkaSink(broker.address, topic), spool=folder / "spool", heartbeat_s=0.0)
            with emitter.session() as work:
                _paced(work, 2.0)
                broker.kill()
                slowest_us = _paced(work, outage_s)
                waiting = emitter.numbers().waiting
                broker.start()
                began = time.monotonic()
                assert emitter.flush(120), "it did not arrive"
                drained_s = time.monotonic() - began
            emitter.close(30)
            numbers = emitter.numbers()
            arrived, ordered = asyncio.run(_arrived(broker.address, topic))
        finally:
            broker.stop()
    return {
        "outage_s": outage_s,
        "emitted": numbers.emitted,
        "arrived": arrived,
        "lost": numbers.emitted - arrived,
        "in_order": ordered,
        "spooled_bytes": waiting,
        "drained_s": drained_s,
        "slowest_emit_us": slowest_us,
    }


def _paced(work: Any, lasting_s: float) -> float:
    """The slowest of them, in microseconds."""
    until, slowest = time.monotonic() + lasting_s, 0
    while time.monotonic() < until:
        for _ in range(RATE // 10):
            began = time.perf_counter_ns()
            work.tool_called("refund", "ok", duration_ms=12)
            slowest = max(slowest, time.perf_counter_ns() - began)
        time.sleep(0.1)
    return slowest / 1000


async def _create(kafka: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _arrived(kafka: str, topic: str) -> tuple[int, bool]:
    """Different events, and whether the first of each came in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        end = (await consumer.end_offsets([part]))[part]
        found: dict[str, None] = {}
        while await consumer.position(part) < end:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found.update(dict.fromkeys(json.loads(message.value)["sequence"] for message in messages))
        return len(found), list(found) == sorted(found)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
