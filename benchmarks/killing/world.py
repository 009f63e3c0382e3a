"""A world to kill in: Kafka, PostgreSQL, Jira and Slack behind a network, and what was put in."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.killing.network import Network
from benchmarks.killing.outside import Outside, Remote, channel_ids
from streams import topics
from streams.database import connect
from streams.records import About, Finding
from streams.records.timeline import encode
from streams.sandbox import jars
from streams.sandbox.kafka import EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
from streams.sandbox.process import EmbeddedError

BEGIN_S = 30.0
DETECTOR = "tool.repeated_error"
POLICY = """
name = "kills"
[time]
lateness_s = 1.0
idle_s = 2.0
tick_s = 0.5
[storm]
per_minute_max = 1000000
[grouping]
members_min = 1000000
"""
OWNER = """
[[owners]]
name = "team-{n}"
channel = "{channel}"
agents = ["t{n}-*"]
"""


class Servers:
    """Kafka and PostgreSQL of one run, each killed with everything it has started, and begun again on its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        jars.fetch(jars.default_cache())
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]  # loopback needs none
        self.kafka = EmbeddedKafka(folder / "kafka")
        self.postgres = EmbeddedPostgres(folder / "postgres")

    def start(self) -> None:
        for folder in ("kafka", "postgres"):
            (self.folder / folder).mkdir(exist_ok=True)
        self.kafka.start()
        self.postgres.start()

    def stop(self) -> None:
        self.postgres.stop()
        self.kafka.stop()

    def database(self, name: str) -> str:
        """A new one."""
        with psycopg.connect(self.postgres.uri("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        return self.postgres.uri(name)

    async def kill_postgres(self) -> None:
        pid = self.postgres.pid
        family = [pid, *_children(pid)]
        for one in family:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        await asyncio.to_thread(self.postgres.kill)
        await asyncio.to_thread(_begun_again, self.postgres)

    async def kill_kafka(self) -> None:
        await asyncio.to_thread(self.kafka.kill)
        await asyncio.to_thread(_begun_again, self.kafka)


def _begun_again(server: EmbeddedKafka | EmbeddedPostgres) -> None:
    """The last child of a server that was killed may hold its folder a moment longer."""
    deadline = time.monotonic() + BEGIN_S
    while True:
        try:
            server.start()
            return
        except EmbeddedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


class World:
    """One database, one generation of topics, one Jira and one Slack."""

    def __init__(self, servers: Servers, name: str, generation: int, outside: Outside, policy: str = POLICY) -> None:
        self.servers, self.name, self.generation = servers, name, generation
        self.folder = servers.folder / name
        self.folder.mkdir()
        self.remote = Remote(outside)
        self.jira, self.slack = Network(self.remote.jira), Network(self.remote.slack)
        self.uri = servers.database(name)
        self.log = self.folder / "lives.log"
        self.armed = self.folder / "armed"
        self.told: dict[str, int] = {}  # fingerprint -> findings put in
        self.put: dict[str, float] = {}  # fingerprint -> when the first one was acknowledged
        self._ids: set[str] = set()
        self._channels = channel_ids(outside.channels)
        self._policy = policy
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> dict[str, str]:
        """What a role needs to know."""
        owners = "".join(OWNER.format(n=n, channel=channel) for n, channel in enumerate(self._channels))
        policy = self.folder / "policy.toml"
        policy.write_text(self._policy + owners, encoding="utf-8")
        await topics.ensure(self.servers.kafka.address, self.generation)
        return {
            "TOCSIN_KAFKA": self.servers.kafka.address,
            "TOCSIN_DATABASE": self.uri,
            "TOCSIN_GENERATION": str(self.generation),
            "TOCSIN_DATADIR": str(self.folder),
            "TOCSIN_POLICY": str(policy),
            "TOCSIN_JIRA_URL": await self.jira.start(),
            "TOCSIN_JIRA_USER": "tocsin@example.com",
            "TOCSIN_JIRA_TOKEN": "t",
            "TOCSIN_SLACK_URL": f"{await self.slack.start()}/api/",
            "TOCSIN_SLACK_TOKEN": "t",
        }

    async def stop(self) -> None:
        await self._forget()
        await self.jira.stop()
        await self.slack.stop()
        await asyncio.to_thread(self.remote.stop)

    async def rows(self, query: str, *given: Any) -> list[tuple[Any, ...]]:
        """A database that was just killed is waited for."""
        deadline = time.monotonic() + 30.0
        while True:
            try:
                async with await connect(self.uri) as conn:
                    return await (await conn.execute(query.encode(), given or None)).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def feed(self, findings: Sequence[Finding]) -> None:
        """Put in is what Kafka has acknowledged; a broker that was just killed is asked again."""
        deadline = time.monotonic() + 60.0
        left = list(findings)
        while left:
            try:
                left = await self._sent(left)
            except (KafkaError, OSError):
                await self._forget()
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _sent(self, findings: list[Finding]) -> list[Finding]:
        topic = topics.named(topics.FINDINGS, self.generation)
        if self._producer is None:
            self._producer = AIOKafkaProducer(bootstrap_servers=self.servers.kafka.address, acks="all")
            await self._producer.start()
        acks = [await self._producer.send(topic, encode(one), key=one.fingerprint.encode()) for one in findings]
        done = await asyncio.wait_for(asyncio.gather(*acks, return_exceptions=True), 15.0)
        now, left = time.time(), []
        for one, ack in zip(findings, done, strict=True):
            if isinstance(ack, BaseException):
                left.append(one)
                continue
            if one.id not in self._ids:
                self._ids.add(one.id)
                self.told[one.fingerprint] = self.told.get(one.fingerprint, 0) + 1
            self.put.setdefault(one.fingerprint, now)
        if left:
            raise KafkaError("not acknowledged")
        return left

    async def _forget(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                await asyncio.wait_for(producer.stop(), 3.0)

    @property
    def incidents(self) -> list[str]:
        """What there has to be: the first episode of each trouble."""
        return [f"{fingerprint}#1" for fingerprint in self.told]


class Troubles:
    """Findings by a seed: mostly new troubles, some seen again, some delivered twice."""

    def __init__(self, name: str, teams: int, source: random.Random) -> None:
        self._name, self._teams, self._random = name, teams, source
        self._count = 0
        self._past: list[Finding] = []

    def some(self, count: int, *, again: float = 0.3) -> list[Finding]:
        found = []
        for _ in range(count):
            one = self.one()
            found.append(one)
            self._past.append(one)
            if self._random.random() < again:
                old = self._random.choice(self._past[-200:])
                found.append(self.seen_again(old))
            if self._random.random() < again / 3:
                found.append(self._random.choice(self._past[-200:]))
        return found

    def one(self) -> Finding:
        n, self._count = self._count, self._count + 1
        agent = f"t{n % self._teams}-{self._name}-{n}"
        fingerprint = f"v1:{DETECTOR}:{self._name}-{n:06d}"
        about = About(agent=agent, release="7", environment="prod", session=f"{agent}/s")
        subject = {"agent": agent, "tool": f"tool-{n}"}
        return Finding(
            DETECTOR, 1, fingerprint, subject, f"{agent}: a tool fails again and again", "high", datetime.now(UTC),
            id=f"{fingerprint}|s|1", about=about,
        )  # fmt: skip

    def seen_again(self, old: Finding) -> Finding:
        from msgspec.structs import replace

        number = self._random.randrange(2, 1000)
        return replace(old, id=f"{old.fingerprint}|s|{number}", at=datetime.now(UTC))
