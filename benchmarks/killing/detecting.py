"""Two detect processes that share the timeline; one of them is killed while the group gives its partitions away."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from benchmarks.killing.lives import end, spawn
from benchmarks.killing.world import DETECTOR, World
from streams.importing.send import send

SESSIONS = 6  # failing ones, for each kill
CALLS = 24
REBALANCE_S = 20.0
OVER_S = 90.0


class Detecting:
    """Its findings go where the others go: one respond reads them all."""

    def __init__(self, world: World, environ: dict[str, str], kills: int, seed: int) -> None:
        self._world, self._kills = world, kills
        self._environ = {**environ, "TOCSIN_SELF_REPORT_S": "0"}
        self._random = random.Random(seed + 5)
        self._lives: dict[str, BaseProcess] = {}
        self._wanted: set[str] = set()  # agents
        self.incidents: list[str] = []

    async def run(self) -> int:
        """How many were killed during a rebalance. Afterwards `incidents` is what there has to be."""
        self._begin("intake")
        self._begin("detect", "0")
        done = 0
        for n in range(self._kills):
            await self._feed(n)
            self._begin("detect", "1")  # its joining, or its coming back, is the rebalance
            done += await self._killed_in_rebalance(self._random.choice(("0", "1")))
            await self._feed(n + 1000)
            for replica in ("0", "1"):
                if not self._lives[f"detect-{replica}"].is_alive():
                    self._begin("detect", replica)
            await asyncio.sleep(1.0)
            end(self._lives.pop("detect-1"), signal.SIGTERM)
        self._begin("detect", "1")
        await self._over()
        return done

    def stop(self) -> None:
        for one in self._lives.values():
            end(one, signal.SIGTERM)
        self._lives.clear()

    def _begin(self, role: str, replica: str = "0") -> None:
        environ = {**self._environ, "TOCSIN_REPLICA": replica}
        environ["TOCSIN_DATADIR"] = str(self._world.folder / f"{role}-{replica}")
        self._lives[f"{role}-{replica}"] = spawn(role, environ, self._world.armed, self._world.log)

    async def _killed_in_rebalance(self, replica: str) -> int:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._world.servers.kafka.address)
        seen = False
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(REBALANCE_S):
                await admin.start()
                while not (seen := await self._rebalancing(admin)):
                    await asyncio.sleep(0.005)
        end(self._lives[f"detect-{replica}"])
        with suppress(Exception):
            await admin.close()
        return int(seen)  # otherwise it was quicker than we could see

    async def _rebalancing(self, admin: AIOKafkaAdminClient) -> bool:
        found = await admin.describe_consumer_groups([f"tocsin-detect-g{self._world.generation}"])
        return any("Rebalance" in str(group[2]) for answer in found for group in answer.groups)

    async def _feed(self, n: int) -> None:
        agents = [f"t{k}-detected-{n}-{k}" for k in range(SESSIONS)]
        self._wanted |= set(agents)
        flow = [message for agent in agents for message in _session(agent)]
        deadline = time.monotonic() + OVER_S
        while time.monotonic() < deadline:  # a broker that was killed: what is sent twice is known by its id
            with suppress(KafkaError, OSError):
                await send(self._world.servers.kafka.address, flow)
                return
            await asyncio.sleep(1.0)
        raise TimeoutError("Kafka does not take the events of the sessions")

    async def _over(self) -> None:
        """Until the book knows an incident of each failing session."""
        deadline = time.monotonic() + OVER_S
        query = "SELECT id, agent FROM incidents WHERE agent LIKE 't%-detected-%' AND detector = '" + DETECTOR + "'"
        found: list[tuple[Any, ...]] = []
        while time.monotonic() < deadline:
            found = await self._world.rows(query)
            if {agent for _, agent in found} >= self._wanted:
                break
            await asyncio.sleep(0.5)
        missing = self._wanted - {agent for _, agent in found}
        self.incidents = [row[0] for row in found] + [f"missing:{agent}" for agent in sorted(missing)]


def _session(agent: str) -> list[tuple[bytes, bytes]]:
    """A tool that fails at the end, again and again."""
    began = datetime.now(UTC)
    events = [_event("session.started", agent, 0, began)]
    for turn in range(CALLS):
        failing = turn >= CALLS - 4
        status: dict[str, Any] = {"status": "ok"}
        if failing:
            status = {"status": "error", "error": {"type": "Timeout", "template": "no answer"}}
        tool = {"name": f"book-of-{agent}"}
        at = began + timedelta(milliseconds=turn)
        events.append(_event("tool.called", agent, turn + 1, at, call_id=f"c{turn}", tool=tool, **status))
    return events


def _event(kind: str, agent: str, n: int, at: datetime, **data: Any) -> tuple[bytes, bytes]:
    session = f"{agent}/s"
    ctx = {"session_id": session, "run_id": "r", "agent": {"id": agent, "version": "1"}}
    envelope = {"specversion": "1.0", "id": f"e{n}", "source": f"/t/{agent}", "type": f"agent.{kind}.v1"}
    body = {**envelope, "time": at.isoformat(), "data": {"ctx": ctx, **data}}
    return session.encode(), json.dumps(body).encode()
