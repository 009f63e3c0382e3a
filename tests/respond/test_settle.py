"""The incident book's loop: everything counted once, nothing half done, whoever dies and whenever."""

from __future__ import annotations

import asyncio
from typing import Any

import builders as b
import msgspec
import psycopg
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from respond.desk import OwnBook, click, found, read_all, running, said, settling, topics, written
from respond.outside import Killed, receipts, rows, until

from streams.policy import load
from streams.records import DeadLetter, Sighted
from streams.records.deadletters import unpack
from streams.respond.meters import Meters
from streams.respond.settling import TooManyIsolated
from streams.respond.worker import configured, on_call
from streams.settings import Settings
from streams.settle import LogShrank, NotTheWriter, Publisher, Saying, advance, positions, publish_all
from streams.step import Step

POINTS = ("advanced", "folded", "written", "committed")


def findings(count: int) -> list[Any]:
    return [b.finding(n, trouble=f"t{n % 7}", id=f"f{n}") for n in range(count)]


async def all_read(uri: str, names: Any, count: int) -> None:
    await until(lambda: read_all(uri, names, count), what="reading to the end")


async def test_findings_become_incidents_and_what_people_are_owed(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, findings(20))
    async with running(settling(book, kafka, names)):
        await all_read(book, names, 20)
    after = await written(book)
    assert len(after["incidents"]) == 7 and len(after["seen"]) == 20
    assert sum(row[6] for row in after["incidents"]) == 20
    kinds = {kind for (kind,) in await rows(book, "SELECT DISTINCT kind FROM obligations")}
    assert {"page", "ticket", "evidence"} <= kinds


async def test_a_finding_said_twice_counts_once_even_in_another_generation(book: str, kafka: str) -> None:
    names, again = await topics(kafka), await topics(kafka)
    await found(kafka, names, findings(10) * 2)
    await found(kafka, again, findings(10))
    async with running(settling(book, kafka, names)):
        await all_read(book, names, 20)
    before = await written(book)
    async with running(settling(book, kafka, again)):
        await all_read(book, again, 10)
    after = await written(book)
    assert {**after, "positions": None} == {**before, "positions": None}


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_point_loses_and_doubles_nothing(book: str, kafka: str, point: str) -> None:
    names = await topics(kafka)
    kills = 0

    def reached(step: str) -> None:
        if step == point:
            raise Killed

    for start in range(0, 30, 10):
        await found(kafka, names, findings(30)[start : start + 10])
        loop = settling(book, kafka, names, reached=reached)
        with pytest.raises(Killed):
            await asyncio.wait_for(loop.run(), 20)
        kills += 1
    async with running(settling(book, kafka, names)):
        await all_read(book, names, 30)
    after = await written(book)
    assert kills == 3 and len(after["seen"]) == 30
    assert sum(row[6] for row in after["incidents"]) == 30
    assert len(after["obligations"]) == len({row[0] for row in after["obligations"]})
    assert sum(next_ for _, next_ in after["positions"]) == 30


@pytest.mark.parametrize("point", POINTS)
async def test_a_dropped_connection_is_made_again_and_nothing_is_lost(book: str, kafka: str, point: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, findings(15))
    drops = []

    def reached(step: str) -> None:
        if step == point and len(drops) < 2:
            with psycopg.connect(book, autocommit=True) as conn:
                query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin book'"
                drops.append(conn.execute(query).fetchall())

    async with running(settling(book, kafka, names, reached=reached)):
        await all_read(book, names, 15)
        await found(kafka, names, findings(30)[15:])
        await all_read(book, names, 30)
    after = await written(book)
    assert len(drops) == 2 and len(after["seen"]) == 30 and sum(row[6] for row in after["incidents"]) == 30


async def test_a_second_writer_stands_by_and_takes_over(book: str, kafka: str) -> None:
    names = await topics(kafka)
    first, second = settling(book, kafka, names), settling(book, kafka, names)
    await found(kafka, names, findings(5))
    async with running(second):
        async with running(first):
            await all_read(book, names, 5)
            holders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            assert await rows(book, holders) == [(1,)]
        await found(kafka, names, findings(10)[5:])
        await all_read(book, names, 10)
    assert len((await written(book))["seen"]) == 10


async def test_whoever_finds_the_positions_moved_ends_loudly(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, findings(5))
    loop = settling(book, kafka, names)
    task = asyncio.create_task(loop.run())
    await all_read(book, names, 5)
    await rows(book, "UPDATE positions SET next = next + 1 WHERE part = 'turn' RETURNING 1")
    await click(book, b.acknowledgement("nobody"))
    with pytest.raises(NotTheWriter):
        await asyncio.wait_for(task, 20)
    assert len(await receipts(book)) == 1  # still in the inbox: nothing of that transaction was kept


async def test_of_two_who_advance_the_same_position_one_fails(book: str) -> None:
    from streams.database import connect

    async with await connect(book) as one, await connect(book) as other:
        await advance(one, "r", {"a/0": (0, 5), "turn": (0, 1)})
        with pytest.raises(NotTheWriter):
            async with other.transaction():
                await advance(other, "r", {"a/0": (0, 7), "turn": (1, 2)})
        assert await positions(one, "r") == {"a/0": 5, "turn": 1}
        with pytest.raises(NotTheWriter):
            await advance(other, "r", {"b/0": (3, 4)})  # a part nobody has read stands at 0


async def test_what_cannot_be_read_becomes_a_dead_letter_and_the_rest_goes_on(book: str, kafka: str) -> None:
    names = await topics(kafka)
    hostile = replace(b.finding(1, trouble="t9", id="f9"), title="nul \0 byte")
    too_many = replace(b.finding(1, trouble="t8", id="f8"), count=2**80)
    too_long = replace(b.finding(1, trouble="t7", id="f7"), id="".join(map(chr, range(0x10000, 0x10A00))))
    bad = [b"{not json", b'{"record": "finding"}', too_many, too_long, hostile]
    await found(kafka, names, [*bad, *findings(5)])
    publisher = Publisher(book, kafka)
    async with running(settling(book, kafka, names)), running(publisher):
        await rows(book, 'INSERT INTO inbox (record) VALUES (\'{"record": "nonsense"}\') RETURNING 1')
        await all_read(book, names, 10)
        await until(lambda: nothing_to_say(book), what="publishing")
    letters = [unpack(one.value, one.headers) for one in await said(kafka, names.deadletters)]
    assert sorted(letter.reason for letter in letters) == ["undecodable"] * 3 + ["unstorable"] * 2
    assert b"{not json" in {letter.value for letter in letters}
    titles = {title for (title,) in await rows(book, "SELECT body->>'title' FROM incidents")}
    assert "nul \ufffd byte" in titles and len(titles) == 6


async def nothing_to_say(uri: str) -> bool:
    return not await rows(uri, "SELECT 1 FROM publish")


class Counted(msgspec.Struct, frozen=True):
    count: int = 0


class Moody:
    """Raises at every finding whose title asks for it, and wants to be woken in a moment by the others."""

    name, version, memory, reads, order = "moody", 1, Counted, (Sighted,), "free"

    def __init__(self) -> None:
        self.woken: list[Any] = []

    def key(self, record: Any) -> str | None:
        return record.finding.fingerprint

    def step(self, memory: Counted | None, record: Any) -> Step[Counted]:
        if not isinstance(record, Sighted):
            self.woken.append(record)
            return Step(memory)
        if record.finding.title == "raise":
            raise RuntimeError("moody")
        return Step(Counted((memory or Counted()).count + 1), wake=record.at)


async def test_a_decider_that_raises_loses_only_that_input(book: str, kafka: str) -> None:
    names = await topics(kafka)
    bad = replace(findings(1)[0], title="raise", id="bad")
    await found(kafka, names, [*findings(5), bad, *findings(10)[5:]])
    publisher = Publisher(book, kafka)
    async with running(settling(book, kafka, names, OwnBook(Moody()))), running(publisher):
        await all_read(book, names, 11)
        await until(lambda: nothing_to_say(book), what="publishing")
    (message,) = await said(kafka, names.deadletters)
    letter = unpack(message.value, message.headers)
    assert isinstance(letter, DeadLetter) and letter.reason == "decider:moody"
    assert msgspec.json.decode(letter.value or b"")["id"] == "bad"
    memories = await rows(book, "SELECT memory FROM memories")
    assert sum(msgspec.msgpack.decode(raw, type=Counted).count for (raw,) in memories) == 10


async def test_a_decider_that_always_raises_stops_the_loop(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, [replace(one, title="raise") for one in findings(30)])
    loop = settling(book, kafka, names, OwnBook(Moody()))
    with pytest.raises(TooManyIsolated):
        await asyncio.wait_for(loop.run(), 20)


async def test_a_log_that_is_shorter_than_what_was_read_is_explained(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await rows(book, "INSERT INTO positions VALUES ('book', %s, 999) RETURNING 1", f"{names.findings}/0")
    with pytest.raises(LogShrank, match="TOCSIN_GENERATION"):
        await asyncio.wait_for(settling(book, kafka, names).run(), 20)


def test_what_has_no_address_stays_owed_and_the_metrics_say_so() -> None:
    registry = CollectorRegistry()
    assert configured(Settings(), load(), Meters(registry), on_call(Settings(), load())) == []
    for receiver in ("jira", "slack"):
        assert registry.get_sample_value("tocsin_receiver_missing", {"receiver": receiver}) == 1.0


async def test_due_times_wake_their_decider_once_by_the_wall_clock(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, findings(3))
    moody = Moody()
    async with running(settling(book, kafka, names, OwnBook(moody))):
        await all_read(book, names, 3)
        await until(lambda: all_woken(book, moody))
    assert len(moody.woken) == 3


async def all_woken(uri: str, moody: Moody) -> bool:
    return len(moody.woken) >= 3 and not await rows(uri, "SELECT 1 FROM due")


async def test_a_click_is_read_and_memories_survive_a_restart(book: str, kafka: str) -> None:
    names = await topics(kafka)
    await found(kafka, names, findings(1))
    async with running(settling(book, kafka, names)):
        await all_read(book, names, 1)
    (incident,) = await rows(book, "SELECT id FROM incidents")
    async with running(settling(book, kafka, names)):
        await click(book, b.acknowledgement(incident[0]))
        await until(lambda: stage(book, "acknowledged"))
        await found(kafka, names, [b.finding(5, trouble="t0", id="later")])
        await all_read(book, names, 2)
    assert await rows(book, "SELECT stage, body->'findings' FROM incidents") == [("acknowledged", 2)]


async def stage(uri: str, wanted: str) -> bool:
    return await rows(uri, "SELECT stage FROM incidents") == [(wanted,)]


async def test_what_is_said_reaches_kafka_in_order_with_its_headers(book: str, kafka: str) -> None:
    from streams.database import connect

    names = await topics(kafka)
    async with await connect(book) as conn:
        sayings = [Saying(names.incidents, f"k{n}", str(n).encode(), (("n", b"x"),)) for n in range(700)]
        await publish_all(
            conn, [*sayings, Saying(names.incidents, "big", b"x" * 3_000_000), Saying(names.incidents, "gone", None)]
        )
    refused: list[str] = []
    async with running(Publisher(book, kafka, refused=refused.append)):
        await until(lambda: nothing_to_say(book))
    messages = await said(kafka, names.incidents)
    assert [one.value for one in messages] == [*(str(n).encode() for n in range(700)), None]
    assert messages[0].headers == (("n", b"x"),) and refused == [names.incidents]


async def test_a_broker_that_has_fallen_silent_does_not_hold_up_the_end(book: str) -> None:
    """Its client would wait for 40 seconds."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read(-1)
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1") as server:
        host, port = server.sockets[0].getsockname()
        publisher = Publisher(book, f"{host}:{port}", end_s=0.2)
        task = asyncio.create_task(publisher.run())
        async with asyncio.timeout(10):
            await asked.wait()
            publisher.stop()
            await task
