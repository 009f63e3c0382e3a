"""One run of the kill matrix: lives that compete, kills by the plan, then quiet, then the judgement."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct, field

from benchmarks.killing import plan
from benchmarks.killing.detecting import Detecting
from benchmarks.killing.judging import Judged, compared, counted, story
from benchmarks.killing.lives import Crew
from benchmarks.killing.network import Network, owner_of
from benchmarks.killing.outside import Outside
from benchmarks.killing.plan import Kill
from benchmarks.killing.world import Servers, Troubles, World

# Nobody may ask before the call is surely over: the wire gives up after twice its timeout.
PACE = {"TOCSIN_CALL_TIMEOUT_S": "1.5", "TOCSIN_ASK_AFTER_S": "4.0", "TOCSIN_AUDIT_AFTER_S": "3.0"}
CHANNELS = tuple(f"team-{n}" for n in range(20))
WORKERS = 3
WITHIN_S = 2.5  # what is not reached by then is tried again later
AT_ONCE = 6  # steps that are armed together
MISSES_MAX = 6  # in a row
UNFINISHED_MAX = 60
UNFINISHED = "SELECT count(*) FROM obligations WHERE state IN ('owed', 'attempting') AND kind IN ('page', 'ticket')"
WEATHER_EVERY = 8
DRAIN_S = 420.0
STORIES_MAX = 10


class Tally(Struct, kw_only=True):
    kills: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    took: dict[str, float] = field(default_factory=dict)  # seconds, by kind
    missed: Counter[str] = field(default_factory=Counter)  # steps that were never reached
    ended: list[int] = field(default_factory=list)  # lives that ended by themselves
    seconds: float = 0.0
    drained: bool = True
    judged: Judged = field(default_factory=Judged)
    stories: list[str] = field(default_factory=list)  # of what is wrong, as the book tells it


class Matrix:
    def __init__(
        self,
        servers: Servers,
        kills: int,
        seed: int,
        *,
        detect: int = 0,
        pace: dict[str, str] = PACE,
        lag_s: float = 2.0,
    ) -> None:
        self.servers, self.kills, self.seed, self.detect, self._pace = servers, kills, seed, detect, pace
        self._random = random.Random(seed)
        self._random_weather = random.Random(seed + 1)
        outside = Outside(seed=seed, channels=CHANNELS, lag_s=lag_s, rate_limit=1.0, people=True, strangers=30)
        self.world = World(servers, "kills", 2 + seed % 10**6, outside)
        self._troubles = Troubles("kills", len(CHANNELS), random.Random(seed + 2))
        self.tally = Tally()
        self._crew: Crew
        self._deadline, self._known = 0.0, False
        self._wanted: asyncio.Queue[int] = asyncio.Queue(maxsize=3)

    async def run(self, within_s: float) -> Tally:
        began = time.monotonic()
        self._deadline = began + within_s
        with suppress(ValueError, RuntimeError):  # not in a thread of a test
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._enough)
        environ = {**await self.world.start(), **self._pace}
        self._crew = Crew("respond", WORKERS, environ, self.world.armed, self.world.log)
        detecting = Detecting(self.world, environ, self.detect, self.seed)
        feeding = asyncio.create_task(self._feeding())
        try:
            self._crew.mend()
            rebalances = asyncio.create_task(detecting.run()) if self.detect else None
            await self._kill_all()
            await self._wanted.join()
            if rebalances:
                self.tally.kinds[plan.DETECT] = seen = await rebalances
                self.tally.kinds[plan.DETECT_BESIDE] = self.detect - seen
                self.tally.kills += self.detect
            await self._judge(detecting.incidents)
        finally:
            feeding.cancel()
            detecting.stop()
            self._crew.stop()
            self.tally.ended = self._crew.ended
            self.tally.seconds = round(time.monotonic() - began, 1)
            await self.world.stop()
        return self.tally

    def _enough(self) -> None:
        """Asked to end: no more kills, but the judgement."""
        self._deadline = 0.0

    async def _kill_all(self) -> None:
        todo, turn, misses = plan.planned(self.kills - self.detect, self._random), 0, 0
        while todo and time.monotonic() < self._deadline:
            if turn % WEATHER_EVERY == 0:
                await self.world.remote.ask("weather", *plan.weather(self._random_weather))
            turn += 1
            await self._feed()
            began = time.monotonic()
            done = await self._killed(todo)
            if done is None:
                misses += 1
                todo = self._put_off(todo, misses)
            else:
                self.tally.took[done.kind] = self.tally.took.get(done.kind, 0.0) + time.monotonic() - began
                self.tally.kinds[done.kind] += 1
                self.tally.kills += 1
                misses = 0
                if self.tally.kills % 25 == 0:
                    self._say(f"{self.tally.kills} of {self.kills} kills, {len(self.world.told)} incidents")
            self._crew.mend()

    def _put_off(self, todo: list[Kill], misses: int) -> list[Kill]:
        """What was not reached is tried again behind some others; what never comes gives way to chance."""
        if misses < MISSES_MAX:
            return [*todo[AT_ONCE:], *(kill._replace(nth=1) for kill in todo[:AT_ONCE])]
        self.tally.missed[todo[0].kind] += 1
        return [Kill(plan.RANDOM), *todo[1:]]

    async def _feed(self) -> None:
        """A little more, unless people are owed a lot already."""
        left = await self.world.rows(UNFINISHED) if await self._there() else [(0,)]
        if left[0][0] < UNFINISHED_MAX and not self._wanted.full():
            self._wanted.put_nowait(self._random.randint(1, 4))

    async def _feeding(self) -> None:
        """Beside the kills: a broker that was killed takes its time."""
        while True:
            await self.world.feed(self._troubles.some(await self._wanted.get()))
            self._wanted.task_done()

    async def _there(self) -> bool:
        self._known = self._known or (await self.world.rows("SELECT to_regclass('obligations') IS NOT NULL"))[0][0]
        return self._known

    async def _killed(self, todo: list[Kill]) -> Kill | None:
        """The next one of the plan, which is then no longer in it. Of some steps that are next, the one reached first."""
        kill = todo[0]
        if kill.kind in plan.STEPS:
            some = {plan.STEPS[one.kind]: one.nth for one in reversed(todo[:AT_ONCE]) if one.kind in plan.STEPS}
            point = await self._at_step(some)
            kill = next((one for one in todo if one.kind == plan.KINDS.get(point or "")), None) or kill
            done = point is not None
        elif kill.kind in plan.DURING:
            done = await self._during(plan.DURING[kill.kind])
        elif kill.kind in plan.CUT:
            done = await self._cut(plan.CUT[kill.kind])
        else:
            deeds: dict[str, Callable[[], Awaitable[bool]]] = {
                plan.RANDOM: self._at_random,
                plan.BOTH: self._both,
                plan.POSTGRES: self._postgres,
                plan.KAFKA: self._kafka,
            }
            done = await deeds[kill.kind]()
        if done:
            todo.remove(kill)
        return kill if done else None

    async def _at_step(self, points: dict[str, int]) -> str | None:
        self._crew.armed.arm(points)
        hit = await self._crew.hit(WITHIN_S)
        late = self._crew.armed.disarm()
        if late and not hit:
            await asyncio.sleep(0.05)
        return hit or (late.point if late else None)

    async def _at_random(self) -> bool:
        await asyncio.sleep(self._random.uniform(0.0, 1.2))
        return self._crew.killed(self._random.choice(self._crew.lives).pid or 0)

    async def _both(self) -> bool:
        """The first is hit at a step, the other one at once."""
        reached = await self._at_step(dict.fromkeys(self._random.sample(list(plan.KINDS), AT_ONCE), 1))
        killed = [self._crew.killed(one.pid or 0) for one in list(self._crew.lives)]
        return reached is not None or any(killed)

    async def _postgres(self) -> bool:
        await asyncio.sleep(self._random.uniform(0.0, 0.6))
        await self.servers.kill_postgres()
        return True

    async def _kafka(self) -> bool:
        await asyncio.sleep(self._random.uniform(0.0, 0.6))
        await self.servers.kill_kafka()
        return True

    async def _during(self, name: str) -> bool:
        """While the request is on its way, or its answer: whoever made the call dies."""
        dead: list[bool] = []

        def deed(port: int) -> None:
            pid = owner_of(port, [one.pid or 0 for one in self._crew.lives])
            dead.append(pid is not None and self._crew.killed(pid))

        return await self._struck(name, deed) and any(dead)

    async def _cut(self, name: str) -> bool:
        """The network goes while the call is under way; soon after, so does a worker."""
        silent, seconds = self._random.random() < 0.5, self._random.uniform(0.3, 3.0)
        network = self._network(name)
        if not await self._struck(name, lambda _: network.cut(seconds, silent=silent)):
            return False
        await asyncio.sleep(self._random.uniform(0.0, 2.0))
        return self._crew.killed(self._random.choice(self._crew.lives).pid or 0)

    async def _struck(self, name: str, deed: Callable[[int], None]) -> bool:
        network = self._network(name)
        start = b"POST /rest/api/3/issue HTTP" if name.startswith("ticket") else b"POST /api/chat.postMessage"
        network.arm("asked" if name.endswith("asked") else "answered", start, deed)
        deadline = time.monotonic() + WITHIN_S
        while not network.struck and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        network.disarm()
        return network.struck > 0

    def _network(self, name: str) -> Network:
        return self.world.jira if name.startswith("ticket") else self.world.slack

    async def _judge(self, more: list[str]) -> None:
        """Quiet: no kills, no faults; what is owed is done and audited, then everything is counted."""
        await self.world.remote.ask("weather", [], [])
        await self.world.remote.ask("rest")
        self._say(f"waiting for {len(self.world.told) + len(more)} incidents to be told and audited")
        self.tally.drained = await settled(self.world, self._crew, DRAIN_S, more)
        state = await self.world.remote.state()
        self.tally.judged = counted(state, [*self.world.incidents, *more])
        await compared(self.world, state, self.tally.judged)
        named = {complaint.rpartition(":")[0] for complaint in self.tally.judged.complaints}
        self.tally.stories = [line for name in sorted(named)[:STORIES_MAX] for line in await story(self.world, name)]

    def _say(self, text: str) -> None:
        left = self._deadline - time.monotonic()
        sys.stderr.write(f"{self.world.name}: {text} ({left:.0f} s left)\n")
        sys.stderr.flush()


async def settled(world: World, crew: Crew, within_s: float, more: list[str] | None = None) -> bool:
    """Everything is known, nothing owed, unconfirmed, unaudited or unsaid."""
    deadline = time.monotonic() + within_s
    wanted = {*world.incidents, *(more or ())}
    while time.monotonic() < deadline:
        crew.mend()
        known = {row[0] for row in await world.rows("SELECT id FROM incidents WHERE ticket IS NOT NULL")}
        left = await world.rows(
            "SELECT (SELECT count(*) FROM obligations WHERE state IN ('owed', 'attempting') OR confirm_at IS NOT NULL"
            " OR audit_at IS NOT NULL) + (SELECT count(*) FROM publish) + (SELECT count(*) FROM inbox)"
        )
        if wanted <= known and left == [(0,)]:
            return True
        await asyncio.sleep(1.0)
    return False


def ended_in_order(signals: list[int]) -> bool:
    return all(code in (0, -signal.SIGTERM) for code in signals)
