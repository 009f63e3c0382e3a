"""Which share of an agent's sessions a control is about, and which sessions a trial may count."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from psycopg.types.json import Jsonb

from streams.database import connect, migrate
from streams.learn.controls.leading import tried
from streams.learn.controls.reach import affected
from streams.records import Control, Probe, Scope

MINUTE = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)
RELEASE = Scope("release", "bot", "7")


@pytest.fixture
async def conn(database):
    migrate(database)
    async with await connect(database) as conn:
        yield conn


async def ran(conn, sessions, release="7", minutes=0, **more):
    await conn.execute(
        "INSERT INTO exposure (agent, release, environment, generation, minute, sessions, bad, more)"
        " VALUES ('bot', %s, 'prod', 1, %s, %s, 0, %s)",
        [release, MINUTE + timedelta(minutes=minutes), sessions, Jsonb(more)],
    )


async def test_it_is_counted_over_the_last_hour_of_the_agents_own_time(conn):
    await ran(conn, 1000, "6", minutes=-61)
    await ran(conn, 30, "7", calls={"refund": 20})
    await ran(conn, 10, "6", calls={"refund": 0})
    assert await affected(conn, Scope("agent", "bot")) == 1.0
    assert await affected(conn, RELEASE) == 0.75
    assert await affected(conn, Scope("agent_tool", "bot", "refund")) == 0.5


@pytest.mark.parametrize(
    "scope",
    [
        Scope("agent", "nobody"),
        Scope("agent_tool", "bot", "never called"),
        Scope("global"),
        Scope("tenant", id="acme"),
        Scope("tool", id="refund"),
    ],
    ids=lambda one: one.key,
)
async def test_what_nobody_counts_is_unknown(conn, scope):
    await ran(conn, 30)
    assert await affected(conn, scope) is None


async def test_a_trial_counts_sessions_that_ended_after_it_began_and_not_those_held_back(conn):
    since = MINUTE + timedelta(seconds=30)
    control = Control(scope=RELEASE, state="half_open", seq=1, issued_at=since, probe=Probe(0.05, 10, since))
    await conn.execute(
        "INSERT INTO controls (scope, state, seq, body) VALUES (%s, 'half_open', 1, %s)",
        [RELEASE.key, Jsonb(msgspec.to_builtins(control))],
    )
    await ran(conn, 50, minutes=0, ended=50)  # began before
    await tried(conn)
    assert await (await conn.execute("SELECT 1 FROM learn_inbox")).fetchall() == []
    await ran(conn, 90, minutes=1, ended=4)  # the others were halted
    await ran(conn, 90, "6", minutes=1, ended=70)
    await tried(conn)
    ((sessions,),) = await (await conn.execute("SELECT record->'sessions' FROM learn_inbox")).fetchall()
    assert sessions == 4
