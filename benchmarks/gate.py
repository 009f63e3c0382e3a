"""Gate decisions over HTTP: latency beside a bare page of the same server, in one run. `python benchmarks/gate.py`.

The role runs as a process of its own, on an embedded PostgreSQL with many releases and incidents.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import psycopg

from streams.database import migrate
from streams.sandbox.postgres import EmbeddedPostgres

DECISION = "/v1/gates/promotion/decision?agent=agent-{agent}&release=r{release}&environment=prod"
BARE = "/static/icon.svg"


def fill(uri: str, releases: int, incidents: int) -> None:
    migrate(uri)
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO exposed SELECT 'agent-' || mod(n, 50), 'r' || n / 50, 'prod', 1, mod(n, 60), 0 FROM generate_series(0, %s) n",
            [releases - 1],
        )
        conn.execute(
            """
            INSERT INTO incidents SELECT 'v1:d:' || n || '#1', 'v1:d:' || n, 1, 'open', 'high', 'o', 'd', 'agent-' || mod(n, 50),
                ARRAY['r' || mod(n, 40)], 'prod', NULL, 'OPS-' || n, NULL, now(), now(), now(), 1, NULL,
                jsonb_build_object('title', 'a tool keeps failing', 'subject', jsonb_build_object('agent', 'agent-' || mod(n, 50)))
            FROM generate_series(1, %s) n
            """,
            [incidents],
        )
        conn.execute("INSERT INTO gauges VALUES ('watermark', %s)", [time.time()])


def calls(port: int, path: str, count: int) -> list[float]:
    """Seconds of each call, one after the other on one connection."""
    connection = HTTPConnection("127.0.0.1", port)
    taken = []
    for n in range(count):
        start = time.perf_counter()
        connection.request("GET", path.format(agent=n % 50, release=n % 40))
        answer = connection.getresponse()
        body = answer.read()
        taken.append(time.perf_counter() - start)
        assert answer.status == 200, (answer.status, body[:200])
    connection.close()
    return taken


def told(name: str, taken: list[float]) -> None:
    ordered = sorted(taken)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.50, 0.99))
    print(f"{name:44} n={len(ordered):6}  p50 {p50:7.3f} ms  p99 {p99:7.3f} ms  max {ordered[-1] * 1000:7.3f} ms")


def ready(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError, AssertionError):
            calls(port, DECISION, 1)
            return
        time.sleep(0.1)
    raise SystemExit("the web role did not answer within 30 s")


async def busy(uri: str, each_s: float, ended: asyncio.Event) -> None:
    """Somebody changes an incident all the time, so that the inputs are read anew each second."""
    async with await psycopg.AsyncConnection.connect(uri, autocommit=True) as conn:
        while not ended.is_set():
            await conn.execute("UPDATE incidents SET updated_at = now() WHERE id = 'v1:d:1#1'")
            await conn.execute("UPDATE gauges SET value = %s WHERE name = 'watermark'", [datetime.now(UTC).timestamp()])
            await asyncio.sleep(each_s)


async def measure(uri: str, port: int, count: int) -> None:
    ended = asyncio.Event()
    changing = asyncio.create_task(busy(uri, 0.2, ended))
    await asyncio.to_thread(ready, port)
    told("a static file of the same server", await asyncio.to_thread(calls, port, BARE, count))
    told("decision, first for each release (written)", await asyncio.to_thread(calls, port, DECISION, 200))
    told("decision, from memory", await asyncio.to_thread(calls, port, DECISION, count))
    ended.set()
    await changing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--releases", type=int, default=2000)
    parser.add_argument("--incidents", type=int, default=2000)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-") as folder,
        EmbeddedPostgres(Path(folder), durable=True) as server,
    ):
        uri = server.uri("postgres")
        fill(uri, given.releases, given.incidents)
        where = {**os.environ, "TOCSIN_KAFKA": "127.0.0.1:1", "TOCSIN_DATABASE": uri, "TOCSIN_WEB_PORT": str(port)}
        code = (
            "from streams import policy, roles, settings; import sys; "
            "sys.exit(roles.run('web', settings.load(), policy.load()))"
        )
        role = subprocess.Popen([sys.executable, "-c", code], env=where)
        try:
            asyncio.run(measure(uri, port, given.calls))
        finally:
            role.terminate()
            role.wait(15)


if __name__ == "__main__":
    main()
