"""The web role as a process sees it: it serves, or it ends with the reason."""

import asyncio
import time

import httpx
import pytest
from prometheus_client import CollectorRegistry
from respond.outside import until
from web.serving import BEARER, TOKEN

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


@pytest.mark.parametrize("asked", ["/v1/controls?since={seq}&wait=25", "/v1/approvals/q-1?wait=25"])
async def test_who_waits_for_a_change_is_answered_when_the_role_ends(database, unused_tcp_port, asked):
    migrate(database)
    settings = Settings(database=database, token=Secret(TOKEN), web_port=unused_tcp_port)
    stop, beats = asyncio.Event(), []
    serving = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: beats.append(1), stop))

    async def serves():
        return len(beats) > 2

    await until(serves)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{unused_tcp_port}", timeout=30) as client:
        await client.post("/v1/approvals", json={"id": "q-1", "action": "x"}, headers=BEARER)
        seq = (await client.get("/v1/controls")).json()["seq"]
        waiting = asyncio.create_task(client.get(asked.format(seq=seq)))
        await asyncio.wait([waiting], timeout=0.5)
        assert not waiting.done()
        began = time.monotonic()
        stop.set()
        assert (await waiting).status_code == 200
        await serving
    assert time.monotonic() - began < 3
