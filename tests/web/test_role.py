"""The web role as a process sees it: it serves, or it ends with the reason."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.database import connect, migrate
from streams.learn.watching import gauge
from streams.settings import Secret, Settings
from streams.web.app import run


async def test_the_role_ends_with_the_reason_when_gates_can_no_longer_read(database, unused_tcp_port):
    migrate(database)
    async with await connect(database) as conn:
        await gauge(conn, "watermark", 1e12)  # no time that a clock can show
    settings = Settings(database=database, token=Secret("a-token"), web_port=unused_tcp_port)
    serving = run(settings, policies.load(), CollectorRegistry(), lambda: None, asyncio.Event())
    with pytest.raises(ValueError, match="year"):
        await asyncio.wait_for(serving, 20)
