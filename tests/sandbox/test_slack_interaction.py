"""A press in the sandbox reaches an app as it would from Slack: over a socket, or signed and over HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sandbox.clients import BEARER, SLACK_TOKEN, SlackRunning, until
from sandbox.test_jira_pages import page, send
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from streams.sandbox.faults import Fault
from streams.sandbox.slack.limits import Limits

APP_TOKEN = "xapp-sandbox"
BUTTONS = [
    {"type": "section", "text": {"type": "plain_text", "text": "A tool fails"}},
    {
        "type": "actions",
        "block_id": "tocsin:i1",
        "elements": [
            {
                "type": "button",
                "action_id": "ack",
                "value": "i1",
                "text": {"type": "plain_text", "text": "Acknowledge"},
            },
            {
                "type": "static_select",
                "action_id": "silence",
                "placeholder": {"type": "plain_text", "text": "Silence"},
                "options": [{"text": {"type": "plain_text", "text": "1 hour"}, "value": "1h"}],
            },
            {"type": "users_select", "action_id": "assign", "placeholder": {"type": "plain_text", "text": "Assign"}},
        ],
    },
]


@pytest.fixture
async def client(slack: SlackRunning) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=SLACK_TOKEN, base_url=f"{slack[1]}/api/", session=session)


@pytest.fixture
async def where(slack: SlackRunning, client: AsyncWebClient) -> str:
    """The path of a message with buttons."""
    posted = await client.chat_postMessage(channel="incidents", text="A tool fails", blocks=BUTTONS)
    return f"/archives/{posted['channel']}/p{posted['ts'].replace('.', '')}"


@contextlib.asynccontextmanager
async def linked(slack: SlackRunning) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {APP_TOKEN}"}) as session:
        async with session.post(f"{slack[1]}/api/apps.connections.open") as answer:
            url = (await answer.json())["url"]
        async with session.ws_connect(url) as link:
            hello = await link.receive_json(timeout=5)
            assert hello["type"] == "hello" and hello["connection_info"]["app_id"]
            yield link


def ada(slack: SlackRunning) -> str:
    return next(one.id for one in slack[0].workspace.people.values() if one.name == "ada")


async def test_whoever_clicks_on_the_page_is_told_that_the_app_has_heard(
    slack: SlackRunning, http: aiohttp.ClientSession, where: str
) -> None:
    server, url = slack
    shown = await page(http, url + where)
    assert {button["value"] for button in shown.all("button")} == {"ack", "silence", "assign"}
    async with linked(slack) as link:
        pressing = asyncio.create_task(
            send(http, url, f"{where}/press", press="silence", silence="1h", person=ada(slack))
        )
        told = await link.receive_json(timeout=5)
        await link.send_json({"envelope_id": told["envelope_id"]})
        assert await pressing == 303
    (action,) = told["payload"]["actions"]
    assert told["type"] == "interactive" and told["payload"]["type"] == "block_actions"
    assert action["selected_option"]["value"] == "1h" and action["block_id"] == "tocsin:i1"
    assert told["payload"]["user"]["id"] == ada(slack) and told["payload"]["message"]["blocks"]
    assert server.interaction.presses[0].heard


async def test_a_press_that_nobody_hears_is_said_to_be_so(
    slack: SlackRunning, http: aiohttp.ClientSession, where: str
) -> None:
    slack[0].sockets.ack_s, slack[0].sockets.redeliveries = 0.05, 0
    form = {"press": "ack", "person": ada(slack)}
    headers = {"Origin": slack[1]}
    async with http.post(f"{slack[1]}{where}/press", data=form, headers=headers) as answer:
        assert "has not answered" in await answer.text()
    assert await send(http, slack[1], f"{where}/press", press="nothing", person=ada(slack)) == 404
    assert await send(http, slack[1], f"{where}/press", press="silence", silence="1 year", person=ada(slack)) == 404
    assert await send(http, slack[1], f"{where}/press", press="ack", person="U0NOBODY") == 404


async def test_what_is_not_acknowledged_is_told_again_to_another_connection(slack: SlackRunning, where: str) -> None:
    server, _ = slack
    server.sockets.ack_s = 0.1
    async with linked(slack) as deaf, linked(slack) as hears:
        pressing = asyncio.create_task(server.interaction.send({"type": "block_actions"}))
        told = await hears.receive_json(timeout=5)
        await hears.send_json({"envelope_id": told["envelope_id"]})
        assert (await pressing).heard
        if told.get("retry_attempt"):
            first = await deaf.receive_json(timeout=5)
            assert first["envelope_id"] == told["envelope_id"] and told["retry_reason"] == "timeout"


async def test_a_ticket_lets_in_once_and_a_refresh_hangs_up(slack: SlackRunning, client: AsyncWebClient) -> None:
    server, _ = slack
    url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as link:
            await link.receive_json(timeout=5)
            await server.sockets.refresh()
            assert (await link.receive_json(timeout=5))["reason"] == "refresh_requested"
            assert (await link.receive(timeout=5)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING}
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_only_the_app_token_opens_a_socket(slack: SlackRunning, client: AsyncWebClient) -> None:
    slack[0].sockets.app_token = APP_TOKEN
    with pytest.raises(SlackApiError, match="invalid_auth"):
        await client.apps_connections_open(app_token=SLACK_TOKEN)
    assert (await client.apps_connections_open(app_token=APP_TOKEN))["ok"]


async def test_slacks_own_client_hears_and_acknowledges(
    slack: SlackRunning, client: AsyncWebClient, where: str
) -> None:
    server, _ = slack
    heard: list[Any] = []

    async def listen(own: Any, request: Any) -> None:
        heard.append(request.payload)
        await own.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    own = SocketModeClient(app_token=APP_TOKEN, web_client=client)
    own.socket_mode_request_listeners.append(listen)
    await own.connect()
    try:
        person = server.workspace.people[ada(slack)]
        channel = server.workspace.channel("incidents")
        assert channel is not None
        message = next(channel.newest(0, 2**62))
        press = await server.interaction.press((channel, message), "assign", person, person.id)
    finally:
        await own.close()
        await asyncio.gather(
            *(one for one in (own.message_processor, own.current_session_monitor, own.message_receiver) if one),
            return_exceptions=True,
        )
    assert press.heard and heard[0]["actions"][0]["selected_user"] == person.id


async def test_with_an_address_a_press_is_posted_there_and_signed(slack: SlackRunning, where: str) -> None:
    server, _ = slack
    told: list[tuple[bytes, dict[str, str]]] = []

    async def listen(request: web.Request) -> web.Response:
        told.append((await request.read(), dict(request.headers)))
        return web.Response(status=200 if len(told) == 1 else 500)

    app = web.Application()
    app.router.add_post("/hook", listen)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.interaction.secret = "signing"
    server.interaction.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    assert (await server.interaction.send({"type": "block_actions"})).heard
    failed = await server.interaction.send({"type": "block_actions"})
    await runner.cleanup()
    gone = await server.interaction.send({"type": "block_actions"})
    assert not failed.heard and failed.said == "500" and not gone.heard
    body, headers = told[0]
    assert SignatureVerifier("signing").is_valid_request(body, headers)
    assert not SignatureVerifier("another").is_valid_request(body, headers)
    assert body.startswith(b"payload=%7B")


async def test_a_scope_that_is_missing_is_named(slack: SlackRunning, client: AsyncWebClient) -> None:
    server, _ = slack
    server.limits.scopes = ("channels:history", "chat:write")
    await client.chat_postMessage(channel="incidents", text="x")
    with pytest.raises(SlackApiError) as raised:
        await client.users_lookupByEmail(email="ada@example.com")
    assert raised.value.response["error"] == "missing_scope" and raised.value.response["needed"] == "users:read.email"
    answer = await client.auth_test()
    assert answer.headers["x-oauth-scopes"] == "channels:history,chat:write"


async def test_a_channel_without_us_and_an_archived_one_take_nothing(
    slack: SlackRunning, client: AsyncWebClient
) -> None:
    channel = slack[0].workspace.channel("incidents")
    assert channel is not None
    for name, value, error in (("is_member", False, "not_in_channel"), ("is_archived", True, "is_archived")):
        setattr(channel, name, value)
        with pytest.raises(SlackApiError, match=error):
            await client.chat_postMessage(channel="incidents", text="x")
        assert (await client.conversations_info(channel="incidents"))["channel"][name] is value
        setattr(channel, name, not value)
    await client.chat_postMessage(channel="incidents", text="x")


async def test_what_is_said_to_one_person_is_in_nobodys_history(
    slack: SlackRunning, client: AsyncWebClient, http: aiohttp.ClientSession
) -> None:
    said = await client.chat_postEphemeral(channel="incidents", user=ada(slack), text="only you")
    assert said["message_ts"]
    assert not (await client.conversations_history(channel="incidents"))["messages"]
    channel = slack[0].workspace.channel("incidents")
    assert channel is not None
    shown = await page(http, f"{slack[1]}/archives/{channel.id}")
    assert "Only visible to Ada Lindqvist: only you" in shown.text


async def test_calls_that_come_too_soon_are_counted(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    server, url = slack
    for channel in ("incidents", "agents", "incidents"):
        body = {"channel": channel, "text": "x"}
        await (await http.post(f"{url}/api/chat.postMessage", json=body, headers=BEARER)).read()
    assert not server.violations
    await (
        await http.post(f"{url}/api/chat.postMessage", json={"channel": "incidents", "text": "x"}, headers=BEARER)
    ).read()
    async with http.get(f"{url}/_sandbox/violations") as answer:
        (violation,) = await answer.json()
    assert (violation["method"], violation["channel"]) == ("chat.postMessage", "incidents")


def test_methods_of_a_tier_have_their_calls_a_minute() -> None:
    limits = Limits()
    for _ in range(50):
        limits.count("chat.update", "C1")
    assert not limits.violations
    limits.count("chat.update", "C2")
    assert len(limits.violations) == 1


async def test_a_fault_holds_up_the_granting_of_a_connection(slack: SlackRunning, http: aiohttp.ClientSession) -> None:
    slack[0].faults.add(Fault(path="apps.connections.open", kind="status", code=500))
    async with http.post(f"{slack[1]}/api/apps.connections.open", headers=BEARER) as answer:
        assert answer.status == 500
    async with linked(slack):
        await until(lambda: slack[0].sockets.connections == 1)
    assert json.dumps(slack[0].faults.listed()[0].struck) == "1"
