"""Presses while Slack itself is slow or strange: each is acknowledged in time, whatever becomes of what is said about it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from respond.desk import running
from respond.outside import CANARY, SLACK_CANARY, until

from streams.learn.outcomes.meaning import Rules
from streams.learn.outcomes.persons import Persons
from streams.learn.outcomes.recorder import Recorder
from streams.respond.hearing import slack_socket
from streams.respond.hearing.ears import Ears
from streams.respond.hearing.slack_socket import Socket
from streams.respond.receivers import slack_wire
from streams.sandbox.faults import Fault
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import TEAM
from streams.settings import Secret

APP_CANARY = f"xapp-{CANARY}"
Running = tuple[SandboxSlack, str]


def socket(uri: str, url: str) -> Socket:
    bot, app = (slack_wire.Wire(f"{url}/api/", Secret(token), timeout_s=20.0) for token in (SLACK_CANARY, APP_CANARY))
    registry = CollectorRegistry()
    return Socket(
        uri, app, Ears(bot, TEAM, Recorder("outcomes", Rules(Persons(), 10)), registry), registry, secure=False
    )


def pressed(server: SandboxSlack, at: str) -> dict[str, Any]:
    """On a page of an incident that nobody knows: the person is told so."""
    ada = next(one for one in server.workspace.people.values() if one.name == "ada")
    channel = next(iter(server.workspace.channels))
    return {
        "type": "block_actions",
        "user": {"id": ada.id, "username": "ada", "team_id": TEAM},
        "channel": {"id": channel},
        "actions": [{"action_id": "tocsin:acknowledge", "value": "i-unknown", "action_ts": at}],
    }


async def test_a_reply_that_hangs_keeps_no_other_press_waiting(book: str, slack: Running) -> None:
    server, url = slack
    server.sockets.app_token, server.sockets.ack_s, server.sockets.redeliveries = APP_CANARY, 3.0, 0
    server.faults.add(Fault(path="chat.postEphemeral", kind="hang", times=None))

    async def connected() -> bool:
        return server.sockets.connections > 0

    async with running(socket(book, url)):
        await until(connected)
        for number in range(3):
            assert (await server.interaction.send(pressed(server, f"{number}.0"))).heard
        server.faults.clear()


async def test_a_connection_that_never_stands_is_given_up_and_ends_with_the_rest(book: str) -> None:
    """Slack grants a connection, and whoever should take it says nothing."""
    asked = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(3600)
        return web.Response()

    async def granted(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "url": f"ws://{request.host}/link"})

    app = web.Application()
    app.router.add_post("/api/apps.connections.open", granted)
    app.router.add_get("/link", silent)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    heard = socket(book, f"http://127.0.0.1:{runner.addresses[0][1]}")
    running_ = asyncio.create_task(heard.run())
    await asked.wait()
    began = time.monotonic()
    heard.stop()
    await running_
    await runner.cleanup()
    assert time.monotonic() - began < slack_socket.CONNECT_S_MAX + 5.0
