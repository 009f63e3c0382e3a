"""What people do in PagerDuty is heard here, once, and from nobody else."""

import asyncio
import hmac
import socket
import time
from datetime import UTC, datetime, timedelta

import aiohttp
import httpx
import msgspec
import pytest
import uvicorn
from learn.booking import book, sighted
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from respond.outside import page
from web.serving import living, serving

from streams import policy as policies
from streams.database import connect, migrate
from streams.records import Done
from streams.respond.receivers.http_wire import Wire
from streams.respond.receivers.pagerduty import PagerDuty
from streams.sandbox.pagerduty import SandboxPagerDuty
from streams.sandbox.pagerduty.server import KEY
from streams.sandbox.pagerduty.webhooks import Subscription
from streams.settings import Secret, Settings
from streams.web.app import create

SECRET = "a-secret-of-the-subscription"
PATH = "/v1/pagerduty/webhook"


def told(incident="i1", **given):
    event = {
        "id": "01E",
        "event_type": "incident.acknowledged",
        "resource_type": "incident",
        "occurred_at": datetime.now(UTC).isoformat(),
        "agent": {"type": "user_reference", "id": "P1", "summary": "Ada Lindqvist"},
        "data": {"type": "incident", "incident_key": f"tocsin:tocsin:{incident}"},
    }
    return msgspec.json.encode({"event": {**event, **given}})


def signature(body, *secrets):
    return ",".join(f"v1={hmac.new(one.encode(), body, 'sha256').hexdigest()}" for one in secrets or (SECRET,))


@pytest.fixture
async def site(database):
    migrate(database)
    async with serving(database, pagerduty_webhook_secret=Secret(SECRET)) as found:
        yield found


async def post(site, body, header=None):
    header = signature(body) if header is None else header
    return await site.client.post(PATH, content=body, headers={"X-PagerDuty-Signature": header})


async def inbox(site):
    return [record for (record,) in await site.rows("SELECT record FROM inbox ORDER BY id")]


@pytest.mark.parametrize("what", ["acknowledged", "resolved"])
async def test_whoever_takes_it_in_hand_there_has_it_in_hand_here(site, what):
    incident = await site.book()
    answer = await post(site, told(incident.id, event_type=f"incident.{what}"))
    assert answer.status_code == 200
    (record,) = await inbox(site)
    assert record["record"] == "acknowledgement"
    assert (record["incident"], record["actor"], record["source"]) == (incident.id, "Ada Lindqvist", "pagerduty")


@pytest.mark.parametrize("header", ["", "v1=", "v1=00", "v2=" + "0" * 64, "v1=é", signature(b"another body"), "v1"])
async def test_what_is_not_signed_by_pagerduty_is_refused(site, header):
    incident = await site.book()
    body = told(incident.id)
    answer = await post(site, body, header.encode())
    assert answer.status_code == 401
    assert await inbox(site) == []


async def test_a_body_that_was_changed_on_the_way_is_refused(site):
    incident = await site.book()
    body = told(incident.id)
    answer = await post(site, body.replace(b"Ada", b"Eve"), signature(body))
    assert answer.status_code == 401
    assert await inbox(site) == []


async def test_what_was_heard_before_is_refused(site):
    incident = await site.book()
    body = told(incident.id)
    assert [(await post(site, body)).status_code for _ in range(2)] == [200, 401]
    assert len(await inbox(site)) == 1


async def test_what_is_old_is_refused(site):
    incident = await site.book()
    for occurred in (datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC) + timedelta(hours=2)):
        answer = await post(site, told(incident.id, occurred_at=occurred.isoformat()))
        assert answer.status_code == 401
    assert await inbox(site) == []


async def test_either_of_two_secrets_is_enough_while_one_replaces_the_other(site):
    incident = await site.book()
    body = told(incident.id)
    assert (await post(site, body, signature(body, "another", SECRET))).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"event_type": "incident.triggered"},
        {"event_type": "pagey.ping", "agent": None, "data": {"type": "ping", "message": "Hello"}},
        {"agent": {"type": "events_api_v2_inbound_integration_reference", "summary": "Tocsin"}},
        {"agent": None},
        {"data": {"incident_key": "somebody-else"}},
        {"data": {"incident_key": "tocsin:another:i1"}},
        {"data": {"incident_key": "tocsin:tocsin:unknown"}},
        {"data": {}},
    ],
)
async def test_what_is_not_about_us_or_is_our_own_doing_changes_nothing(site, given):
    incident = await site.book()
    assert (await post(site, told(incident.id, **given))).status_code == 200
    assert await inbox(site) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"event": 1}', b'{"event": {"id": "x"}}',
    b'{"event": {"id": "\xff"}}', b'{"x":' * 5000 + b"1" + b"}" * 5000], ids=range(8))  # fmt: skip
async def test_nonsense_is_answered_in_words(site, body):
    answer = await post(site, body)
    assert answer.status_code == 400
    assert answer.json()["detail"]


async def test_without_a_secret_it_is_off(database):
    migrate(database)
    async with serving(database) as site:
        answer = await post(site, told(), signature(told(), ""))
        assert answer.status_code == 403
        assert "TOCSIN_PAGERDUTY_WEBHOOK_SECRET" in answer.json()["detail"]


async def test_what_became_of_each_is_counted(database):
    migrate(database)
    registry = CollectorRegistry()
    settings = Settings(database=database, pagerduty_webhook_secret=Secret(SECRET))
    app = create(settings, policies.load(), registry)
    transport = httpx.ASGITransport(app)
    async with living(app), httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        body = told("unknown")
        for header in (signature(body), "v1=0", signature(body)):
            await client.post(PATH, content=body, headers={"X-PagerDuty-Signature": header})
    counted = generate_latest(registry).decode()
    for result in ("unknown", "forged", "replayed"):
        assert f'tocsin_heard_total{{result="{result}",source="pagerduty"}} 1.0' in counted


async def test_a_person_who_acknowledges_on_the_sandbox_page_has_the_incident(database):
    migrate(database)
    settings = Settings(database=database, pagerduty_webhook_secret=Secret(SECRET))
    app = create(settings, policies.load(), CollectorRegistry())
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
    serving_ = asyncio.create_task(server.serve(sockets=[listening]))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
    pagerduty = SandboxPagerDuty(subscription=Subscription(url, SECRET))
    there = await pagerduty.start()
    receiver = PagerDuty(Wire(), f"{there}/v2/enqueue", {"platform": Secret(KEY)})
    conn = await connect(database)
    try:
        incident = sighted(1)
        await book(conn, incident)
        obligation = replace(page(incident.id, deployment="tocsin"), destination="pagerduty:platform")
        assert isinstance(await receiver.carry(obligation, {}, "n"), Done)
        async with aiohttp.ClientSession() as person, person.get(f"{there}/alerts/1") as shown:
            assert "High: a tool fails" in await shown.text()
            await person.post(f"{there}/alerts/1/acknowledge", headers={"Origin": there})
            assert pagerduty.book.alerts[1].status == "acknowledged"
        deadline = time.monotonic() + 20
        while not (rows := await (await conn.execute("SELECT record FROM inbox")).fetchall()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (rows[0][0]["incident"], rows[0][0]["source"]) == (incident.id, "pagerduty")
    finally:
        await conn.close()
        await receiver.close()
        await pagerduty.stop()
        server.should_exit = True
        await serving_
