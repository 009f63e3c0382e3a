"""Of what an evaluator passed, a share and a few a week are looked at by people; a minute said again adds nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.database import connect, migrate
from streams.learn.power.sampling import WAITING_MAX, Sampling
from streams.records import Exposure, Judged, drawn

MONDAY = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)
JUDGE = "LLM:tone@1"


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as found:
        yield found


def minute(at=MONDAY, sessions=("s1",), scored=10, flagged=1):
    return Exposure("bot", "7", "prod", at, 10, 0, judged={JUDGE: Judged(scored, flagged, tuple(sessions))})


async def rows(conn, query):
    return await (await conn.execute(query)).fetchall()


async def test_a_minute_that_is_said_again_is_counted_once(conn):
    sampling = Sampling(1, 0.01, 5, drawn)
    for _ in range(2):
        await sampling.write(conn, minute())
    await sampling.write(conn, minute(MONDAY + timedelta(minutes=1)))
    assert await rows(conn, "SELECT sum(scored), sum(flagged), count(*) FROM judged") == [(20, 2, 2)]
    assert await rows(conn, "SELECT session FROM audits") == [("s1",)]


async def test_a_few_a_week_are_drawn_however_little_there_is_and_no_more_without_chance(conn):
    sampling = Sampling(1, 0.0, 5, drawn)
    for n in range(20):
        await sampling.write(conn, minute(MONDAY + timedelta(hours=n), [f"s{n}"]))
    await sampling.write(conn, minute(MONDAY + timedelta(days=7), ["next"]))
    assert await rows(conn, "SELECT count(*) FROM audits") == [(6,)]


async def test_of_many_it_is_the_share_that_the_policy_says(conn):
    sampling = Sampling(1, 0.1, 1, drawn)
    names = [f"s{n}" for n in range(400)]
    await sampling.write(conn, minute(sessions=names))
    ((found,),) = await rows(conn, "SELECT count(*) FROM audits")
    assert found == pytest.approx(sum(drawn(JUDGE, one) < 0.1 for one in names), abs=1)
    assert 20 < found < 65


async def test_what_nobody_looks_at_has_an_end(conn):
    sampling = Sampling(1, 1.0, 1, drawn)
    for start in range(0, WAITING_MAX + 300, 100):
        await sampling.write(conn, minute(MONDAY + timedelta(minutes=start), [f"s{start + n}" for n in range(100)]))
    assert await rows(conn, "SELECT count(*) FROM audits") == [(WAITING_MAX,)]
