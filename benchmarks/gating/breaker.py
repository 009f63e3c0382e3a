"""The breaker of agents: what a check costs, and how long a decision takes to reach an agent.

    python -m benchmarks.gating.breaker [--reach]

A check is timed alone, call by call, with what reading the clock costs taken off; both are shown. `--reach` tells a
throttle to learn on a real PostgreSQL and a real Kafka, and waits in a busy loop until the agent's breaker refuses.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from streams import policy, topics
from streams.database import connect, migrate
from streams.learn.recording import tell
from streams.learn.worker import run
from streams.records import Control, ControlAsked, Scope
from streams.sdk.breaker import AgentHalted, Breaker
from streams.sdk.feeds import KafkaFeed, StaticFeed
from streams.settings import Settings
from streams.settle import Publisher

RULES = 10_000
CHECKS = 200_000
WARMING = 20_000
REACHES = 50
ORDERS_S = 30.0
KINDS = 5


def rules(count: int = RULES) -> list[Control]:
    """Of all kinds of scopes but the one that holds everybody; none of them about the agent that asks."""
    now, found = datetime.now(UTC), []
    for number in range(count):
        scopes = (
            Scope("tenant", id=f"tenant-{number}"),
            Scope("agent", f"agent-{number}"),
            Scope("release", f"agent-{number % 50}", f"r{number}"),
            Scope("tool", id=f"tool-{number}"),
            Scope("agent_tool", f"agent-{number % 50}", f"tool-{number}"),
        )
        found.append(Control(scope=scopes[number % KINDS], state="open", seq=number + 1, issued_at=now))
    return found


def checks(breaker: Breaker, count: int = CHECKS) -> list[int]:
    """Nanoseconds of each check on the way that nothing closes: an agent with rules for its other releases and tools."""
    ns, check = time.perf_counter_ns, breaker.check
    found = [0] * count
    for place in range(count):
        began = ns()
        check("session-1", "agent-7", "2026.09.3", "search", "tenant-of-nobody")
        found[place] = ns() - began
    return found


def empty(count: int = CHECKS) -> list[int]:
    """What two readings of the clock cost."""
    ns = time.perf_counter_ns
    found = [0] * count
    for place in range(count):
        began = ns()
        found[place] = ns() - began
    return found


def at(values: list[int], share: float) -> int:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measure() -> dict[str, Any]:
    """`breaker_check_p99_ns` and what belongs to it."""
    breaker = Breaker(StaticFeed(rules())).start()
    checks(breaker, WARMING)
    gc.collect()
    timed, clock = checks(breaker), empty()
    overhead = int(statistics.median(clock))
    return {
        "breaker_check_p50_ns": max(at(timed, 0.5) - overhead, 0),
        "breaker_check_p99_ns": max(at(timed, 0.99) - overhead, 0),
        "breaker_check_p999_ns": max(at(timed, 0.999) - overhead, 0),
        "breaker_clock_ns": overhead,
        "breaker_checks": CHECKS,
        "breaker_rules": RULES,
    }


async def reached(kafka: str, database: str, count: int = REACHES) -> list[float]:
    """Milliseconds from the word of a person, committed, to the refusal of an agent's call; each with another agent."""
    settings = Settings(kafka=kafka, database=database)
    stop, publisher = asyncio.Event(), Publisher(database, kafka)
    tasks = [
        asyncio.create_task(run(settings, policy.load(), CollectorRegistry(), lambda: None, stop)),
        asyncio.create_task(publisher.run()),
    ]
    try:
        with Breaker(KafkaFeed(kafka)) as breaker:
            await breaker.ready_soon(ORDERS_S)
            async with await connect(database) as conn:
                await _one(conn, breaker, "warming")
                return [await _one(conn, breaker, f"agent-{number}") for number in range(count)]
    finally:
        stop.set()
        publisher.stop()
        await asyncio.wait(tasks, timeout=ORDERS_S)


async def _one(conn: Any, breaker: Breaker, agent: str) -> float:
    now = datetime.now(UTC)
    asked = ControlAsked(
        id=agent, scope=Scope("agent", agent), want="throttle", at=now, actor="ada", ratio=0.99, reason="measured"
    )
    await tell(conn, asked)
    began = time.perf_counter()
    deadline = began + ORDERS_S
    while not _held_back(breaker, agent):
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{agent} was never held back")
        await asyncio.sleep(0.0005)
    return (time.perf_counter() - began) * 1000


def _held_back(breaker: Breaker, agent: str) -> bool:
    """Nearly all sessions are: of ten one will do."""
    for session in range(10):
        try:
            breaker.check(f"s-{session}", agent)
        except AgentHalted:
            return True
    return False


def measure_reach() -> dict[str, Any]:
    """`throttle_reach_p50_ms`, `…_p99_ms`, on an embedded Kafka and PostgreSQL."""
    from streams.sandbox.kafka import EmbeddedKafka
    from streams.sandbox.postgres import EmbeddedPostgres

    with (
        tempfile.TemporaryDirectory(prefix="tocsin-") as folder,
        EmbeddedKafka(Path(folder) / "kafka") as kafka,
        EmbeddedPostgres(Path(folder) / "postgres") as server,
    ):
        uri = server.uri("postgres")
        migrate(uri)

        async def both() -> list[float]:
            await topics.ensure(kafka.address)
            return await reached(kafka.address, uri)

        found = sorted(asyncio.run(both()))
    return {
        "throttle_reach_p50_ms": round(found[len(found) // 2], 1),
        "throttle_reach_p99_ms": round(found[min(int(len(found) * 0.99), len(found) - 1)], 1),
        "throttle_reach_max_ms": round(found[-1], 1),
        "throttle_reaches": len(found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reach", action="store_true", help="Through PostgreSQL and Kafka to an agent.")
    given = parser.parse_args()
    print(json.dumps(measure_reach() if given.reach else measure()))


if __name__ == "__main__":
    main()
