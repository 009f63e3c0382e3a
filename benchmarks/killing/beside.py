"""The same incidents through the usual ways, under the same faults, lag and kills: what the matrix can see."""

from __future__ import annotations

import asyncio
import random
import sys
import time

from benchmarks.killing import plan
from benchmarks.killing.judging import Judged, counted
from benchmarks.killing.lives import Crew
from benchmarks.killing.matrix import CHANNELS, PACE, WEATHER_EVERY
from benchmarks.killing.naive import Way
from benchmarks.killing.network import owner_of
from benchmarks.killing.outside import Outside
from benchmarks.killing.world import Servers, Troubles, World

WITHIN_S = 3.0
QUIET_S = 60.0
POINTS = {"search": "acted", "retry": "acted", "once": "recorded"}
CREATE = b"POST /rest/api/3/issue HTTP"


class Beside:
    """One way. Kafka and PostgreSQL stay up: these ways have enough to do."""

    def __init__(self, servers: Servers, way: Way, kills: int, seed: int) -> None:
        self._way, self._kills = way, kills
        self._random, self._weather = random.Random(seed), random.Random(seed + 1)
        outside = Outside(seed=seed, channels=CHANNELS, rate_limit=1.0)
        self._world = World(servers, f"beside_{way}", 3_000_000 + list(POINTS).index(way), outside)
        self._troubles = Troubles("kills", len(CHANNELS), random.Random(seed + 2))
        self._crew: Crew

    async def run(self) -> tuple[int, Judged]:
        environ = {**await self._world.start(), **PACE}
        self._crew = Crew(self._way, 1, environ, self._world.armed, self._world.log)
        done = 0
        try:
            for n in range(self._kills):
                self._crew.mend()
                if n % WEATHER_EVERY == 0:
                    await self._world.remote.ask("weather", *plan.weather(self._weather))
                await self._world.feed(self._troubles.some(self._random.randint(1, 3)))
                done += await self._killed()
                if n % 50 == 0:
                    sys.stderr.write(f"{self._world.name}: {done} of {self._kills} kills\n")
            await self._world.remote.ask("weather", [], [])
            await self._quiet()
            return done, counted(await self._world.remote.state(), self._world.incidents)
        finally:
            self._crew.stop()
            await self._world.stop()

    async def _killed(self) -> bool:
        roll = self._random.random()
        if roll < 0.4:
            self._crew.armed.arm({POINTS[self._way]: self._random.randint(1, 2)})
            hit = await self._crew.hit(WITHIN_S)
            return hit is not None or self._crew.armed.disarm() is not None
        if roll < 0.6:
            return await self._during()
        await asyncio.sleep(self._random.uniform(0.1, 1.2))
        return self._crew.killed(self._crew.lives[0].pid or 0)

    async def _during(self) -> bool:
        dead: list[bool] = []

        def deed(port: int) -> None:
            pid = owner_of(port, [one.pid or 0 for one in self._crew.lives])
            dead.append(pid is not None and self._crew.killed(pid))

        self._world.jira.arm("answered", CREATE, deed)
        deadline = time.monotonic() + WITHIN_S
        while not dead and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._world.jira.disarm()
        return any(dead)

    async def _quiet(self) -> None:
        """Until nothing has been written for a while."""
        deadline, last, calm = time.monotonic() + QUIET_S, -1, 0
        while time.monotonic() < deadline and calm < 6:
            self._crew.mend()
            state = await self._world.remote.state()
            now = len(state.tickets) + len(state.messages)
            calm = calm + 1 if now == last else 0
            last = now
            await asyncio.sleep(1.0)
