"""The learn role on a real Kafka, PostgreSQL and (sandbox) Jira."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from learn.booking import book, owe, sighted
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams import topics
from streams.database import connect
from streams.learn.gates.reading import snapshot, stand
from streams.learn.worker import run
from streams.records import ClockForwarded, Exposure, Finding, GateDecision
from streams.records.timeline import encode
from streams.sandbox.jira import SandboxJira
from streams.settings import Secret, Settings

START = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
WITHIN_S = 30.0


class Role:
    """A database and a generation of topics of this test's own, and running copies of the role."""

    def __init__(self, settings, conn, producer):
        self.settings, self.conn, self.producer = settings, conn, producer
        self.copies = []

    def start(self, **given):
        stop = asyncio.Event()
        settings = msgspec.structs.replace(self.settings, **given)
        task = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: None, stop))
        self.copies.append((task, stop))
        return task, stop

    async def end(self):
        for task, stop in self.copies:
            stop.set()
            await asyncio.wait_for(task, WITHIN_S)
        self.copies = []

    async def say(self, topic, record, partition=0):
        value = record if isinstance(record, bytes) else encode(record)
        await self.producer.send_and_wait(topics.named(topic, self.settings.generation), value, partition=partition)

    async def rows(self, query):
        return await (await self.conn.execute(query)).fetchall()

    async def until(self, question, wanted):
        """Ask until it is so; the last answer is in the failure."""
        ends = time.monotonic() + WITHIN_S
        while True:
            found = await question()
            if found == wanted or time.monotonic() > ends:
                assert found == wanted
                return
            for task, _ in self.copies:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)

    async def sessions(self):
        return {one.release: one.sessions for one in (await snapshot(self.conn, ["high"])).exposure}


@asynccontextmanager
async def learning(kafka, database):
    generation = int.from_bytes(os.urandom(3), "big") + 2
    settings = Settings(kafka=kafka, database=database, generation=generation, poll_tickets_s=0.2)
    await topics.ensure(kafka, generation)
    await asyncio.to_thread(_migrate, database)
    async with await connect(database) as conn:
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        role = Role(settings, conn, producer)
        try:
            yield role
        finally:
            await role.end()
            await producer.stop()


def _migrate(database):
    from streams.database import migrate

    migrate(database)


@pytest.fixture
async def role(kafka, database):
    async with learning(kafka, database) as found:
        yield found


def minute(number, sessions, release):
    return Exposure("support-bot", release, "prod", START + timedelta(minutes=number), sessions, 0)


async def test_exposure_is_counted_once_over_a_restart_and_by_two_copies(role):
    for number in range(5):
        await role.say(topics.EXPOSURE, minute(number, 3, "r1"))
    role.start()
    role.start()
    await role.until(role.sessions, {"r1": 15})
    await role.end()
    await role.say(topics.EXPOSURE, minute(4, 3, "r1"))  # said again after a crash
    await role.say(topics.EXPOSURE, minute(5, 2, "r1"))
    role.start()
    await role.until(role.sessions, {"r1": 17})


async def test_the_standby_takes_over_when_the_holder_is_cut_off(role):
    role.start()
    await role.say(topics.EXPOSURE, minute(0, 1, "r1"))
    await role.until(role.sessions, {"r1": 1})
    role.start()
    await role.conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tocsin learn%'"
    )
    await role.say(topics.EXPOSURE, minute(1, 1, "r1"))
    await role.until(role.sessions, {"r1": 2})


async def test_the_watermark_moves_once_the_book_has_read_every_finding_from_before(role):
    findings = topics.named(topics.FINDINGS, role.settings.generation)
    finding = Finding("d", 1, "v1:d:1", {}, "t", "high", START, id="x")
    await role.say(topics.FINDINGS, finding)
    for source in range(2):
        clock = ClockForwarded(f"tocsin.timeline/{source}", 2, START + timedelta(seconds=source))
        await role.say(topics.FACTS, b'{"record":"facts"}\n' + encode(clock))
    role.start()

    async def waiting():
        return await role.rows("SELECT value FROM gauges WHERE name = 'findings.waiting'")

    async def watermark():
        return (await stand(role.conn)).watermark

    await role.until(waiting, [(1.0,)])
    assert await watermark() is None
    await role.conn.execute("INSERT INTO positions VALUES ('book', %s, 1)", [f"{findings}/0"])
    await role.until(watermark, START)
    await role.until(waiting, [(0.0,)])


async def test_a_change_of_a_gates_state_is_published_when_nobody_asks(role):
    await role.say(topics.EXPOSURE, minute(0, 60, "r1"))
    role.start()

    async def states():
        found = await role.rows("SELECT value FROM publish WHERE topic = 'tocsin.gates' ORDER BY id")
        return [msgspec.json.decode(value, type=GateDecision).state for (value,) in found]

    await role.until(states, ["hold"])  # no event time is known yet
    await role.say(topics.FACTS, encode(ClockForwarded("tocsin.timeline/0", 1, datetime.now(UTC))))
    await role.until(states, ["hold", "allow"])
    await book(role.conn, sighted(releases=("r1",)))
    await role.until(states, ["hold", "allow", "block"])


async def test_a_person_resolves_a_ticket_and_the_book_hears_of_it(role):
    jira = SandboxJira()
    url = await jira.start()
    try:
        ticket = jira.book.create("OPS", "x", {"kind": "10001"})
        incident = sighted()
        await book(role.conn, incident)
        await owe(role.conn, incident, reference=ticket.key)
        role.start(jira_url=url, jira_user="tocsin@example.com", jira_token=Secret("sandbox"))

        async def told():
            found = await role.rows("SELECT record->>'outcome', record->>'reopened' FROM inbox ORDER BY id")
            return [tuple(one) for one in found]

        await role.until(lambda: role.rows("SELECT done FROM tickets"), [(False,)])
        jira.book.move(ticket, "5b10ac8d82e05b22cc7d4ef5", "10001", {"resolution": "10005"})
        await role.until(told, [("false_positive", None)])
        jira.book.move(ticket, "5b10ac8d82e05b22cc7d4ef5", "10000", {})
        await role.until(told, [("false_positive", None), ("false_positive", "true")])
        assert await role.rows("SELECT actor FROM outcomes") == [("Ada Lindqvist",)] * 2
    finally:
        await role.end()
        await jira.stop()


async def test_a_hint_at_a_ticket_makes_it_read_at_once(role):
    """All of them are read once an hour here: it is the hint that brings the answer."""
    jira = SandboxJira()
    url = await jira.start()
    try:
        ticket = jira.book.create("OPS", "x", {"kind": "10001"})
        incident = sighted()
        await book(role.conn, incident)
        await owe(role.conn, incident, reference=ticket.key)
        role.start(jira_url=url, jira_user="tocsin@example.com", jira_token=Secret("sandbox"), poll_tickets_s=3600.0)
        await role.until(lambda: role.rows("SELECT done FROM tickets"), [(False,)])
        jira.book.move(ticket, "5b10ac8d82e05b22cc7d4ef5", "10001", {"resolution": "10005"})
        await role.conn.execute("INSERT INTO hinted (ticket) VALUES (%s), ('OTHER-1')", [ticket.key])
        await role.until(lambda: role.rows("SELECT record->>'outcome' FROM inbox"), [("false_positive",)])
        assert not await role.rows("SELECT 1 FROM hinted")
    finally:
        await role.end()
        await jira.stop()


async def test_what_ci_sends_that_cannot_be_read_is_a_dead_letter(role):
    await role.producer.send_and_wait(topics.DELIVERY.name, b"{")
    role.start()

    async def letters():
        return bool(await role.rows("SELECT key FROM publish WHERE topic = 'tocsin.deadletters'"))

    await role.until(letters, True)


async def test_what_a_pipeline_says_of_its_releases_is_acknowledged_and_reaches_learn(role):
    """Twice by the same run: once counted."""
    agent = f"bot-{role.settings.generation}-{time.time_ns()}"
    run_ = {"GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_REPOSITORY": "org/bot"}
    given = {key: value for key, value in os.environ.items() if not key.startswith(("TOCSIN_", "GITHUB_"))}
    given |= {"TOCSIN_KAFKA": role.settings.kafka, **run_}

    async def tocsin(*arguments):
        command = [sys.executable, "-m", "streams", "release", *arguments, "--agent", agent, "--release", "9.4"]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, env=given, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = await tocsin("register", "--parent", "9.3", "--fixes", "AGT-412")
    assert said == await tocsin("register", "--parent", "9.3", "--fixes", "AGT-412")
    for _ in range(2):
        await tocsin("deployed", "--op", "rollback", "--result", "error")
    role.start()

    async def known():
        where = f"WHERE agent = '{agent}'"
        rows = await role.rows(f"SELECT release, parents FROM releases {where} AND registered_at IS NOT NULL")
        deployed = await role.rows(f"SELECT op FROM deployments {where}")
        found = await role.rows("SELECT value FROM publish WHERE topic LIKE 'tocsin.findings%' ORDER BY id")
        subjects = [msgspec.json.decode(row[0], type=Finding).subject["agent"] for row in found]
        return rows, deployed, subjects.count(agent)

    await role.until(known, ([("9.4", ["9.3"])], [("rollback",)], 1))
