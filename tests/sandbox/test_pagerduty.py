"""The sandbox PagerDuty takes what the published specification has, and a person can work on its pages."""

import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from sandbox.clients import until

from streams.sandbox.faults import Fault
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.sandbox.pagerduty.server import KEY, SCHEDULE
from streams.sandbox.pagerduty.webhooks import ATTEMPTS, Subscription

REST = {"Authorization": "Token token=t", "Accept": "application/vnd.pagerduty+json;version=2"}
HOSTILE = "<script>alert(1)</script>"


def event(action: str = "trigger", **given: Any) -> dict[str, Any]:
    payload = {"summary": "A tool fails", "source": "billing", "severity": "error"}
    return {"routing_key": KEY, "event_action": action, "dedup_key": "k", "payload": payload, **given}


@pytest.fixture
async def pagerduty() -> AsyncIterator[tuple[SandboxPagerDuty, str]]:
    server = SandboxPagerDuty(token="t")
    yield server, await server.start()
    await server.stop()


Running = tuple[SandboxPagerDuty, str]


async def send(http: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(f"{url}/v2/enqueue", json=body) as answer:
        return answer.status, await answer.json()


async def test_an_event_is_accepted_and_its_key_told(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    server, url = pagerduty
    status, told = await send(http, url, event())
    assert (status, told) == (202, {"status": "success", "message": "Event processed", "dedup_key": "k"})
    status, told = await send(http, url, event(dedup_key=None))
    assert status == 202 and told["dedup_key"]
    assert len(server.book.alerts) == 2


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([], "JSON parse error"),
        (event(routing_key=None), "'routing_key' is missing or blank"),
        (event(routing_key="x" * 32), "'routing_key' is invalid"),
        (event("close"), "'event_action' is missing or invalid"),
        (event("resolve", dedup_key=None), "'dedup_key' is missing or blank"),
        (event(dedup_key="x" * 256), "Length of 'dedup_key' is incorrect"),
        (event(payload=None), "'payload' is missing or blank"),
        (event(payload={"summary": " ", "source": "x", "severity": "info"}), "'payload.summary' is missing or blank"),
        (event(payload={"summary": "x" * 1025, "source": "x", "severity": "info"}), "Length of 'payload.summary'"),
        (event(payload={"summary": "x", "source": "x", "severity": "high"}), "'payload.severity' is invalid"),
        (event(links=[{"text": "x"}]), "'links.href' is missing or blank"),
    ],
)
async def test_what_the_specification_does_not_have_is_refused_in_words(
    pagerduty: Running, http: aiohttp.ClientSession, body: Any, complaint: str
) -> None:
    server, url = pagerduty
    status, told = await send(http, url, body)
    assert status == 400 and told["status"] == "invalid event"
    assert complaint in "; ".join(told["errors"])
    assert not server.book.alerts


async def test_what_is_too_big_is_refused(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    _, url = pagerduty
    big = event()
    big["payload"]["custom_details"] = {"x": "x" * 512 * 1024}
    assert (await send(http, url, big))[0] == 413


async def test_events_beyond_the_limit_are_counted(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    server, url = pagerduty
    server.rate_limit = 1
    assert [(await send(http, url, event()))[0] for _ in range(3)] == [202, 429, 429]
    assert len(server.violations) == 2
    async with http.get(f"{url}/_sandbox/violations") as answer:
        assert [service for service, _ in await answer.json()] == ["platform"] * 2


async def test_events_beyond_pagerdutys_own_limit_are_counted_though_they_are_taken(
    pagerduty: Running, http: aiohttp.ClientSession
) -> None:
    server, url = pagerduty
    assert {(await send(http, url, event()))[0] for _ in range(122)} == {202}
    assert len(server.violations) == 2


async def test_who_is_on_call_is_told_to_those_who_may_know(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    _, url = pagerduty
    params = [("schedule_ids[]", SCHEDULE), ("include[]", "users")]
    async with http.get(f"{url}/oncalls", headers=REST, params=params) as answer:
        (entry,) = (await answer.json())["oncalls"]
    assert entry["user"]["email"] == "ada@example.com" and entry["schedule"]["id"] == SCHEDULE
    async with http.get(f"{url}/oncalls", headers=REST, params=params[:1]) as answer:
        assert "email" not in (await answer.json())["oncalls"][0]["user"]
    for headers, status in (({**REST, "Authorization": "Token token=x"}, 401), ({**REST, "Accept": "*/*"}, 400)):
        async with http.get(f"{url}/oncalls", headers=headers) as answer:
            assert answer.status == status


async def test_a_person_sees_what_it_is_about_and_untrusted_text_as_text(
    pagerduty: Running, http: aiohttp.ClientSession
) -> None:
    _, url = pagerduty
    details = {HOSTILE: HOSTILE, "list": [HOSTILE], "number": 7, "thing": {"a": 1}}
    payload = {"summary": HOSTILE, "source": HOSTILE, "severity": "info", "custom_details": details}
    links = [{"href": "javascript:alert(1)"}, {"href": "https://tocsin.example/", "text": HOSTILE}]
    await send(http, url, event(payload=payload, links=links))
    for path in ("/", "/alerts/1"):
        async with http.get(url + path) as answer:
            text = await answer.text()
        assert answer.status == 200 and "&lt;script&gt;" in text
        assert "<script" not in text and 'href="javascript' not in text
    async with http.get(f"{url}/alerts/9") as answer:
        assert answer.status == 404


async def test_another_site_may_not_press_its_buttons(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    server, url = pagerduty
    await send(http, url, event())
    for headers in ({"Origin": "https://evil.example"}, {}):
        async with http.post(f"{url}/alerts/1/resolve", headers=headers) as answer:
            assert answer.status == 403
    assert server.book.alerts[1].status == "triggered"
    async with http.post(f"{url}/alerts/1/resolve", headers={"Origin": url}) as answer:
        assert answer.status == 200
    assert server.book.alerts[1].status == "resolved"


async def test_what_a_person_does_is_told_signed_and_again_until_somebody_hears(http: aiohttp.ClientSession) -> None:
    got: list[tuple[Any, bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        got.append((request.headers, await request.read()))
        return web.Response(status=503 if len(got) == 1 else 200)

    app = web.Application()
    app.router.add_post("/in", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there = f"http://127.0.0.1:{runner.addresses[0][1]}/in"
    server = SandboxPagerDuty(subscription=Subscription(there, "old,new"))
    url = await server.start()
    try:
        await send(http, url, event())
        await http.post(f"{url}/alerts/1/acknowledge", headers={"Origin": url})
        await until(lambda: len(got) == 2)
        (first, body), (second, again) = got
        assert body == again and first["X-Webhook-Id"] == second["X-Webhook-Id"]
        right = [f"v1={hmac.new(one, body, 'sha256').hexdigest()}" for one in (b"old", b"new")]
        assert first["X-PagerDuty-Signature"] == ",".join(right)
        told = msgspec.json.decode(body)["event"]
        assert told["event_type"] == "incident.acknowledged" and told["data"]["incident_key"] == "k"
        assert told["agent"]["type"] == "user_reference" and len(server.sender.sent) < ATTEMPTS
    finally:
        await server.stop()
        await runner.cleanup()


async def test_alerts_outlive_their_server(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "pagerduty.ndjson"
    for statuses in (["triggered"], ["triggered"], ["triggered"]):
        server = SandboxPagerDuty(path=path)
        url = await server.start()
        await send(http, url, event())
        assert [alert.status for alert in server.book.alerts.values()] == statuses
        await server.stop()


async def test_it_has_the_menu_of_faults(pagerduty: Running, http: aiohttp.ClientSession) -> None:
    server, url = pagerduty
    server.faults.add(Fault(path="/v2/enqueue", kind="status", code=500, when="after", body="{}"))
    assert (await send(http, url, event()))[0] == 500
    assert len(server.book.alerts) == 1
