"""Detect alone, on a real broker: CPU per event, recovery and memory with many open sessions, latency to the finding.

    python benchmarks/detect.py [--sessions 100000] [--events 100000] [--rate 2000]

One JSON line per measurement. The timeline is written here as intake would write it; detect runs as a process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams import topics
from streams.records import timeline
from streams.records.timeline import partition_of
from streams.sandbox.kafka import EmbeddedKafka

PARTITIONS = topics.TIMELINE.partitions
POLICY = '[detectors."eval.critical"]\ncritical = ["safety"]\n'
BATCH = 100
TURN_S = 0.01
ACTIVE = 1000
GROUP = "tocsin-detect-g1"


def line(kind: str, session: str, name: str, data: dict[str, Any]) -> bytes:
    ctx = {
        "session_id": session,
        "run_id": session,
        "agent": {"id": f"agent-{partition_of(session, 20)}", "version": "7"},
    }
    envelope = {"specversion": "1.0", "id": name, "source": "/bench", "time": datetime.now(UTC).isoformat()}
    return msgspec.json.encode({"type": kind, **envelope, "data": {"ctx": ctx, **data}})


def ordinary(n: int, sessions: int) -> tuple[str, bytes]:
    session = f"s{n if n < sessions else random.randrange(sessions)}"
    call = {"call_id": f"c{n}", "tool": {"name": "search"}, "status": "ok", "duration_ms": 12, "args_hash": f"b2:{n}"}
    return session, line("agent.tool.called.v1", session, f"e{n}", call)


class Writer:
    """Writes the timeline as intake does: by partition, up to 100 events in a message."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer, self.offset = producer, 0
        self.lines: dict[int, list[bytes]] = {p: [] for p in range(PARTITIONS)}
        self.at: dict[int, list[tuple[str, int]]] = {p: [] for p in range(PARTITIONS)}
        self.ready: list[tuple[int, bytes, list[tuple[str, bytes]]]] = []

    def add(self, session: str, value: bytes) -> None:
        partition = partition_of(session, PARTITIONS)
        self.lines[partition].append(value)
        self.at[partition].append((f"agent.events/1/{partition}", self.offset))
        self.offset += 1
        if len(self.lines[partition]) >= BATCH:
            self.close(partition)

    def close(self, partition: int) -> None:
        if self.lines[partition]:
            self.ready.append((partition, *timeline.pack(self.lines[partition], self.at[partition])))
            self.lines[partition], self.at[partition] = [], []

    async def flush(self) -> None:
        for partition in range(PARTITIONS):
            self.close(partition)
        ready, self.ready = self.ready, []
        for partition, value, headers in ready:
            await self.producer.send(topics.TIMELINE.name, value, partition=partition, headers=headers)


class Role:
    """Detect, as `tocsin run detect` runs it."""

    def __init__(self, kafka: str, folder: Path, port: int) -> None:
        policy = folder / "policy.toml"
        policy.write_text(POLICY, encoding="utf-8")
        given = {"KAFKA": kafka, "DATADIR": str(folder / "data"), "POLICY": str(policy), "METRICS_PORT": str(port)}
        environment = {**os.environ, **{f"TOCSIN_{name}": value for name, value in given.items()}}
        self.port, self.began = port, time.monotonic()
        self.process = subprocess.Popen([sys.executable, "-m", "streams", "run", "detect"], env=environment)
        self.usage = psutil.Process(self.process.pid)

    def cpu_s(self) -> float:
        times = self.usage.cpu_times()
        return times.user + times.system

    def rss_mb(self) -> float:
        return round(self.usage.memory_info().rss / 2**20, 1)

    def metric(self, name: str) -> float | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        values = [float(row.rpartition(" ")[2]) for row in text.splitlines() if row.startswith(name)]
        return sum(values) if values else None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


async def lag(kafka: str) -> int:
    admin, consumer = AIOKafkaAdminClient(bootstrap_servers=kafka), AIOKafkaConsumer(bootstrap_servers=kafka)
    await admin.start()
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(topics.TIMELINE.name, p) for p in range(PARTITIONS)])
        done = await admin.list_consumer_group_offsets(GROUP)
        return sum(end - max(done[tp].offset if tp in done else 0, 0) for tp, end in ends.items())
    except KafkaError:
        return 1
    finally:
        await consumer.stop()
        await admin.close()


async def caught_up(kafka: str) -> None:
    while await lag(kafka):
        await asyncio.sleep(0.1)


async def through(role: Role, writer: Writer, kafka: str, numbers: range, active: int) -> dict[str, float]:
    """CPU per event while a backlog is worked off, spread over `active` of the sessions."""
    await caught_up(kafka)
    for n in numbers:
        writer.add(*ordinary(n, active))
    before, began = role.cpu_s(), time.monotonic()
    await writer.flush()
    await caught_up(kafka)
    spent, took = role.cpu_s() - before, time.monotonic() - began
    return {"us_cpu_per_event": round(spent / len(numbers) * 1e6, 1), "events_per_s": round(len(numbers) / took)}


async def latencies(writer: Writer, kafka: str, rate: int, seconds: float, first: int) -> dict[str, Any]:
    """From writing the timeline to reading the finding, with ordinary events around it; flushed every 10 ms."""
    consumer = AIOKafkaConsumer(topics.FINDINGS.name, bootstrap_servers=kafka, fetch_max_wait_ms=5)
    await consumer.start()
    sent: dict[str, float] = {}
    taken: list[float] = []
    began, n, turn = time.monotonic(), 0, 0
    while (elapsed := time.monotonic() - began) < seconds + 2:
        while elapsed < seconds and n < elapsed * rate:
            writer.add(*ordinary(first + n, first))
            n += 1
        if elapsed < seconds and turn % 10 == 0:
            session = f"probe-{first + turn}"
            scored = {"evaluator": {"name": "safety"}, "status": "ok", "score": 0.0, "passed": False}
            sent[session] = time.monotonic()
            writer.add(session, line("agent.eval.scored.v1", session, session, scored))
        await writer.flush()
        turn += 1
        for found in (await consumer.getmany(timeout_ms=int(TURN_S * 1000))).values():
            taken += [time.monotonic() - sent[key] for record in found if (key := key_of(record.value)) in sent]
    await consumer.stop()
    taken.sort()
    picked = {f"p{p}_ms": round(taken[min(len(taken) - 1, len(taken) * p // 100)] * 1000, 1) for p in (50, 90, 99)}
    return {"rate": rate, "probes": len(sent), "found": len(taken), **picked}


def key_of(value: bytes) -> str:
    return str(json.loads(value)["about"].get("session"))


async def measure(kafka: str, folder: Path, given: argparse.Namespace) -> None:
    await topics.ensure(kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True)
    await producer.start()
    writer, role = Writer(producer), Role(kafka, folder, given.port)
    n = given.sessions
    tell("new sessions", {"n": n, **await through(role, writer, kafka, range(n), n), "rss_mb": role.rss_mb()})
    again = await through(role, writer, kafka, range(n, n + given.events), n)
    tell("all of them active", {"n": given.events, "open": n, **again, "rss_mb": role.rss_mb()})
    some = await through(role, writer, kafka, range(n + given.events, n + 2 * given.events), ACTIVE)
    tell(f"{ACTIVE} of them active", {"n": given.events, "open": n, **some, "rss_mb": role.rss_mb()})
    role.end()
    role = Role(kafka, folder, given.port)
    while not (took := role.metric("tocsin_detect_recovery_seconds ")):
        await asyncio.sleep(0.05)
    writer.add(*ordinary(n + 2 * given.events, n))
    await writer.flush()
    await caught_up(kafka)
    ready_s = round(time.monotonic() - role.began, 1)
    tell(
        "recovery",
        {"shelves": n, "read_s": round(took, 2), "start_to_first_commit_s": ready_s, "rss_mb": role.rss_mb()},
    )
    before = role.cpu_s()
    timed = await latencies(writer, kafka, given.rate, given.seconds, n + 2 * given.events + 1)
    tell("timeline to finding", {**timed, "cpu_share": round((role.cpu_s() - before) / (given.seconds + 2), 2)})
    before = role.cpu_s()
    await asyncio.sleep(5)
    tell("idle", {"cpu_share": round((role.cpu_s() - before) / 5, 3)})
    role.end()
    await producer.stop()


def tell(what: str, numbers: dict[str, Any]) -> None:
    print(json.dumps({"what": what, **numbers}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=19091)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder)) as kafka:
        asyncio.run(measure(kafka.address, Path(folder), given))


if __name__ == "__main__":
    main()
