"""CPU per event of intake against a bare aiokafka + msgspec loop over the same topic, in one run: prints the ratio.

    python benchmarks/intake.py [--events 200000] [--rounds 3]
    python benchmarks/intake.py --prices    # what it costs to price a model call that names no cost, without Kafka

Both read four partitions of ~450-byte events from the embedded Kafka, each in a process of its own with uvloop. The bare
loop decodes and throws away. Intake decodes, checks times, looks for secrets, re-encodes, re-batches, writes the timeline
compressed, awaits every acknowledgement, commits and ticks. CPU is user + system of the reading process alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from streams import policy, topics
from streams.intake.batches import Batcher
from streams.intake.cloudevents import Reader
from streams.intake.examples import example
from streams.intake.metrics import Metrics
from streams.intake.redact import Redactor
from streams.intake.worker import Intake
from streams.pricebook import BEGINNING, Book, Model, Price
from streams.prices import Prices
from streams.records import AgentEvent
from streams.sandbox.kafka import EmbeddedKafka
from streams.settings import Settings

MIX = ["agent.llm.called.v1"] * 4 + ["agent.tool.called.v1"] * 5 + ["agent.heartbeat.v1"]
SESSIONS = 400


def values(many: int) -> list[bytes]:
    """Four model calls, five tool calls, of which one fails with a text, and a heartbeat; 400 sessions."""
    now, found = time.time(), []
    for n in range(many):
        event = example(MIX[n % len(MIX)])
        at = now - 60 + n * 60 / many
        event["id"] = f"0197f3a2-{n:08x}"
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03}Z"
        event["data"]["ctx"]["session_id"] = f"s-{n % SESSIONS:08x}"
        if event["data"].get("status") == "error" and n % len(MIX) != 4:
            event["data"]["status"] = "ok"
            del event["data"]["error"]
        found.append(msgspec.json.encode(event))
    return found


async def fill(kafka: str, many: int) -> int:
    """Answers the mean size of an event."""
    await topics.ensure(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_batch_size=512 * 1024)
    await producer.start()
    await producer.partitions_for(topics.EVENTS.name)
    sent, size, pending = values(many), 0, []
    for start in range(0, many, 500):
        batch = producer.create_batch()
        for value in sent[start : start + 500]:
            batch.append(key=None, value=value, timestamp=None)
            size += len(value)
        partition = start // 500 % 4
        pending.append(await producer.send_batch(batch, topics.EVENTS.name, partition=partition))
    await asyncio.gather(*pending)
    await producer.stop()
    return size // many


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def bare(kafka: str, many: int) -> float:
    decoder = msgspec.json.Decoder(AgentEvent)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    consumer.assign([TopicPartition(topics.EVENTS.name, n) for n in range(4)])
    begun, read = cpu(), 0
    while read < many:
        for messages in (await consumer.getmany(timeout_ms=200, max_records=2000)).values():
            for message in messages:
                decoder.decode(message.value)
            read += len(messages)
    used = cpu() - begun
    await consumer.stop()
    return used


async def intake(kafka: str, many: int, generation: int) -> float:
    await topics.ensure(kafka, generation)
    registry = CollectorRegistry()
    role = Intake(Settings(kafka=kafka, generation=generation), policy.load(), Metrics(registry))
    await role.start()
    begun = cpu()
    while (registry.get_sample_value("tocsin_intake_messages_total") or 0) < many:
        await role.turn()
    used = cpu() - begun
    await role.stop()
    return used


def measured(what: str, kafka: str, many: int, generation: int = 0) -> float:
    """Microseconds of CPU per event, in a process of its own."""
    command = [sys.executable, __file__, "--child", what, "--kafka", kafka, "--events", str(many)]
    answer = subprocess.run([*command, "--generation", str(generation)], stdout=subprocess.PIPE, check=True)
    return float(answer.stdout) / many * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("bare", "intake"))
    parser.add_argument("--kafka")
    parser.add_argument("--generation", type=int, default=0)
    parser.add_argument("--prices", action="store_true")
    given = parser.parse_args()
    if given.prices:
        pricing(20_000, 21)
    elif given.child == "bare":
        print(uvloop.run(bare(given.kafka, given.events)))
    elif given.child == "intake":
        print(uvloop.run(intake(given.kafka, given.events, given.generation)))
    else:
        compare(given.events, given.rounds)


class Message(NamedTuple):
    offset: int
    value: bytes
    key: bytes | None
    timestamp: int


def pricing(many: int, rounds: int) -> None:
    """The hot loop with a price book less the same without one, per model call: named costs are left alone."""
    book = Book({"gpt-5-mini": Model((Price(since=BEGINNING, input=Decimal("0.25"), output=Decimal(2)),))})
    named = values(many)
    kinds = {"with a cost of its own": named, "without a cost": [unpriced(value) for value in named]}
    for what, sent in kinds.items():
        messages = [Message(n, value, None, int(time.time() * 1000)) for n, value in enumerate(sent)]
        took: dict[bool, list[float]] = {True: [], False: []}
        for n in range(2 * rounds):
            batcher = Batcher(Reader(), Redactor(), 4, Prices(book) if n % 2 else None)
            begun = time.process_time()
            for start in range(0, many, 2000):
                batcher.take("agent.events/1/0", messages[start : start + 2000])
                batcher.done()
            took[bool(n % 2)].append(time.process_time() - begun)
        more = (min(took[True]) - min(took[False])) / many * 1e6
        print(f"a model call {what}: {more * len(MIX) / 4:.2f} µs more with a price book")


def unpriced(value: bytes) -> bytes:
    event = msgspec.json.decode(value)
    event["data"].pop("cost", None)
    return msgspec.json.encode(event)


def compare(many: int, rounds: int) -> None:
    for name in [name for name in os.environ if name.lower() in {"http_proxy", "https_proxy", "all_proxy"}]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder, EmbeddedKafka(Path(folder)) as kafka:
        size = uvloop.run(fill(kafka.address, many))
        print(f"{many} events of {size} bytes on average, 4 partitions, {rounds} rounds; CPU per event in µs")
        ratios = []
        for n in range(rounds):
            floor = measured("bare", kafka.address, many)
            ours = measured("intake", kafka.address, many, n + 2)
            ratios.append(ours / floor)
            print(f"  bare loop {floor:.2f}   intake {ours:.2f}   ratio {ours / floor:.2f}", flush=True)
        print(f"median ratio {statistics.median(ratios):.2f} (target at most 3, goal 2)")


if __name__ == "__main__":
    main()
