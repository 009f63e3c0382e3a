"""Whatever goes wrong at once: in the end each incident has one open ticket, the recorded one, and nothing is left over."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from respond.faults_table import FAULTS, Case
from respond.outside import CANARY, PACE, Killed, evidence, jira_receiver, promise, rows, ticket, tickets, until

from streams.database import connect
from streams.respond.carry import Carrier
from streams.respond.meters import Meters
from streams.respond.sweeping import Sweep, Sweeper
from streams.sandbox.jira import SandboxDataCenter, SandboxJira

INCIDENTS = 12
SOON = Sweep(0.0, 0, 0.0, 0.05)
# Not those that stop everything for a minute or an hour: nothing would be tried then.
MENU = tuple(case for case in FAULTS if not case.name.startswith(("401", "429-date")))
STRUCK = ("/rest/api/*/issue", "/rest/api/*/issue/*", "/rest/api/*/search**", "/rest/api/*/issue/bulkfetch")


class Mayhem:
    """Faults, an index that lags, and a process that is killed again and again: all drawn from one seed."""

    def __init__(self, server: SandboxJira, seed: int) -> None:
        self.server, self.chance = server, random.Random(seed)
        self.over = False

    def begin(self) -> None:
        index = self.server.book.index
        index.lag, index.spread = 0.2, lambda: self.chance.choice((0.0, 0.0, 0.5, 1.5))
        for _ in range(40):
            case: Case = self.chance.choice(MENU)
            path = self.chance.choices(STRUCK, (6, 2, 1, 1))[0]
            method = "POST" if path == STRUCK[0] else "*"
            self.server.faults.add(case.fault(path, method=method, every=self.chance.randint(1, 3)))

    def end(self) -> None:
        self.over = True
        self.server.faults.clear()
        self.server.book.index.lag, self.server.book.index.spread = 0.0, None

    def reached(self, _step: str) -> None:
        if not self.over and self.chance.random() < 0.05:
            raise Killed


async def carry(uri: str, url: str, mayhem: Mayhem, stop: asyncio.Event) -> None:
    """A process that is started again whenever it was killed."""
    while not stop.is_set():
        receiver = jira_receiver(url, cloud=mayhem.server.cloud)
        pace = PACE._replace(audits_s=(0.3, 0.6, 1.2))
        carrier = Carrier(uri, receiver, pace, Meters(CollectorRegistry()), reached=mayhem.reached)
        task = asyncio.create_task(carrier.run())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        carrier.stop()
        stopped.cancel()
        results: list[Any] = await asyncio.gather(task, stopped, return_exceptions=True)
        await asyncio.gather(*carrier._tasks, return_exceptions=True)  # others were killed at the same moment
        await receiver.close()
        if isinstance(results[0], Exception) and not isinstance(results[0], Killed):
            raise results[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sort", "seed"),
    [(SandboxJira, 1), (SandboxJira, 2), (SandboxDataCenter, 3)],
    ids=["cloud-1", "cloud-2", "data-center-3"],
)
async def test_there_is_one_ticket_for_each_in_the_end(book: str, sort: type[SandboxJira], seed: int) -> None:
    server = sort(token=CANARY)
    url = await server.start()
    mayhem, stop = Mayhem(server, seed), asyncio.Event()
    incidents = [f"i{number}" for number in range(INCIDENTS)]
    for one in incidents:
        await promise(book, ticket(one), evidence(one))
    mayhem.begin()
    sweeping = jira_receiver(url, cloud=server.cloud, timeout_s=5.0)
    sweeper = Sweeper(book, sweeping, "test", Meters(CollectorRegistry()), SOON)
    carrying = asyncio.create_task(carry(book, url, mayhem, stop))
    async with await connect(book) as conn:

        async def turned(least: int) -> bool:
            await sweeper.turn(conn)
            return sweeper.turns >= least

        await until(lambda: turned(30), 60.0)
        mayhem.end()

        async def settled() -> bool:
            await sweeper.turn(conn)
            left = "state <> 'done' OR confirm_at IS NOT NULL OR audit_at < now() + interval '5 seconds'"
            return not await rows(book, f"SELECT 1 FROM obligations WHERE {left}") and not await sweeping.strays(
                "test", 0
            )

        await until(settled, 100.0)
    stop.set()
    await carrying
    await sweeping.close()
    recorded = dict(await rows(book, "SELECT incident, reference FROM obligations WHERE kind = 'ticket'"))
    assert {one: tickets(server, one) for one in incidents} == {one: [recorded[one]] for one in incidents}
    for one in incidents:
        found = server.book.find(recorded[one])
        assert found is not None and "tocsin-unconfirmed" not in found.labels and len(found.files) >= 1
    await server.stop()
