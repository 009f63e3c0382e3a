"""The emitter on a real broker that dies: nothing that was out of the agent's memory is lost, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

from streams.sandbox.kafka import EmbeddedKafka
from streams.sdk import Emitter, KafkaSink

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "tests" / "sdk" / "agent_kafka.py"


async def create(kafka: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 4, 1)])
    finally:
        await admin.close()


def _is_event(value: bytes | None) -> bool:
    """The broker is shared: other tests send what nobody can read."""
    try:
        return isinstance(json.loads(value or b""), dict)
    except ValueError:
        return False


async def read(kafka: str, topic: str) -> list[dict]:
    """All that is there, each key's in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        found = []
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                found += [json.loads(message.value) for message in messages if _is_event(message.value)]
        return found
    finally:
        await consumer.stop()


@asynccontextmanager
async def agent(kafka: str, topic: str, folder: Path, session: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}"}
    told = (sys.executable, str(AGENT), kafka, topic, str(folder), session)
    process = await asyncio.create_subprocess_exec(
        *told, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=environ
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def number(process: asyncio.subprocess.Process, at_least: int = 0) -> int:
    """How many events are out of its memory, once it says so."""
    assert process.stdout is not None
    last = 0
    while last <= at_least:
        last = int(await asyncio.wait_for(process.stdout.readline(), 30))
    return last


async def test_broker_and_agent_die_and_every_event_arrives_in_its_order(tmp_path: Path) -> None:
    topic, session, spool = f"events-{uuid4().hex}", "s1", tmp_path / "spool"
    broker = EmbeddedKafka(tmp_path / "kafka")
    await asyncio.to_thread(broker.start)
    try:
        await create(broker.address, topic)
        async with agent(broker.address, topic, spool, session) as process:
            before = await number(process)
            await asyncio.to_thread(broker.kill)
            spooled = await number(process, before + 1000)
        await asyncio.to_thread(broker.start)
        emitter = Emitter("bot", "1", KafkaSink(broker.address, topic), spool=spool, heartbeat_s=0.0)
        with emitter.session(session_id="s2"):
            pass
        assert await asyncio.to_thread(emitter.close, 60)
        found = await read(broker.address, topic)
    finally:
        await asyncio.to_thread(broker.stop)
    mine = [event for event in found if event["data"]["ctx"]["session_id"] == session]
    order = list(dict.fromkeys(event["sequence"] for event in mine))  # ids tell which of them are echoes
    assert order == [f"{n:012d}" for n in range(1, len(order) + 1)]
    assert len(order) >= spooled
    assert len({event["id"] for event in mine}) == len(order)
    assert [event["type"] for event in found if event["data"]["ctx"]["session_id"] == "s2"] == [
        "agent.session.started.v1",
        "agent.session.ended.v1",
    ]
    assert not list(spool.iterdir())
