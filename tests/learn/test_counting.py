"""Exposure and deliveries count once, whatever is read twice."""

from datetime import UTC, datetime

import msgspec
import pytest

from streams.database import connect, migrate
from streams.learn.counting import Counting, Decides, Names
from streams.learn.gates.reading import snapshot, stand
from streams.learn.releases import implied, registration
from streams.records import DeadLetter, Exposure, Measure, Position
from streams.settle import NotTheWriter, Read

EXPOSURE, DELIVERY = "tocsin.exposure/0", "delivery.events/0"
MINUTE = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)


def bury(read, reason, why):
    return DeadLetter(reason, (why,), Position(read.part, read.offset), read.value)


def counting(generation=1, topic="tocsin.exposure"):
    rules = Decides(registration.merged, registration.appended, implied.looked)
    return Counting(Names(topic, "tocsin.deadletters", generation), bury, rules)


def minute(offset, sessions, bad=0, at=0, release="2026.09.3"):
    record = Exposure("support-bot", release, "prod", MINUTE.replace(minute=at), sessions, bad)
    return Read(EXPOSURE, offset, None, msgspec.json.encode(record), 0)


def delivered(offset, kind, **data):
    known = {"agent": "support-bot", "release": "2026.09.3"}
    event = {"specversion": "1.0", "id": f"e{offset}", "source": "/ci", "type": kind, "time": "2026-09-14T09:00:00Z"}
    return Read(DELIVERY, offset, None, msgspec.json.encode({**event, "data": {**known, **data}}), 0)


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield conn


async def counts(conn):
    found = await snapshot(conn, ["high"])
    return {one.release: (one.sessions, one.bad) for one in found.exposure}


async def test_minutes_add_up_and_a_minute_said_again_changes_nothing(conn):
    one = counting()
    known = await one.apply(conn, [minute(0, 10, 1), minute(1, 5, at=1)], {})
    await one.apply(conn, [minute(2, 10, 1), minute(3, 5, at=1)], known)
    assert await counts(conn) == {"2026.09.3": (15, 1)}


async def test_a_new_generation_counts_again_from_nothing_and_never_adds(conn):
    known = await counting().apply(conn, [minute(0, 10), minute(1, 5, at=1)], {})
    again = counting(2, "tocsin.exposure.g2")
    await again.apply(conn, [minute(0, 10)._replace(part="tocsin.exposure.g2/0")], known)
    assert await counts(conn) == {"2026.09.3": (15, 0)}


async def test_a_second_writer_finds_out_and_nothing_of_it_is_kept(conn):
    one = counting()
    await one.apply(conn, [minute(0, 10)], {})
    with pytest.raises(NotTheWriter):
        await one.apply(conn, [minute(0, 10), minute(1, 7, at=1)], {})
    assert await counts(conn) == {"2026.09.3": (10, 0)}


async def test_releases_deployments_and_cases_are_kept_once(conn):
    one = counting()
    batch = [
        delivered(0, "release.deployed.v1", environment="prod", op="promote", result="ok"),
        delivered(1, "release.registered.v1", parents=["2026.09.2"], aliases=["sha-1"]),
        delivered(2, "case.scored.v1", case_id="c1", runs=3, passes=2),
    ]
    known = await one.apply(conn, batch, {})
    await one.apply(conn, [one._replace(offset=one.offset + 3) for one in batch], known)
    (release,) = (await snapshot(conn, ["high"])).releases
    assert (release.parents, release.aliases, release.registered_at) == (
        ("2026.09.2",),
        ("sha-1",),
        datetime(2026, 9, 14, 9, tzinfo=UTC),
    )
    for table in ("deployments", "case_scores"):
        row = await (await conn.execute(f"SELECT count(*) FROM {table}")).fetchone()
        assert row == (1,), table


async def test_what_cannot_be_used_becomes_a_dead_letter_and_is_passed_over(conn):
    unstorable = delivered(2, "release.registered.v1", release="a\0b")
    long = "".join(map(chr, range(0x10000, 0x10100)))  # no index takes three of them
    data = {"agent": long, "release": long, "environment": "prod", "op": "promote", "result": "ok"}
    event = {"specversion": "1.0", "id": long, "source": long * 2, "type": "release.deployed.v1"}
    whole = msgspec.json.encode({**event, "time": "2026-09-14T09:00:00Z", "data": data})
    too_long = Read(DELIVERY, 3, None, whole, 0)
    bad = [
        Read(DELIVERY, 0, None, b"{", 0),
        delivered(1, "agent.heartbeat.v1"),
        unstorable,
        too_long,
        Read(EXPOSURE, 0, None, None, 0),
    ]
    await counting().apply(conn, [*bad, minute(1, 4)], {})
    said = await (await conn.execute("SELECT topic, key FROM publish ORDER BY id")).fetchall()
    where = ["delivery.events/0/0", "delivery.events/0/1", "delivery.events/0/2"]
    where += ["delivery.events/0/3", "tocsin.exposure/0/0"]
    assert said == [("tocsin.deadletters", key) for key in where]
    assert await counts(conn) == {"2026.09.3": (4, 0)}


async def test_every_change_moves_the_version_of_what_gates_look_at(conn):
    before = (await stand(conn)).version
    await counting().apply(conn, [minute(0, 10)], {})
    assert (await stand(conn)).version > before


def ran(offset, at, sessions=5, **config):
    record = Exposure("support-bot", "2026.09.3", "prod", MINUTE.replace(minute=at), sessions, 0, config)
    return Read(EXPOSURE, offset, None, msgspec.json.encode(record), 0)


async def known(conn):
    return {one.release: one for one in (await snapshot(conn, ["high"])).releases}


async def more(conn, what):
    row = await (await conn.execute("SELECT sum(count) FROM exposed_more WHERE what = %s", [what])).fetchone()
    return row[0]


async def test_calls_and_measures_add_up_and_a_minute_said_again_changes_nothing(conn):
    one = counting()
    counted = {"calls": {"/refund": 4}, "ended": 2, "evaluated": 1, "measures": {"cost": Measure(2, 5.5, 16.25)}}
    whole = Exposure("support-bot", "2026.09.3", "prod", MINUTE, 3, 0, **counted)
    less = Exposure("support-bot", "2026.09.3", "prod", MINUTE, 3, 0, calls={"/refund": 1})
    position = {}
    for offset, record in enumerate((less, whole, whole, less)):
        position = await one.apply(conn, [Read(EXPOSURE, offset, None, msgspec.json.encode(record), 0)], position)
    assert [await more(conn, what) for what in ("call:/refund", "ended", "evaluated", "measure:cost")] == [4, 2, 1, 2]
    row = await (await conn.execute("SELECT total, squares FROM exposed_more WHERE what = 'measure:cost'")).fetchone()
    assert row == (5.5, 16.25)


async def test_a_release_registered_again_is_what_ci_said_last_and_keeps_what_it_left_out(conn):
    batch = [
        delivered(0, "release.registered.v1", commit="abc1234", aliases=["a"], fixes=["AGT-1"]),
        delivered(1, "release.registered.v1", digest="sha256:dd", aliases=["b"], author={"kind": "human", "id": "ann"}),
    ]
    await counting().apply(conn, batch, {})
    (release,) = (await known(conn)).values()
    assert (release.commit, release.author, release.fixes) == ("abc1234", "ann", ("AGT-1",))
    assert release.aliases == ("b", "sha256:dd")
    assert release.conflict == ()


async def test_a_name_registered_as_two_things_stays_both(conn):
    batch = [
        delivered(0, "release.registered.v1", commit="abc1234"),
        delivered(1, "release.registered.v1", commit="def5678"),
        delivered(2, "release.registered.v1", commit="abc1234"),
    ]
    await counting().apply(conn, batch, {})
    (release,) = (await known(conn)).values()
    assert release.conflict == ("2026.09.3 (commit abc1234)", "2026.09.3 (commit def5678)")


async def test_a_clock_that_is_ahead_registers_nothing_in_the_future(conn):
    at_ms = int(datetime(2026, 9, 14, 8, tzinfo=UTC).timestamp() * 1000)
    await counting().apply(conn, [delivered(0, "release.registered.v1")._replace(timestamp_ms=at_ms)], {})
    (release,) = (await known(conn)).values()
    assert release.registered_at == datetime(2026, 9, 14, 8, tzinfo=UTC)


async def test_a_release_becomes_known_when_it_was_registered_first(conn):
    early = delivered(0, "release.registered.v1")
    late = delivered(1, "release.registered.v1")
    late = late._replace(value=late.value.replace(b"T09:00", b"T11:00"))
    await counting().apply(conn, [early, late], {})
    (release,) = (await known(conn)).values()
    assert release.registered_at == datetime(2026, 9, 14, 9, tzinfo=UTC)


async def test_a_prompt_that_nobody_registered_is_a_release_of_its_own(conn):
    one = counting()
    position = await one.apply(conn, [delivered(0, "release.registered.v1", prompt_hash="p1")], {})
    batch = [ran(0, 0, prompt="p1"), ran(1, 1, prompt="p2", sessions=7), ran(2, 2), ran(3, 3, prompt="p1")]
    position = await one.apply(conn, batch, position)
    other = implied.name_of("2026.09.3", {"prompt": "p2"})
    assert await counts(conn) == {"2026.09.3": (10, 0), other: (12, 0)}
    release = (await known(conn))[other]
    assert (release.parents, release.registered, release.implied) == (("2026.09.3",), False, "2026.09.3")
    await one.apply(conn, [ran(4, 1, prompt="p2", sessions=7), ran(5, 2)], position)
    assert await counts(conn) == {"2026.09.3": (10, 0), other: (12, 0)}


async def test_what_was_implied_can_be_registered(conn):
    one = counting()
    other = implied.name_of("2026.09.3", {"prompt": "p2"})
    position = await one.apply(conn, [ran(0, 0, prompt="p1"), ran(1, 1, prompt="p2")], {})
    await one.apply(conn, [delivered(0, "release.registered.v1", release=other, parents=["2026.09.3"])], position)
    assert (await known(conn))[other].registered


async def test_a_part_that_differs_from_session_to_session_says_nothing(conn):
    batch = [ran(n, n, prompt=f"p{n}", model="m") for n in range(30)]
    await counting().apply(conn, batch, {})
    assert len(await counts(conn)) == 3
    assert (await counts(conn))["2026.09.3"] == (5 * 28, 0)


async def test_of_a_registered_part_that_never_is_what_was_registered_few_releases_are_made(conn):
    batch = [ran(n + 1, n, prompt=f"p{n}") for n in range(40)]
    position = await counting().apply(conn, [delivered(0, "release.registered.v1", prompt_hash="r")], {})
    await counting().apply(conn, batch, position)
    assert len(await counts(conn)) == implied.NAMES_MAX + 1
    assert (await counts(conn))["2026.09.3+more"] == (5 * 20, 0)
