"""Incidents a minute through the book and the carriers, each with page, ticket, evidence and edit, against the sandbox."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams import topics
from streams.policy import Owner, load
from streams.records import About, Finding
from streams.records.timeline import encode
from streams.respond.worker import run
from streams.sandbox import jars
from streams.sandbox.jira import SandboxJira
from streams.sandbox.kafka import EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number
from streams.settings import Secret, Settings

INCIDENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 400
CHANNELS = tuple(f"team-{n}" for n in range(40))


def outside(told: Connection) -> None:
    """Both receivers, in a process of their own."""

    async def serve() -> None:
        jira, slack = SandboxJira(), SandboxSlack(channels=CHANNELS)
        told.send((await jira.start(), await slack.start()))
        await asyncio.Event().wait()

    asyncio.run(serve())


def finding(n: int) -> Finding:
    about = About(agent=f"agent-{n}", release="7", environment="prod")
    subject = {"agent": f"agent-{n}", "tool": "search"}
    return Finding(
        "tool.repeated_error", 1, f"v1:tool.repeated_error:{n:016x}", subject, "search fails again and again", "high",
        datetime.now(UTC), id=f"f{n}", about=about,
    )  # fmt: skip


async def measured(settings: Settings) -> tuple[float, float]:
    owners = tuple(
        Owner(
            name=name, channel=number("C", name), agents=[f"agent-{n}" for n in range(place, INCIDENTS, len(CHANNELS))]
        )
        for place, name in enumerate(CHANNELS)
    )
    policy = replace(load(), owners=owners)
    stop = asyncio.Event()
    await topics.ensure(settings.kafka)
    role = asyncio.create_task(run(settings, policy, CollectorRegistry(), lambda: None, stop))
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    async with await psycopg.AsyncConnection.connect(settings.database, autocommit=True) as conn:
        await until(conn, "SELECT to_regclass('obligations') IS NOT NULL")
        began, cpu = time.monotonic(), time.process_time()
        for n in range(INCIDENTS):
            await producer.send(topics.FINDINGS.name, encode(finding(n)), key=b"%d" % n)
        await producer.flush()
        await until(
            conn,
            "SELECT count(*) FILTER (WHERE kind = 'page' AND ordinal = 1 AND state = 'done') >= %(n)s"
            " AND count(*) FILTER (WHERE kind = 'ticket' AND state = 'done') >= %(n)s FROM obligations",
        )
        opened = time.monotonic() - began
        await until(conn, "SELECT count(*) >= 4 * %(n)s AND bool_and(state = 'done') FROM obligations")
        print(f"CPU of the role: {1000 * (time.process_time() - cpu) / INCIDENTS:.1f} ms per incident")
        everything = time.monotonic() - began
    stop.set()
    await role
    await producer.stop()
    return opened, everything


async def until(conn: psycopg.AsyncConnection[tuple[bool]], query: str) -> None:
    while True:
        row = await (await conn.execute(query.encode(), {"n": INCIDENTS})).fetchone()
        if row and row[0]:
            return
        await asyncio.sleep(0.1)


def main() -> None:
    jars.fetch(jars.default_cache())
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # loopback needs none
    mine, theirs = multiprocessing.get_context("spawn").Pipe()
    receivers = multiprocessing.get_context("spawn").Process(target=outside, args=(theirs,), daemon=True)
    receivers.start()
    jira, slack = mine.recv()
    with tempfile.TemporaryDirectory() as folder:
        kafka, postgres = EmbeddedKafka(Path(folder) / "kafka"), EmbeddedPostgres(Path(folder) / "postgres")
        with kafka, postgres:
            settings = Settings(
                kafka=kafka.address, database=postgres.address, jira_url=jira, jira_user="tocsin@example.com",
                jira_token=Secret("t"), slack_url=f"{slack}/api/", slack_token=Secret("t"),
            )  # fmt: skip
            opened, everything = asyncio.run(measured(settings))
    print(f"{INCIDENTS} incidents with page and ticket: {opened:.1f} s, {60 * INCIDENTS / opened:,.0f} a minute")
    print(f"with evidence and the page's edit too: {everything:.1f} s, {60 * INCIDENTS / everything:,.0f} a minute")
    receivers.terminate()


if __name__ == "__main__":
    main()
