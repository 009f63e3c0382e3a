"""While Kafka or PostgreSQL is away a role lives on, and says what it waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from respond.desk import running, shipped, topics
from respond.outside import PACE, slack_receiver, until

from streams.health import Health
from streams.respond.carry import Carrier
from streams.respond.meters import Meters
from streams.respond.settling import Names, Settling

NOWHERE = "127.0.0.1:1"
NO_DATABASE = "postgresql://postgres@127.0.0.1:1/nowhere"
NAMES = Names("findings", "incidents", "deadletters")


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    found = Health(CollectorRegistry(), "127.0.0.1", 0, role="respond")
    await found.start()
    yield found
    await found.stop()


async def asked(health: Health, path: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{health.port}{path}") as answer:
        return answer.status, await answer.json()


async def says(health: Health, *waits: str) -> bool:
    status, body = await asked(health, "/ready")
    return body["waits"] == list(waits) and status == (503 if waits else 200)


def book(health: Health, uri: str, kafka: str, names: Names = NAMES) -> Settling:
    settling = Settling(uri, kafka, names, shipped(), Meters(health.registry))
    settling.progress = health.progress
    return settling


@pytest.mark.parametrize(
    ("uri", "waits"), [(None, "the book waits for Kafka"), (NO_DATABASE, "the book waits for PostgreSQL")]
)
async def test_what_is_away_is_named_and_the_role_lives(
    health: Health, migrated: str, uri: str | None, waits: str
) -> None:
    loop = book(health, uri or migrated, NOWHERE)
    async with running(loop):
        await until(lambda: says(health, waits))
        before = health.age_s()
        await until(lambda: younger(health, before + 1.0), what="it still makes progress")
        assert (await asked(health, "/live"))[0] == 200


async def younger(health: Health, seconds: float) -> bool:
    return health.age_s() < seconds


@pytest.fixture
def migrated(book: str) -> str:
    return book


async def test_with_everything_there_it_is_ready(health: Health, migrated: str, kafka: str) -> None:
    async with running(book(health, migrated, kafka, await topics(kafka))):
        await until(lambda: says(health))


async def test_a_carrier_without_a_database_says_so_and_a_receiver_that_is_down_does_not_matter(
    health: Health, migrated: str
) -> None:
    slack = slack_receiver("http://127.0.0.1:1")
    meters = Meters(health.registry)
    try:
        async with running(Carrier(migrated, slack, PACE, meters)):
            await until(lambda: says(health))
        async with running(Carrier(NO_DATABASE, slack, PACE, meters)):
            await until(lambda: says(health, "slack waits for PostgreSQL"))
    finally:
        await slack.close()
