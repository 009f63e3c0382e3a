"""Event time reaches the book: closed minutes are read beside the findings, and a quiet trouble is told of."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import builders as b
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from respond.desk import found, read_all, running, said, settling, topics
from respond.outside import Killed, rows, until

from streams.records import Advanced, Incident
from streams.records.deadletters import unpack
from streams.records.timeline import encode
from streams.respond.clock import Agent
from streams.respond.minutes import advanced, condensed
from streams.respond.settling import Names
from streams.settle import Publisher, Read

NOW = datetime(2026, 9, 1, 15, tzinfo=UTC)


def read(value: bytes | None, offset: int = 0, part: str = "exposure/0") -> Read:
    return Read(part, offset, b"billing@7@prod", value, 1)


def test_a_batch_comes_to_one_record_for_each_agent_and_environment_and_one_for_all() -> None:
    minutes = [b.exposure(60 * n, release=str(n // 10)) for n in range(20)]
    minutes += [b.exposure(0, environment="staging"), b.exposure(3600, agent="refunds", release="")]
    assert advanced(minutes, 60, NOW) == [
        Advanced("billing", b.at(1200), {"0": b.at(0), "1": b.at(600)}, environment="prod", seen=NOW),
        Advanced("billing", b.at(60), {"7": b.at(0)}, environment="staging", seen=NOW),
        Advanced("refunds", b.at(3660), environment="prod", seen=NOW),
        Advanced("", b.at(3660), seen=NOW),
    ]


def test_a_release_is_known_by_the_first_minute_in_whatever_order_they_come() -> None:
    (one, _) = advanced([b.exposure(120), b.exposure(0), b.exposure(60)], 60, NOW)
    assert (one.at, one.releases) == (b.at(180), {"7": b.at(0)})


def test_what_the_newest_session_ran_with_is_what_an_agent_runs_with() -> None:
    minutes = [b.exposure(120, config={"prompt": "p2"}), b.exposure(0, config={"prompt": "p1", "model": "m"})]
    for order in (minutes, minutes[::-1]):
        assert advanced(order, 60, NOW)[0].config == {"prompt": "p2", "model": "m"}


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff", b"{}", b'{"record":"exposure"}', encode(b.exposure(datetime.max.replace(tzinfo=UTC)))],
    ids=["none", "empty", "bytes", "object", "fields", "the end of time"],
)
def test_what_cannot_be_read_is_a_dead_letter_and_its_place_is_moved_past(value: bytes | None) -> None:
    refused, moved = condensed([read(value, 7)], 3, 60, NOW)
    assert refused.letter is not None and refused.letter.reason == "undecodable"
    assert str(refused.letter.position) == "exposure/3/0/7"
    assert (moved.record, moved.letter, moved.read and moved.read.offset) == (None, None, 7)


def test_nothing_read_says_nothing() -> None:
    assert condensed([], 1, 60, NOW) == []


def test_a_name_with_a_zero_byte_in_it_can_be_stored() -> None:
    (record, *_) = condensed([read(encode(b.exposure(agent="a\0b")))], 1, 60, NOW)
    assert record.record.agent == "a\N{REPLACEMENT CHARACTER}b"


async def own_topics(kafka: str) -> Names:
    names = (await topics(kafka))._replace(exposure=f"exposure-{uuid4().hex[:12]}")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(names.exposure, 1, 1)])
    finally:
        await admin.close()
    return names


async def exposed(kafka: str, names: Names, *records: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        values = [one if isinstance(one, bytes) else encode(one) for one in records]
        await asyncio.gather(*[await producer.send(names.exposure, value, key=b"x") for value in values])
    finally:
        await producer.stop()


async def stands_at(uri: str, names: Names, offset: int) -> bool:
    read = await rows(uri, "SELECT next FROM positions WHERE part = %s", f"{names.exposure}/0")
    return read == [(offset,)]


async def stage(uri: str) -> str:
    return str((await rows(uri, "SELECT stage FROM incidents"))[0][0])


async def memory(uri: str) -> Agent:
    raw = (await rows(uri, "SELECT memory FROM memories WHERE decider = 'clock' AND key = 'billing'"))[0][0]
    return msgspec.msgpack.decode(raw, type=Agent)


async def test_an_agent_that_works_on_without_its_trouble_has_it_behind(book: str, kafka: str) -> None:
    names = await own_topics(kafka)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await found(kafka, names, [b.finding(long_ago, id="f1")])
    await exposed(kafka, names, b"not a minute", *(b.exposure(60 * n) for n in range(5)))
    loop = settling(book, kafka, names)
    async with running(loop), running(Publisher(book, kafka)):
        await until(lambda: read_all(book, names, 1), what="the finding")
        await until(lambda: stands_at(book, names, 6), what="the minutes")
        assert await stage(book) == "open"
        # Who was heard of just now is not quiet, whatever event time says: it is asked again five minutes later.
        await exposed(kafka, names, b.exposure(long_ago + timedelta(minutes=40)))
        await until(lambda: stands_at(book, names, 7), what="the minute")
        assert await stage(book) == "open"
        letters = await until_said(kafka, names.deadletters)
    assert [unpack(one.value, one.headers).reason for one in letters] == ["undecodable"]
    agent = await memory(book)
    assert agent.releases.keys() == {"7"} and len(agent.watched) == 1


async def until_said(kafka: str, topic: str) -> list[Any]:
    found: list[Any] = []

    async def there() -> bool:
        found[:] = await said(kafka, topic)
        return bool(found)

    await until(there, what="a dead letter")
    return found


@pytest.mark.parametrize("point", ["advanced", "folded", "written", "committed"])
async def test_minutes_are_read_once_wherever_it_dies(book: str, kafka: str, point: str) -> None:
    names = await own_topics(kafka)
    await exposed(kafka, names, *(b.exposure(60 * n, release=str(n)) for n in range(4)))

    def reached(step: str) -> None:
        if step == point:
            raise Killed

    with pytest.raises(Killed):
        await asyncio.wait_for(settling(book, kafka, names, reached=reached).run(), 20)
    async with running(settling(book, kafka, names)):
        await until(lambda: stands_at(book, names, 4), what="the minutes")
    agent = await memory(book)
    assert list(agent.releases) == ["0", "1", "2", "3"] and len(agent.changes) == 3


async def test_a_quiet_trouble_is_told_of(book: str, kafka: str) -> None:
    """The book heard of it ten minutes ago, as its memory says; then its agent's work goes on."""
    names = await own_topics(kafka)
    await found(kafka, names, [b.finding(0, id="f1")])
    async with running(settling(book, kafka, names)):
        await until(lambda: read_all(book, names, 1), what="the finding")
    await heard_long_ago(book)
    await exposed(kafka, names, b.exposure(45 * 60))
    async with running(settling(book, kafka, names)):
        await until(lambda: stands_at(book, names, 1), what="the minute")
    assert await stage(book) == "mitigated"
    assert await rows(book, "SELECT 1 FROM obligations WHERE kind = 'note'")
    assert await rows(book, "SELECT 1 FROM due WHERE decider = 'incident'")
    body = (await rows(book, "SELECT body FROM incidents"))[0][0]
    assert msgspec.convert(body, Incident, strict=False).quiet_since == b.at(0)


async def heard_long_ago(uri: str) -> None:
    from streams.database import connect
    from streams.respond.life import Life

    raw = (await rows(uri, "SELECT memory FROM memories WHERE decider = 'incident'"))[0][0]
    life = msgspec.msgpack.decode(raw, type=Life)
    before = msgspec.structs.replace(life, heard_at=life.heard_at - timedelta(minutes=10))
    async with await connect(uri) as conn:
        await conn.execute(
            "UPDATE memories SET memory = %s WHERE decider = 'incident'", [msgspec.msgpack.encode(before)]
        )
