"""Two hours in seconds: a clock of the database and of a carrier that can be made to run fast.

The schema `virtual` stands before PostgreSQL's own in the database's search path, so that `now()` in our SQL is its `now()`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry
from respond.outside import TIMEOUT_S

from streams.database import connect, migrate
from streams.respond.carry import Carrier, Pace
from streams.respond.meters import Meters
from streams.respond.receivers.protocol import Receiver

FAST = 1200.0
# The real ones but for what runs in real time: calls, and how often somebody looks.
PACE = Pace(call_timeout_s=TIMEOUT_S, ask_after_s=0.8 * FAST, poll_s=0.05, audits_s=(60.0,))

_CLOCK = """
CREATE SCHEMA virtual;
CREATE TABLE virtual.clock (shown timestamptz, really timestamptz, pace float8);
INSERT INTO virtual.clock VALUES (pg_catalog.now(), pg_catalog.now(), 1);
CREATE FUNCTION virtual.now() RETURNS timestamptz LANGUAGE sql STABLE AS
    'SELECT shown + (pg_catalog.clock_timestamp() - really) * pace FROM virtual.clock';
"""


class FastClock:
    """Monotonic seconds."""

    def __init__(self, uri: str) -> None:
        self._uri, self._shown, self._really, self._pace = uri, 0.0, time.monotonic(), 1.0

    def __call__(self) -> float:
        return self._shown + (time.monotonic() - self._really) * self._pace

    async def run(self, pace: float) -> None:
        self._shown, self._really, self._pace = self(), time.monotonic(), pace
        async with await connect(self._uri) as conn:
            await conn.execute(
                "UPDATE virtual.clock SET shown = virtual.now(), really = clock_timestamp(), pace = %s", [pace]
            )


def clocked(uri: str) -> FastClock:
    """An empty database gets its own clock, and then its tables."""
    with psycopg.connect(uri, autocommit=True) as conn:
        conn.execute(_CLOCK.encode())
        conn.execute(f"ALTER DATABASE {conn.info.dbname} SET search_path = virtual, public, pg_catalog".encode())
    migrate(uri)
    return FastClock(uri)


@asynccontextmanager
async def carrying(uri: str, clock: FastClock, *receivers: Receiver) -> AsyncIterator[list[Carrier]]:
    import asyncio

    meters = Meters(CollectorRegistry())
    carriers = [Carrier(uri, receiver, PACE, meters, clock=clock) for receiver in receivers]
    tasks = [asyncio.create_task(carrier.run()) for carrier in carriers]
    try:
        yield carriers
    finally:
        for carrier in carriers:
            carrier.stop()
        try:
            await asyncio.gather(*tasks)
        finally:
            for receiver in receivers:
                await receiver.close()


@contextmanager
def counted(calls: Any) -> Iterator[list[Any]]:
    """The calls that come within the block."""
    before, found = len(calls), []
    yield found
    found += list(calls)[before:]
