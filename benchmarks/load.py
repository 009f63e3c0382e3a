"""A bounded load of ordinary events with probes among them; one process of its own so that it disturbs nobody's loop.

Arguments: bootstrap, events per second, seconds, probes per second, first id, sessions open at a time. Prints one line per probe: name and send time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

import uvloop
from aiokafka import AIOKafkaProducer

EVENTS_PER_SESSION = 200
TURN_S = 0.02


def event(kind: str, agent: str, session: str, n: int, data: dict[str, object]) -> bytes:
    ctx = {"session_id": session, "run_id": "r", "agent": {"id": agent, "version": "1"}, "env": "prod"}
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    envelope = {"specversion": "1.0", "id": f"{session}-{n}", "source": f"/bench/{agent}", "type": kind, "time": at}
    return json.dumps({**envelope, "data": {"ctx": ctx, **data}}).encode()


def ordinary(n: int, first: int, sessions: int) -> tuple[bytes, bytes]:
    session = f"s{first}-{n % sessions}-{n // (sessions * EVENTS_PER_SESSION)}"
    call = {"call_id": f"c{n}", "tool": {"name": "search"}, "status": "ok", "duration_ms": 12, "args_hash": f"b2:{n}"}
    return session.encode(), event("agent.tool.called.v1", f"agent-{n % 20}", session, n, call)


def probe(n: int) -> tuple[bytes, bytes]:
    name = f"probe-{n:05d}"
    scored = {"evaluator": {"name": "safety"}, "status": "ok", "score": 0.0, "passed": False}
    return name.encode(), event("agent.eval.scored.v1", name, name, n, scored)


async def main(bootstrap: str, rate: int, seconds: int, probes: float, ids: tuple[int, int]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks=1, linger_ms=2)
    await producer.start()
    first, sessions = ids
    started, sent, probed = time.monotonic(), 0, 0  # `first` keeps the ids of two loads apart
    while (elapsed := time.monotonic() - started) < seconds:
        while sent < elapsed * rate:
            key, value = ordinary(sent, first, sessions)
            await producer.send("agent.events", value, key=key)
            sent += 1
        while probed < elapsed * probes:
            key, value = probe(first + probed)
            print(key.decode(), time.time(), flush=True)
            await producer.send("agent.events", value, key=key)
            probed += 1
        await asyncio.sleep(TURN_S)
    await producer.stop()
    print("sent", sent, flush=True)


if __name__ == "__main__":
    uvloop.install()
    uvloop.run(
        main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), (int(sys.argv[5]), int(sys.argv[6])))
    )
