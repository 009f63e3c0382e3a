"""Tocsin as an agent finds it: the web role on a port of its own, learn's settling beside, and a Slack where people sit."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from respond.outside import SLACK_CANARY, carrying, slack_receiver, until

from streams import policy as policies
from streams.database import connect
from streams.learn.controls.commanding import Commanding
from streams.learn.deciders import Wired, writers
from streams.learn.settling import Settling
from streams.sandbox.slack import SandboxSlack
from streams.settings import Secret, Settings
from streams.web.app import run

TOKEN = "a-token-for-agents"
SIGNING = "a-secret-of-slack"


@asynccontextmanager
async def web(database: str, **given: Any) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = asyncio.Event()
    settings = Settings(database=database, web_port=port, token=Secret(TOKEN), **given)
    task = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: None, stop))
    try:
        await until(lambda: listening(port), what="the web role")
        yield settings.pages
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


@asynccontextmanager
async def learning(database: str) -> AsyncIterator[Settling]:
    settling = Settling(
        Wired(policies.load(), "http://localhost:8080"), writers(Commanding("tocsin.control")), "tocsin.deadletters"
    )

    async def turns() -> None:
        async with await connect(database) as conn:
            while True:
                await settling.turn(conn)
                await asyncio.sleep(0.02)

    task = asyncio.create_task(turns())
    try:
        yield settling
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def everything(database: str, slack: tuple[SandboxSlack, str]) -> AsyncIterator[str]:
    """Presses come over signed HTTP."""
    server, url = slack
    given = {
        "slack_url": f"{url}/api/",
        "slack_token": Secret(SLACK_CANARY),
        "slack_signing_secret": Secret(SIGNING),
    }
    async with (
        learning(database),
        web(database, **given) as pages,
        carrying(database, slack_receiver(url, buttons=True)),
    ):
        server.interaction.url, server.interaction.secret = f"{pages}/v1/slack/interactions", SIGNING
        yield pages


async def listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def message(server: SandboxSlack) -> Any:
    """The only one, with its channel; None: nobody has posted yet."""
    found = [(one, said) for one in server.workspace.channels.values() for said in one.newest(0, 2**62)]
    return found[0] if found else None


async def press(server: SandboxSlack, action: str, name: str = "ada") -> Any:
    person = next(one for one in server.workspace.people.values() if one.name == name)
    return await server.interaction.press(message(server), f"tocsin:{action}", person)
