"""The shapes of what fails, one function each: settings and policy as shipped."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks.killing.judging import by_incident, counted
from benchmarks.killing.lives import Crew, end, spawn
from benchmarks.killing.outside import Outside, State
from benchmarks.killing.world import Servers, Troubles, World
from streams.sandbox.jira.catalogue import DONE

CHANNELS = tuple(f"team-{n}" for n in range(20))
SHIPPED = 'name = "rows"\n'
UNBUDGETED = SHIPPED + "[storm]\nper_minute_max = 100000\n"
PER_S = 10
CREATE: dict[str, Any] = {"path": "/rest/api/*/issue", "method": "POST", "times": None}
POST: dict[str, Any] = {"path": "chat.postMessage", "times": None}
WORKING = (
    "SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name IN ('tocsin book', 'tocsin carry jira', 'tocsin carry slack')"
)
GATEWAY: dict[str, Any] = {**CREATE, "kind": "status", "code": 504, "when": "after"}


class Stage:
    """One row: a world of its own and as many respond processes as it wants."""

    def __init__(self, servers: Servers, row: str, place: int, incidents: int, seed: int) -> None:
        self.row, self.incidents, self.random = row, incidents, random.Random(seed)
        one_channel = row.startswith("burst")
        outside = Outside(
            seed=seed, channels=CHANNELS[:1] if one_channel else CHANNELS, rate_limit=1.0 if one_channel else None
        )
        policy = UNBUDGETED if row == "burst-unbudgeted" else SHIPPED
        self.world = World(servers, f"row_{row.replace('-', '_')}", 4_000_000 + place, outside, policy)
        self.troubles = Troubles(row, len(outside.channels), random.Random(seed + 2))
        self.note = ""
        self.crew: Crew
        self.environ: dict[str, str] = {}

    async def start(self, members: int) -> None:
        self.environ = await self.world.start()
        self.crew = Crew("respond", members, self.environ, self.world.armed, self.world.log)
        self.crew.mend()
        await until(lambda: _at_least(self.world, WORKING, 3), 60.0)
        await asyncio.sleep(1.0)  # the reader of findings has its partitions

    async def stop(self) -> None:
        self.crew.stop()
        await self.world.stop()

    async def weather(self, jira: Sequence[dict[str, Any]] = (), slack: Sequence[dict[str, Any]] = ()) -> None:
        await self.world.remote.ask("weather", list(jira), list(slack))

    async def feed(self, *, at_once: bool = False) -> None:
        for _ in range(0, self.incidents, PER_S):
            await self.world.feed(self.troubles.some(PER_S, again=0.0))
            await asyncio.sleep(0.0 if at_once else 1.0)

    async def told(self, within_s: float = 600.0) -> State:
        """Until everybody has a ticket and a page, and no two are open; or until that takes too long."""
        deadline = time.monotonic() + within_s
        while True:
            self.crew.mend()
            state = await self.world.remote.state()
            judged = counted(state, self.world.incidents)
            if time.monotonic() > deadline or not (judged.lost_tickets or judged.lost_pages or judged.doubled_open):
                return state
            await asyncio.sleep(0.5)


async def quiet(stage: Stage) -> State:
    await stage.start(1)
    await stage.feed()
    return await stage.told()


async def gateway(stage: Stage) -> State:
    await stage.start(1)
    await stage.weather([GATEWAY])
    await stage.feed()
    return await stage.told()


async def half_a_minute(stage: Stage) -> State:
    await stage.start(1)
    await stage.weather([GATEWAY])
    feeding = asyncio.create_task(stage.feed())
    await asyncio.sleep(30.0)
    await stage.weather()
    await feeding
    return await stage.told()


async def reset(stage: Stage) -> State:
    await stage.start(1)
    await stage.weather([{**CREATE, "kind": "reset", "when": "before"}])
    await stage.feed()
    await asyncio.sleep(120.0)
    await stage.weather()
    return await stage.told()


async def crashes(stage: Stage) -> State:
    await stage.start(1)
    feeding = asyncio.create_task(stage.feed())
    for _ in range(10):
        await asyncio.sleep(stage.random.uniform(1.0, 3.0))
        stage.crew.killed(stage.crew.lives[0].pid or 0)
        stage.crew.mend()
    await feeding
    return await stage.told()


async def limited(stage: Stage) -> State:
    await stage.start(1)
    fault = {**POST, "kind": "status", "code": 429, "when": "before", "headers": {"Retry-After": "5"}}
    await stage.weather(slack=[fault])
    feeding = asyncio.create_task(stage.feed())
    await asyncio.sleep(20.0)
    await stage.weather()
    await feeding
    return await stage.told()


async def burst(stage: Stage) -> State:
    """By default an owner is told of 30 incidents a minute, then in one message how many more there are."""
    await stage.start(1)
    await stage.feed(at_once=True)
    await asyncio.sleep(60.0)
    first = await stage.world.remote.state()
    judged = counted(first, stage.world.incidents)
    roots = [message for _, message in first.messages if not message.is_reply]
    stage.note = f"after a minute {len(roots)} messages, {stage.incidents - judged.lost_pages} incidents told singly"
    state = await stage.told(660.0)
    known = await stage.world.rows("SELECT count(*), count(*) FILTER (WHERE body->'held' <> '[]') FROM incidents")
    stage.note += f"; in the end {known[0][0]} in the book, {known[0][1]} of them held"
    return state


async def burst_unbudgeted(stage: Stage) -> State:
    await stage.start(1)
    await stage.feed(at_once=True)
    return await stage.told(660.0)


async def members(stage: Stage) -> State:
    await stage.start(3)
    slow = {**CREATE, "kind": "hang", "when": "before", "seconds": 20.0, "every": 20}
    await stage.weather([{**GATEWAY, "every": 20}, slow])
    feeding = asyncio.create_task(stage.feed())
    for _ in range(6):
        await asyncio.sleep(5.0)
        stage.crew.killed(stage.random.choice(stage.crew.lives).pid or 0)
        stage.crew.mend()
    await feeding
    return await stage.told()


async def wont_do(stage: Stage) -> State:
    """A person closes every ticket as Won't Do; learn reads that; then every trouble is seen again."""
    await stage.start(1)
    seen = stage.troubles.some(stage.incidents, again=0.0)
    await stage.world.feed(seen)
    state = await stage.told()
    learn = spawn("learn", {**stage.environ, "TOCSIN_POLL_TICKETS_S": "2"}, stage.world.armed, stage.world.log)
    try:
        keys = [one.key for mine in by_incident(state).values() for one in mine]
        await stage.world.remote.ask("resolve", keys, "Won't Do")
        query = "SELECT count(*) FROM incidents WHERE outcome = 'wont_fix'"
        await until(lambda: _at_least(stage.world, query, len(keys)), 120.0)
        await stage.world.feed([stage.troubles.seen_again(one) for one in seen])
        query = "SELECT coalesce(sum((body->>'findings')::int), 0) FROM incidents"
        await until(lambda: _at_least(stage.world, query, 2 * len(keys)), 60.0)
        await asyncio.sleep(10.0)
    finally:
        end(learn)
    state = await stage.world.remote.state()
    standing = sum(one.status != DONE for one in state.tickets)
    stage.note = f"{standing} open tickets afterwards: it stays closed, the sighting is counted"
    return state


async def _at_least(world: World, query: str, count: int) -> bool:
    return int((await world.rows(query))[0][0]) >= count


async def until(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not await holds() and time.monotonic() < deadline:
        await asyncio.sleep(0.5)


async def unavailable(stage: Stage) -> State:
    return await _refused(stage, {"code": 503})


async def too_many(stage: Stage) -> State:
    state = await _refused(stage, {"code": 429, "headers": {"Retry-After": "10"}})
    tried = sorted(await stage.world.remote.ask("creates"))
    runs = 1 + sum(later - one > 8.0 for one, later in itertools.pairwise(tried))
    early = state.calls.get("create before:status", 0)
    stage.note = f"with Retry-After: 10: {early} creates in half a minute, in {runs} bouts of at most 16 at once"
    return state


async def _refused(stage: Stage, answer: dict[str, Any]) -> State:
    await stage.start(1)
    await stage.weather([{**CREATE, "kind": "status", "when": "before", **answer}])
    feeding = asyncio.create_task(stage.feed())
    await asyncio.sleep(30.0)
    await stage.weather()
    await feeding
    return await stage.told()
