"""Intake on Apache Kafka: whatever ends it, every message is in the timeline or among the dead letters."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from intake.sample import raw
from real.taking import Timeline, Worker, generations, letters, produce, producing, timeline, values

from streams import deadletters, topics
from streams.deadletters import NoSuchLetter, NotResendable
from streams.intake.kafka import Output, Said, Unacknowledged
from streams.records import IntakeRejected, ToolCalled, Watermarks
from streams.records.deadletters import RESENT_OF
from streams.sandbox.kafka import EmbeddedKafka


@pytest.fixture
async def generation(kafka: str) -> int:
    number = next(generations)
    await topics.ensure(kafka, number)
    return number


def unusable(sent: list[bytes], positions: list[str]) -> set[str]:
    return {position for value, position in zip(sent, positions, strict=True) if value.startswith(b"unusable")}


@pytest.mark.parametrize(("step", "nth"), [("polled", 2), ("sending", 2), ("said", 1), ("committed", 2), ("ticked", 4)])
async def test_killed_at_any_step_it_loses_nothing(
    kafka: str, generation: int, tmp_path: Path, step: str, nth: int
) -> None:
    sent = values(f"kill-{step}", 1000)
    async with producing(kafka) as producer:
        positions = await produce(producer, sent[:600])
        with Worker(kafka, generation, tmp_path, at=step, nth=nth) as first:
            positions += await produce(producer, sent[600:900])
            assert await first.ended() == -signal.SIGKILL
        with Worker(kafka, generation, tmp_path) as second:
            positions += await produce(producer, sent[900:])
            found = await timeline(kafka, generation, lambda t: set(positions) <= t.positions, second.log.read_text)
            assert second.end(signal.SIGTERM) == 0
    bad = unusable(sent, positions)
    assert found.rejected & set(positions) == bad
    for position in positions:
        copies = found.at(position)
        assert all(copy == copies[0] for copy in copies), "an echo must be told by its position, and be the same event"
    assert set(await letters(kafka, bad)) == bad


async def test_copies_that_come_and_go_lose_nothing(kafka: str, generation: int, tmp_path: Path) -> None:
    sent = values("moving", 1200)
    async with producing(kafka) as producer:
        with Worker(kafka, generation, tmp_path, "0") as first, Worker(kafka, generation, tmp_path, "1") as second:
            positions = await produce(producer, sent[:400])
            await timeline(kafka, generation, lambda t: {"intake-0", "intake-1"} <= writers(t), first.log.read_text)
            positions += await produce(producer, sent[400:800])
            assert first.end() == -signal.SIGKILL
            positions += await produce(producer, sent[800:])
            found = await timeline(kafka, generation, lambda t: set(positions) <= t.positions, second.log.read_text)
    assert found.rejected & set(positions) == unusable(sent, positions)


def writers(found: Timeline) -> set[str]:
    return {each.writer for each in found.watermarks}


async def test_a_watermark_is_never_ahead_of_the_events_it_speaks_of(
    kafka: str, generation: int, tmp_path: Path
) -> None:
    sent = [value for value in values("order", 1600) if not value.startswith(b"unusable")]
    async with producing(kafka) as producer:
        positions = await produce(producer, sent)
        with Worker(kafka, generation, tmp_path, tick_s=0.005) as worker:
            found = await timeline(kafka, generation, lambda t: set(positions) <= t.positions, worker.log.read_text)
    mine = set(positions)
    for records in found.records.values():
        told: dict[str, object] = {}
        for record in records:
            if isinstance(record, Watermarks):
                told = {source: mark.newest for source, mark in record.sources.items()}
                continue
            assert record.position
            newest = told.get(record.position.source)
            assert str(record.position) not in mine or newest is None or record.time > newest


async def test_a_tick_tells_every_timeline_partition_how_far_each_source_is_read(
    kafka: str, generation: int, tmp_path: Path
) -> None:
    async with producing(kafka) as producer:
        await produce(producer, values("ticks", 40))

    def all_read(found: Timeline) -> bool:
        last = [next((r for r in reversed(p) if isinstance(r, Watermarks)), None) for p in found.records.values()]
        return len(last) == 4 and all(
            w and len(w.sources) == 4 and all(m.at_end for m in w.sources.values()) for w in last
        )

    with Worker(kafka, generation, tmp_path) as worker:
        found = await timeline(kafka, generation, all_read, worker.log.read_text)
    last = found.watermarks[-1]
    assert last.partitions == {"agent.events/1": 4}
    assert set(last.sources) == {f"agent.events/1/{n}" for n in range(4)}
    assert all(mark.newest is not None and mark.silent_s >= 0 for mark in last.sources.values())
    assert (last.lateness_s, last.idle_s) == (30.0, 60.0)


async def test_a_repaired_message_comes_back(kafka: str, generation: int, tmp_path: Path) -> None:
    broken = raw(id="broken", time="yesterday", data={"retry_reason": "password=hunter2"})
    async with producing(kafka) as producer:
        [position] = await produce(producer, [broken])
    with Worker(kafka, generation, tmp_path) as worker:
        letter = (await letters(kafka, {position}))[position]
        assert (letter.reason, letter.agent, letter.key) == ("invalid", "checkout-assistant", b"k0")
        assert letter.errors == ("/time: must be a date and time with zone as in 2026-01-05T09:00:00Z",)
        assert letter.value is not None
        assert b"hunter2" not in letter.value
        [found] = [f for f in await deadletters.listed(kafka, reason="invalid") if str(f.letter.position) == position]
        assert await deadletters.shown(kafka, found.position) == found
        now = raw(id="repaired")
        again = await deadletters.resend(kafka, found.position, now)
        topic, partition, offset = again.split("/")
        want = f"{topic}/1/{partition}/{offset}"
        taken = await timeline(kafka, generation, lambda t: want in t.positions, worker.log.read_text)
    [back] = taken.at(want)
    assert isinstance(back, ToolCalled)
    assert back.id == "repaired"
    assert await headers(kafka, topic, int(partition), int(offset)) == {RESENT_OF: position.encode()}


async def headers(kafka: str, topic: str, partition: int, offset: int) -> dict[str, bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        tp = TopicPartition(topic, partition)
        consumer.assign([tp])
        consumer.seek(tp, offset)
        message = await consumer.getone()
        assert message.key == b"k0"
        return dict(message.headers)
    finally:
        await consumer.stop()


async def test_dead_letters_are_listed_by_reason_and_agent_newest_first(
    kafka: str, generation: int, tmp_path: Path
) -> None:
    async with producing(kafka) as producer:
        bad = [b"1", raw(time="1999-01-01T00:00:00Z"), None, b"[" * 60_000, b"x" * 10_000_000]
        positions = await produce(producer, bad)
    with Worker(kafka, generation, tmp_path):
        found = await letters(kafka, set(positions))
    reasons = [found[position].reason for position in positions]
    assert reasons == ["not_an_object", "time_out_of_range", "empty", "too_deep", "too_large"]
    large = found[positions[-1]]
    assert (large.truncated, len(large.value or b"")) == (10_000_000, 64 * 1024)
    assert len(large.hash or "") == 32
    assert len(await deadletters.listed(kafka, limit=2)) == 2
    only = await deadletters.listed(kafka, reason="time_out_of_range", agent="checkout-assistant")
    assert {each.letter.reason for each in only} == {"time_out_of_range"}
    assert await deadletters.listed(kafka, reason="time_out_of_range", agent="nobody") == []
    [cut] = [each for each in await deadletters.listed(kafka, reason="too_large") if each.letter == large]
    with pytest.raises(NotResendable, match="only the beginning was kept"):
        await deadletters.resend(kafka, cut.position)


@pytest.mark.parametrize("position", ["0/999999999", "x", "", "7/0"])
async def test_a_position_without_a_dead_letter_is_said_to_be_one(kafka: str, position: str) -> None:
    await topics.ensure(kafka)
    with pytest.raises(NoSuchLetter):
        await deadletters.shown(kafka, position)


async def test_every_compression_that_producers_use_is_read(kafka: str, generation: int, tmp_path: Path) -> None:
    positions: list[str] = []
    for kind in ("gzip", "snappy", "lz4", "zstd"):
        async with producing(kafka, compression_type=kind) as producer:
            positions += await produce(producer, values(kind, 16))
    with Worker(kafka, generation, tmp_path) as worker:
        await timeline(kafka, generation, lambda t: set(positions) <= t.positions, worker.log.read_text)


async def test_what_a_transaction_took_back_is_not_read(kafka: str, generation: int, tmp_path: Path) -> None:
    async with producing(kafka, transactional_id=f"tx-{generation}") as producer:
        await producer.begin_transaction()
        aborted = await produce(producer, values("aborted", 8))
        await producer.abort_transaction()
        async with producer.transaction():
            kept = await produce(producer, values("kept", 8))
    with Worker(kafka, generation, tmp_path) as worker:
        found = await timeline(kafka, generation, lambda t: set(kept) <= t.positions, worker.log.read_text)
    assert not set(aborted) & found.positions


async def test_a_position_beyond_the_end_stops_intake_with_an_explanation(
    kafka: str, generation: int, tmp_path: Path
) -> None:
    async with producing(kafka) as producer:
        await produce(producer, values("beyond", 8))
    tp = TopicPartition(topics.EVENTS.name, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=f"tocsin.intake.g{generation}", enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([tp])
    await consumer.commit({tp: 10**9})
    await consumer.stop()
    with Worker(kafka, generation, tmp_path) as worker:
        assert await worker.ended() == 1
        assert "set TOCSIN_EPOCH to 2" in worker.log.read_text()
    with Worker(kafka, generation, tmp_path, epoch=2) as worker:
        found = await timeline(kafka, generation, lambda t: len(t.events) > 7, worker.log.read_text)
    assert all(each.position and each.position.source.startswith("agent.events/2/") for each in found.events)


@pytest.fixture(scope="module")
def own_broker(broker: EmbeddedKafka) -> Iterator[EmbeddedKafka]:
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder, EmbeddedKafka(Path(folder)) as kafka:
        yield kafka


async def test_on_an_empty_topic_every_source_is_at_its_end_and_has_no_newest_time(
    own_broker: EmbeddedKafka, tmp_path: Path
) -> None:
    await topics.ensure(own_broker.address)
    with Worker(own_broker.address, 1, tmp_path) as worker:
        found = await timeline(own_broker.address, 1, lambda t: len(t.watermarks) > 8, worker.log.read_text)
    marks = list(chain.from_iterable(each.sources.values() for each in found.watermarks[-4:]))
    assert marks
    assert all(mark.newest is None and mark.at_end for mark in marks)


async def test_what_kafka_does_not_acknowledge_in_time_ends_the_role(own_broker: EmbeddedKafka) -> None:
    await topics.ensure(own_broker.address)
    output = Output(own_broker.address, ack_s=2.0)
    await output.start()
    one = Said(topics.TIMELINE.name, 0, None, b"x", [])
    await output.say([one])
    await output.acknowledged()
    os.kill(own_broker.pid, signal.SIGSTOP)
    try:
        await output.say([one])
        with pytest.raises(Unacknowledged):
            await output.acknowledged()
        await output.stop()
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)


async def test_a_rejection_is_told_in_the_timeline(kafka: str, generation: int, tmp_path: Path) -> None:
    async with producing(kafka) as producer:
        [position] = await produce(producer, [raw(data={"duration_ms": -1})])
    with Worker(kafka, generation, tmp_path) as worker:
        found = await timeline(kafka, generation, lambda t: position in t.positions, worker.log.read_text)
    [said] = found.at(position)
    assert isinstance(said, IntakeRejected)
    assert (said.data.reason, said.data.pointer) == ("invalid", "/data/duration_ms")
    assert msgspec.to_builtins(said.data.ctx)["session_id"] == "intake:checkout-assistant"
