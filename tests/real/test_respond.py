"""The whole respond role against a real Kafka and PostgreSQL, killed at every step while the outside misbehaves."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import builders as b
import pytest
from aiokafka import AIOKafkaProducer
from respond.outside import CANARY, SLACK_CANARY, rows, until

from streams import topics
from streams.database import migrate
from streams.records.timeline import encode
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

SCRIPT = Path(__file__).with_name("respond_process.py")
POINTS = ("advanced", "folded", "written", "committed", "intent", "called", "answered", "confirmed", "ask", "asked")


@asynccontextmanager
async def role(environ: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", str(SCRIPT), env={**os.environ, **environ}, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise


@pytest.fixture
def environ(kafka: str, database: str) -> dict[str, str]:
    migrate(database)
    return {
        "PYTHONPATH": str(SCRIPT.parents[2]),
        "TOCSIN_KAFKA": kafka,
        "TOCSIN_DATABASE": database,
        "TOCSIN_GENERATION": str(2 + uuid4().int % 10**9),  # findings of this test's own
        "TOCSIN_JIRA_USER": "tocsin@example.com",
        "TOCSIN_JIRA_TOKEN": CANARY,
        "TOCSIN_SLACK_TOKEN": SLACK_CANARY,
        "TOCSIN_CALL_TIMEOUT_S": "1.0",
        "TOCSIN_ASK_AFTER_S": "1.5",
    }


async def found(environ: dict[str, str], start: int, count: int) -> None:
    topic = topics.named(topics.FINDINGS, int(environ["TOCSIN_GENERATION"]))
    await topics.ensure(environ["TOCSIN_KAFKA"], int(environ["TOCSIN_GENERATION"]))
    producer = AIOKafkaProducer(bootstrap_servers=environ["TOCSIN_KAFKA"], acks="all")
    await producer.start()
    try:
        for n in range(start, start + count):
            finding = b.finding(n, trouble=f"t{n}", id=f"f{n}", severity="high", about=b.about(agent=f"agent{n}"))
            await producer.send_and_wait(topic, encode(finding), key=finding.fingerprint.encode())
    finally:
        await producer.stop()


async def over(uri: str, incidents: int) -> bool:
    """Every incident is told, and nothing is owed or unsaid."""
    known = await rows(uri, "SELECT count(*) FROM incidents WHERE ticket IS NOT NULL AND page IS NOT NULL")
    left = await rows(uri, "SELECT 1 FROM obligations WHERE state <> 'done' OR confirm_at IS NOT NULL")
    return known == [(incidents,)] and not left and not await rows(uri, "SELECT 1 FROM publish")


@pytest.mark.slow
async def test_killed_at_every_step_it_opens_one_ticket_and_one_page_each(
    environ: dict[str, str], tmp_path: Path
) -> None:
    jira, slack = SandboxJira(token=CANARY, index_lag=0.5), SandboxSlack(token=SLACK_CANARY)
    environ["TOCSIN_JIRA_URL"] = await jira.start()
    environ["TOCSIN_SLACK_URL"] = f"{await slack.start()}/api/"
    for kind, every in (("reset", 3), ("stall", 7)):
        jira.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind=kind, every=every, times=None))
        slack.faults.add(Fault(path="chat.postMessage", kind=kind, every=every, times=None))
    jira.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="status", when="before", every=4, times=None))
    log, killed, each = tmp_path / "respond.log", [], 3
    for n, point in enumerate(POINTS):
        await found(environ, n * each, each)
        async with role({**environ, "POINT": point, "NTH": str(1 + n % 2)}, log) as process:
            try:
                await asyncio.wait_for(process.wait(), 12)
            except TimeoutError:
                continue  # that step did not come twice
            assert process.returncode == -signal.SIGKILL, log.read_text()[-3000:]
            killed.append(point)
    incidents = len(POINTS) * each
    async with role(environ, log):
        await until(lambda: over(environ["TOCSIN_DATABASE"], incidents), 60, "the end of all obligations")
    assert len(killed) >= len(POINTS) - 2, killed
    marks = [ticket.properties["tocsin.incident"]["incident"] for ticket in jira.book.tickets()]
    assert len(marks) == incidents and len(set(marks)) == incidents
    assert all("tocsin-unconfirmed" not in ticket.labels for ticket in jira.book.tickets())
    channel = next(iter(slack.workspace.channels[name] for name in slack.workspace.channels if list_of(slack, name)))
    payloads = [message.metadata["event_payload"]["incident"] for message in channel.newest(0, 2**62)]
    assert len(set(payloads)) == incidents and len(payloads) == incidents
    said = log.read_text(errors="replace")
    assert CANARY not in said and "Authorization" not in said
    await jira.stop()
    await slack.stop()


def list_of(slack: SandboxSlack, name: str) -> list[object]:
    return list(slack.workspace.channels[name].newest(0, 2**62))


@pytest.mark.slow
async def test_the_database_going_away_stops_calls_and_not_the_role(environ: dict[str, str], tmp_path: Path) -> None:
    """Every connection is cut in the middle of the work, twice; the role goes on by itself."""
    jira, slack = SandboxJira(token=CANARY), SandboxSlack(token=SLACK_CANARY)
    environ["TOCSIN_JIRA_URL"] = await jira.start()
    environ["TOCSIN_SLACK_URL"] = f"{await slack.start()}/api/"
    await found(environ, 0, 10)
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    async with role(environ, tmp_path / "respond.log") as process:
        for least in (2, 6):
            await until(lambda least=least: at_least(jira, least), what="tickets")
            await rows(environ["TOCSIN_DATABASE"], cut)
        await until(lambda: over(environ["TOCSIN_DATABASE"], 10), 60, "the end of all obligations")
        assert process.returncode is None
    assert len(list(jira.book.tickets())) == 10
    await jira.stop()
    await slack.stop()


async def at_least(jira: SandboxJira, count: int) -> bool:
    return len(list(jira.book.tickets())) >= count
