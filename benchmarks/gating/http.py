"""Gate decisions over HTTP at 200 requests a second: arrivals come whether or not answers do.

    python -m benchmarks.gating.http [--seconds 25] [--rate 200] [--json FILE]

The web role is a process of its own on an embedded PostgreSQL with 2,000 releases and 2,000 incidents, of which one is
changed five times a second, so that the inputs are read anew each second. Each of 100 questions was asked once before, over
ten seconds: what is measured contains their documents' renewal, each written down before it is answered. A request's time
begins when it was due, not when a connection was free. Beside it: what a request costs the role in CPU, the reading of the
inputs included, and how many processes the machine had for each of its cores: above 1 the latencies are those of a queue for
the processor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from streams.sandbox.postgres import EmbeddedPostgres

from ..gate import DECISION, busy, fill, ready

RELEASES = INCIDENTS = 2000
QUESTIONS = 100
CONNECTIONS = 16
WARM_S = 10.0
CODE = "from streams import policy, roles, settings; import sys; sys.exit(roles.run('web', settings.load(), policy.load()))"


class Client:
    """A few connections that are kept; whoever is due takes a free one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))

    async def close(self) -> None:
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()
            await writer.wait_closed()

    async def ask(self, path: str) -> bytes:
        pair = await self._free.get()
        reader, writer = pair
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the gate did not answer: {head[:200]!r}")
            length = next(one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:"))
            return await reader.readexactly(int(length.split(b":")[1]))
        finally:
            self._free.put_nowait(pair)


def path(number: int) -> str:
    """One of the questions: two releases each of fifty agents."""
    question = number % QUESTIONS
    return DECISION.format(agent=question % 50, release=question % 40)


async def arriving(client: Client, rate: float, seconds: float) -> list[float]:
    """Milliseconds of each request, from the moment when it was due."""
    taken: list[float] = []

    async def one(number: int, due: float) -> None:
        await client.ask(path(number))
        taken.append((time.perf_counter() - due) * 1000)

    begin = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, due))
    return taken


async def run(uri: str, port: int, load: tuple[float, float], cost: Callable[[], float]) -> tuple[list[float], float]:
    """Latencies in milliseconds, and the role's CPU seconds meanwhile."""
    rate, seconds = load
    ended = asyncio.Event()
    changing = asyncio.create_task(busy(uri, 0.2, ended))
    await asyncio.to_thread(ready, port)
    client = Client(port)
    await client.open()
    try:
        await arriving(client, QUESTIONS / WARM_S, WARM_S)
        before = cost()
        taken = await arriving(client, rate, seconds)
        return taken, cost() - before
    finally:
        await client.close()
        ended.set()
        await changing


@contextmanager
def role(uri: str, port: int) -> Iterator[Callable[[], float]]:
    """Answers how many CPU seconds it has used."""
    where = {**os.environ, "TOCSIN_KAFKA": "127.0.0.1:1", "TOCSIN_DATABASE": uri, "TOCSIN_WEB_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-c", CODE], env=where)
    try:
        seen = psutil.Process(process.pid)
        yield lambda: float(sum(seen.cpu_times()[:2]))
    finally:
        process.terminate()
        process.wait(15)


def measure(rate: float = 200.0, seconds: float = 25.0) -> dict[str, Any]:
    """`gate_http_p99_ms` and what belongs to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-") as folder,
        EmbeddedPostgres(Path(folder), durable=True) as server,
    ):
        uri = server.uri("postgres")
        fill(uri, RELEASES, INCIDENTS)
        with role(uri, port) as cost:
            taken, cpu_s = asyncio.run(run(uri, port, (rate, seconds), cost))
    taken.sort()
    found = {f"gate_http_p{name}_ms": round(_at(taken, share), 3) for name, share in (("50", 0.5), ("99", 0.99))}
    found |= {"gate_http_max_ms": round(taken[-1], 3), "gate_http_cpu_ms": round(cpu_s * 1000 / len(taken), 3)}
    crowd = os.getloadavg()[0] / (os.cpu_count() or 1)
    return {**found, "gate_http_requests": len(taken), "gate_http_rate": rate, "machine_load": round(crowd, 2)}


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.rate, given.seconds)
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
