"""Running sandbox receivers."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from sandbox.clients import JIRA_TOKEN, SLACK_TOKEN

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack


@pytest.fixture
async def jira() -> AsyncIterator[tuple[SandboxJira, str]]:
    server = SandboxJira(token=JIRA_TOKEN)
    url = await server.start()
    yield server, url
    await server.stop()


@pytest.fixture
async def slack() -> AsyncIterator[tuple[SandboxSlack, str]]:
    server = SandboxSlack(token=SLACK_TOKEN)
    url = await server.start()
    yield server, url
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
