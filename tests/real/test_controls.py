"""From a person's word, or a detector's, over PostgreSQL and Kafka to a running agent; and whatever dies between."""

import asyncio
import os
import signal
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from learn.booking import book, sighted
from prometheus_client import CollectorRegistry
from psycopg.types.json import Jsonb

from streams import policy as policies
from streams import topics
from streams.database import connect, migrate
from streams.learn.recording import tell
from streams.learn.worker import run
from streams.records import ControlAsked, Scope
from streams.sdk import Breaker
from streams.sdk.breaker import AgentHalted
from streams.sdk.feeds import KafkaFeed, Pausing
from streams.settings import Secret, Settings
from streams.settle import Publisher

WITHIN_S = 40.0
KEY = b"of the deployment"
RUNNER = Path(__file__).with_name("learn_process.py")


def halted(breaker, agent, release="7", session="s-1"):
    try:
        breaker.check(session, agent, release)
    except AgentHalted as halt:
        return halt
    return None


async def until(true, what="it did not happen in time"):
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


class World:
    """A database, learn and the publisher on it, and agents with breakers."""

    def __init__(self, settings, conn):
        self.settings, self.conn = settings, conn
        self.agent = f"bot-{uuid4().hex[:8]}"
        self.tasks = []

    async def learn(self):
        stop = asyncio.Event()
        task = asyncio.create_task(run(self.settings, policies.load(), CollectorRegistry(), lambda: None, stop))
        self.tasks.append((task, stop.set))
        return task, stop

    def publish(self):
        publisher = Publisher(self.settings.database, self.settings.kafka)
        self.tasks.append((asyncio.create_task(publisher.run()), publisher.stop))

    async def end(self):
        for task, stop in self.tasks:
            stop()
            await asyncio.wait_for(task, 30)
        self.tasks = []

    async def ask(self, want="pause", **given):
        scope = given.pop("scope", Scope("agent", self.agent))
        given = {"actor": "ada", "reason": "a test", "affected": 0.1, **given}
        await tell(self.conn, ControlAsked(id=uuid4().hex, scope=scope, want=want, at=datetime.now(UTC), **given))

    async def owe(self, number=1, incident=None):
        """What the book does when a detector's trouble opens or repeats."""
        incident = incident or sighted(
            id=f"v1:cost.session:{self.agent}#1", fingerprint=f"v1:cost.session:{self.agent}"
        )
        await book(self.conn, incident)
        name, scope = f"{incident.id}:control:{number}", Scope("release", self.agent, "7")
        asked = ControlAsked(
            id=name, scope=scope, want="throttle", at=datetime.now(UTC), automatic=True, incident=incident.id
        )
        await self.conn.execute(
            "INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body)"
            " VALUES (%s, %s, 'control', %s, 'control', %s, %s) ON CONFLICT DO NOTHING",
            [name, incident.id, number, f"control:{scope.key}", Jsonb(msgspec.to_builtins(asked))],
        )

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()


@asynccontextmanager
async def world(kafka, database, **given):
    await asyncio.to_thread(migrate, database)
    await topics.ensure(kafka)
    settings = Settings(kafka=kafka, database=database, **given)
    async with await connect(database) as conn:
        found = World(settings, conn)
        try:
            yield found
        finally:
            await found.end()


@pytest.fixture
async def living(kafka, database):
    async with world(kafka, database) as found:
        yield found


@asynccontextmanager
async def agent(kafka, **given):
    breaker = Breaker(KafkaFeed(kafka), **given).start()
    try:
        assert await breaker.ready_soon(WITHIN_S)
        yield breaker
    finally:
        await asyncio.to_thread(breaker.stop)


async def test_what_a_person_stops_a_running_agent_notices_and_goes_on_when_it_is_lifted(living):
    await living.learn()
    living.publish()
    async with agent(living.settings.kafka) as breaker:
        assert halted(breaker, living.agent) is None
        await living.ask()
        await until(lambda: halted(breaker, living.agent))
        halt = halted(breaker, living.agent)
        assert (halt.scope, halt.reason) == (f"agent:{living.agent}", "a test")
        await living.ask("close")
        await until(lambda: halted(breaker, living.agent) is None)
        await until(lambda: breaker.status.beat_age_s is not None)
        assert not breaker.stale


async def test_an_agent_that_starts_later_knows_what_was_said_before(living):
    await living.learn()
    living.publish()
    async with agent(living.settings.kafka) as witness:
        await living.ask()
        await until(lambda: halted(witness, living.agent))
    async with agent(living.settings.kafka) as breaker:
        assert halted(breaker, living.agent)


async def test_with_a_key_what_somebody_else_writes_to_the_topic_counts_for_nothing(kafka, database):
    async with world(kafka, database, control_key=Secret(KEY.decode())) as living:
        await living.learn()
        living.publish()
        async with agent(kafka, key=KEY) as breaker:
            await living.ask()
            await until(lambda: halted(breaker, living.agent))
            ignored = breaker.status.ignored
            forged = {"record": "control", "scope": {"kind": "agent", "agent": living.agent}, "state": "closed"}
            forged |= {"seq": 10**15, "issued_at": "2099-01-01T00:00:00Z"}
            await _write(kafka, f"agent:{living.agent}", msgspec.json.encode(forged))
            await _write(kafka, f"agent:{living.agent}", None)
            await until(lambda: breaker.status.ignored >= ignored + 2)
            assert halted(breaker, living.agent)


async def _write(kafka, key, value):
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    await producer.send_and_wait(topics.CONTROL.name, value, key=key.encode())
    await producer.stop()


async def test_an_agent_without_kafka_goes_on_and_ends_at_once():
    feed = KafkaFeed("127.0.0.1:9", pausing=Pausing(0.05, 0.1))
    breaker = Breaker(feed, fail_closed_tools=("wire",)).start()
    assert not await breaker.ready_soon(0.2)
    assert halted(breaker, "bot") is None
    with pytest.raises(AgentHalted):
        breaker.check("s", "bot", tool="wire")
    began = time.monotonic()
    await asyncio.to_thread(breaker.stop)
    assert time.monotonic() - began < 20


async def test_what_is_said_while_kafka_is_away_is_said_once_it_is_back(living):
    """The publisher stands for Kafka: without it nothing arrives there, and the database keeps it."""
    await living.learn()
    async with agent(living.settings.kafka) as breaker:
        await living.ask()

        async def written():
            return await living.rows(f"SELECT 1 FROM publish WHERE key = 'agent:{living.agent}'")

        deadline = time.monotonic() + WITHIN_S
        while not await written():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert halted(breaker, living.agent) is None
        assert len(await living.rows("SELECT 1 FROM publish WHERE key = 'heartbeat'")) <= 1, "beats do not pile up"
        living.publish()
        await until(lambda: halted(breaker, living.agent))


# -- the controller dies ----------------------------------------------------------------------------------------------


def killed(settings, point):
    given = {key: value for key, value in os.environ.items() if not key.startswith("TOCSIN_")}
    given |= {"TOCSIN_DATABASE": settings.database, "POINT": point}
    return asyncio.create_subprocess_exec(sys.executable, str(RUNNER), env=given)


@pytest.mark.parametrize("point", ["control:taken", "learning:begun", "learning:written", "learning:committed", ""])
async def test_a_detectors_wish_is_done_exactly_once_wherever_learn_dies(living, point):
    await living.owe()
    if point:
        process = await killed(living.settings, point)
        assert await asyncio.wait_for(process.wait(), WITHIN_S) == -signal.SIGKILL
    process = await killed(living.settings, "idle")
    assert await asyncio.wait_for(process.wait(), WITHIN_S) == -signal.SIGKILL
    assert await living.rows("SELECT state FROM obligations") == [("done",)]
    assert len(await living.rows("SELECT 1 FROM control_changes")) == 1
    assert await living.rows("SELECT state FROM controls") == [("open",)]
    assert len(await living.rows("SELECT DISTINCT value FROM publish WHERE key LIKE 'release:%'")) == 1
    assert await living.rows("SELECT 1 FROM learn_inbox") == []
    told = await living.rows("SELECT record->>'headline' FROM inbox WHERE record->>'record' = 'notice'")
    assert len(told) == 1
    assert f"throttled {living.agent} 7 by 30%" in told[0][0]


async def test_while_nobody_leads_leases_end_and_a_persons_stop_stays(living):
    task, stop = await living.learn()
    living.publish()
    other = f"{living.agent}-other"
    async with agent(living.settings.kafka) as breaker:
        ends = datetime.now(UTC) + timedelta(seconds=4)
        await living.ask(until=ends, scope=Scope("agent", other))
        await living.ask()
        await until(lambda: halted(breaker, living.agent) and halted(breaker, other))
        stop.set()
        await task
        await until(lambda: halted(breaker, other) is None, "what has an end ends without anybody")
        assert halted(breaker, living.agent)


async def test_what_waited_too_long_is_not_done_any_more(living):
    await living.owe()
    await living.conn.execute("UPDATE obligations SET created_at = now() - interval '16 minutes'")
    process = await killed(living.settings, "idle")
    assert await asyncio.wait_for(process.wait(), WITHIN_S) == -signal.SIGKILL
    ((state, why),) = await living.rows("SELECT state, why FROM obligations")
    assert (state, why) == ("expired", "nobody was there to do it in time")
    assert await living.rows("SELECT 1 FROM controls") == []


async def test_what_is_silenced_or_over_by_then_is_not_done(living):
    incident = sighted(id="v1:cost.session:1#1", fingerprint="v1:cost.session:1", stage="resolved")
    await living.owe(incident=incident)
    process = await killed(living.settings, "idle")
    assert await asyncio.wait_for(process.wait(), WITHIN_S) == -signal.SIGKILL
    assert await living.rows("SELECT why FROM obligations") == [("the incident is resolved",)]
