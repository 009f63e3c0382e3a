"""The book and the carriers against the sandbox's Slack and Jira, with the limits of the real ones.

    python -m benchmarks.respond throughput|latency|storm [--incidents N] [--rate N] [--json FILE]

40 owners with a channel each. Slack takes one new message a second and channel, Jira 100 creations a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from streams import topics
from streams.beliefs import Storm
from streams.policy import Owner, Policy, load
from streams.records import About, Finding
from streams.records.timeline import encode
from streams.respond.worker import run
from streams.sandbox import jars
from streams.sandbox.kafka import EmbeddedKafka
from streams.sandbox.postgres import EmbeddedPostgres
from streams.sandbox.slack.state import number
from streams.settings import Secret, Settings

from .responding.outside import Outside, outside

OWNERS = 40
CHANNELS = tuple(f"team-{n}" for n in range(OWNERS))
RATE = 20.0  # incidents a second, where latency is measured
STORM_S = 60.0
Found = dict[str, Any]
INCIDENTS = {"throughput": 1000, "latency": 600, "storm": 10_000}


def finding(n: int) -> Finding:
    agent = f"team-{n % OWNERS}-{n}"
    about = About(agent=agent, release="7", environment="prod")
    subject = {"agent": agent, "tool": "search"}
    return Finding(
        "tool.repeated_error", 1, f"v1:tool.repeated_error:{n:016x}", subject, "search fails again and again", "high",
        datetime.now(UTC), id=f"f{n}", about=about,
    )  # fmt: skip


class World:
    """A running respond role, the log of findings, the database and what the outside heard."""

    def __init__(self, settings: Settings, told: Outside, producer: AIOKafkaProducer, conn: Any) -> None:
        self.settings, self.outside, self.producer, self.conn = settings, told, producer, conn
        self.rate = RATE
        self.said: dict[str, float] = {}  # agent -> when its finding was said

    async def find(self, n: int) -> None:
        one = finding(n)
        self.said[one.about.agent] = time.time()
        await self.producer.send(topics.FINDINGS.name, encode(one), key=one.fingerprint.encode())

    async def find_all(self, count: int, seconds: float) -> None:
        """Evenly, or at once."""
        began = time.monotonic()
        for n in range(count):
            if (early := began + n * seconds / count - time.monotonic()) > 0:
                await asyncio.sleep(early)
            await self.find(n)
        await self.producer.flush()

    async def ask(self, query: str) -> tuple[Any, ...]:
        row = await (await self.conn.execute(query.encode())).fetchone()
        return tuple(row or ())

    async def until(self, query: str) -> None:
        while not (await self.ask(query))[0]:
            await asyncio.sleep(0.1)


async def throughput(world: World, incidents: int) -> Found:
    cpu, began = time.process_time(), time.monotonic()
    await world.find_all(incidents, 0.0)
    told = (
        f"SELECT count(*) FILTER (WHERE kind = 'page' AND ordinal = 1 AND state = 'done') >= {incidents}"
        f" AND count(*) FILTER (WHERE kind = 'ticket' AND state = 'done') >= {incidents} FROM obligations"
    )
    await world.until(told)
    opened = time.monotonic() - began
    used = 1000 * (time.process_time() - cpu) / incidents
    await world.until("SELECT count(*) = 0 FROM obligations WHERE sort <> 'edits' AND state IN ('owed', 'attempting')")
    late = await world.ask("SELECT count(*) FROM obligations WHERE state IN ('owed', 'attempting')")
    return {
        "incidents with page and ticket a minute": round(60 * incidents / opened),
        "with evidence and all but the pages' edits": round(60 * incidents / (time.monotonic() - began)),
        "edits that wait for Slack's 50 a minute": late[0],
        "CPU of the role, ms per incident": round(used, 1),
    }


async def latency(world: World, incidents: int) -> Found:
    warm = 40
    await world.find_all(incidents + warm, (incidents + warm) / world.rate)
    await world.until(
        f"SELECT count(*) >= {incidents + warm} FROM obligations WHERE kind = 'ticket' AND state = 'done'"
    )
    heard = await asyncio.to_thread(world.outside.heard)
    agents = list(world.said)[warm:]
    found: Found = {}
    for name, first in (("Slack", heard.pages), ("Jira", heard.tickets)):
        waits = sorted(1000 * (first[agent] - world.said[agent]) for agent in agents if agent in first)
        for percent in (50, 90, 99):
            found[f"finding to {name} call, p{percent} ms"] = round(waits[len(waits) * percent // 100], 1)
    stages = (
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o.at - i.first_seen),"
        " percentile_disc(0.5) WITHIN GROUP (ORDER BY o.created_at - o.at),"
        " percentile_disc(0.5) WITHIN GROUP (ORDER BY o.started - o.created_at)"
        " FROM obligations o JOIN incidents i ON i.id = o.incident WHERE o.sort = 'opens' AND o.attempt = 1"
    )
    read, settled, taken = (round(1000 * one.total_seconds(), 1) for one in await world.ask(stages))
    return {**found, "of it p50: until read, until the transaction began, until taken, ms": [read, settled, taken]}


async def storm(world: World, incidents: int) -> Found:
    await world.find_all(incidents, STORM_S)
    read = f"SELECT count(*) >= {incidents} FROM incidents"
    await world.until(read)
    behind = time.time() - max(world.said.values())
    pages = "o.kind = 'page' AND o.ordinal = 1 AND o.id NOT LIKE 'storm:%'"
    minute = (
        "SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM obligations o LEFT JOIN incidents i ON i.id = o.incident"
        f" WHERE {pages} GROUP BY i.owner, date_trunc('minute', o.at)) AS told"
    )
    told = await world.ask(f"SELECT count(*) FROM obligations o WHERE {pages}")
    await asyncio.sleep(130)  # two more minutes: what was held back is released, as much a minute as people can read
    later = await world.ask(f"SELECT count(*) FROM obligations o WHERE {pages}")
    return {
        "incidents in the book": (await world.ask("SELECT count(*) FROM incidents"))[0],
        "the book was behind the last finding, s": round(behind, 1),
        "told to one owner in a minute, at most": (await world.ask(minute))[0],
        "umbrellas": (await world.ask("SELECT count(*) FROM obligations WHERE id LIKE 'storm:%:page:1'"))[0],
        "told when the storm ended, and two minutes later": [told[0], later[0]],
    }


MODES: dict[str, Callable[[World, int], Awaitable[Found]]] = {
    "throughput": throughput,
    "latency": latency,
    "storm": storm,
}


def believed(mode: str) -> Policy:
    owners = tuple(Owner(name=name, channel=number("C", name), agents=[f"{name}-*"]) for name in CHANNELS)
    policy = load()
    policy = replace(policy, owners=owners, routing=replace(policy.routing, channel=number("C", CHANNELS[0])))
    # The pace of the machinery is asked for, not of people.
    return policy if mode == "storm" else replace(policy, storm=Storm(per_minute_max=10**6))


async def measured(settings: Settings, told: Outside, mode: str, incidents: int, rate: float) -> Found:
    stop = asyncio.Event()
    await topics.ensure(settings.kafka)
    role = asyncio.create_task(run(settings, believed(mode), CollectorRegistry(), lambda: None, stop))
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka)
    await producer.start()
    async with await psycopg.AsyncConnection.connect(settings.database, autocommit=True) as conn:
        world = World(settings, told, producer, conn)
        world.rate = rate
        await world.until("SELECT to_regclass('obligations') IS NOT NULL")
        await asyncio.sleep(2.0)  # the role has its locks and connections
        found = await MODES[mode](world, incidents)
        heard = await asyncio.to_thread(told.heard)
        found |= {"answered with 429": heard.limited, "violations of Slack's and Jira's limits": heard.violations}
        states = "SELECT jsonb_object_agg(state, n) FROM (SELECT state, count(*) AS n FROM obligations GROUP BY 1) AS s"
        found["obligations"] = (await world.ask(states))[0]
        whys = "SELECT jsonb_agg(DISTINCT kind || ': ' || left(why, 200)) FROM obligations WHERE state = 'refused'"
        found["refused"] = (await world.ask(whys))[0]
        calls = Counter({name: count for name, count in heard.calls.items() if "/attachments" not in name})
        found["calls"] = dict(calls.most_common(6))
    stop.set()
    await role
    await producer.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=list(MODES))
    parser.add_argument("--incidents", type=int)
    parser.add_argument("--rate", type=float, default=RATE, help="incidents a second, where latency is measured")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    jars.fetch(jars.default_cache())
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # loopback needs none
    incidents = given.incidents or INCIDENTS[given.mode]
    with (
        tempfile.TemporaryDirectory() as folder,
        outside(CHANNELS) as told,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
        EmbeddedPostgres(Path(folder) / "postgres") as postgres,
    ):
        settings = Settings(
            kafka=kafka.address, database=postgres.address, jira_url=told.jira, jira_user="tocsin@example.com",
            jira_token=Secret("t"), slack_url=f"{told.slack}/api/", slack_token=Secret("t"),
        )  # fmt: skip
        found = {"mode": given.mode, "incidents": incidents}
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the role runs
            found |= runner.run(measured(settings, told, given.mode, incidents, given.rate))
    for name, value in found.items():
        print(f"{name}: {value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
