"""Sandbox receivers that let nobody in without the canary token, and a migrated database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from respond.outside import CANARY, SLACK_CANARY

from streams.database import migrate
from streams.sandbox.jira import SandboxDataCenter, SandboxJira
from streams.sandbox.slack import SandboxSlack


@pytest.fixture
def book(database: str) -> str:
    migrate(database)
    return database


@pytest.fixture
async def jira() -> AsyncIterator[tuple[SandboxJira, str]]:
    server = SandboxJira(token=CANARY)
    yield server, await server.start()
    await server.stop()


@pytest.fixture
async def slack() -> AsyncIterator[tuple[SandboxSlack, str]]:
    server = SandboxSlack(token=SLACK_CANARY)
    yield server, await server.start()
    await server.stop()


@pytest.fixture(params=[True, False], ids=["cloud", "data-center"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[tuple[SandboxJira, str, bool]]:
    """Both sorts of Jira: the server, its address, and whether it is Cloud."""
    server = (SandboxJira if request.param else SandboxDataCenter)(token=CANARY)
    yield server, await server.start(), request.param
    await server.stop()
