"""Incidents, silences and health over HTTP: reading is free, writing asks for the token."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import msgspec
import pytest
from learn.booking import SEEN
from web.serving import BEARER, serving

from streams.database import migrate
from streams.records import Acknowledgement, Outcome, Silence

WRITING = {
    "/v1/incidents/{id}/acknowledge": {"actor": "Ada"},
    "/v1/incidents/{id}/outcome": {"outcome": "fixed", "actor": "Ada"},
    "/v1/incidents/{id}/assign": {"to": "Bob", "actor": "Ada"},
    "/v1/incidents/{id}/split": {"actor": "Ada", "reason": "another trouble"},
    "/v1/incidents/{id}/merge": {"parent": "p#1", "actor": "Ada"},
    "/v1/silences/{silence}/end": {"actor": "Ada"},
    "/v1/outcomes/confirm": {"incidents": ["i#1"], "actor": "Ada"},
    "/v1/cases/{case}": {"actor": "Ada", "expectation": "asks first"},
    "/v1/approvals": {"action": "refund.create", "agent": "support-bot"},
    "/v1/approvals/{approval}/answer": {"answer": "approved", "actor": "Ada"},
    "/v1/events": {},
    "/v1/silences": {
        "matchers": {"agent": "support-bot"},
        "reason": "load test",
        "actor": "Ada",
        "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    },
}


async def send(site, path, body, headers=None, **given):
    incident = quote(given.get("incident", "v1:tool.repeated_error:0000000000000001#1"), safe="")
    return await site.client.post(path.replace("{id}", incident), json=body, headers=headers)


async def inbox(site, kind):
    return [msgspec.convert(row[0], kind) for row in await site.rows("SELECT record FROM inbox ORDER BY id")]


@pytest.mark.parametrize("path", WRITING)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic x"},
        {"Authorization": "Bearer "},
        {"Cookie": "tocsin=x"},
    ],
)
async def test_nothing_is_written_without_the_token(site, path, headers):
    await site.book()
    answer = await send(site, path, WRITING[path], headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert await site.rows("SELECT * FROM inbox") == []


async def test_every_writing_endpoint_of_the_description_is_behind_the_token(site):
    described = (await site.client.get("/schema")).json()
    writing = {
        path
        for path, item in described["paths"].items()
        if set(item) & {"post", "put", "patch", "delete"} and not path.startswith("/v1/gates/")
    }
    assert writing >= {path.replace("{id}", "{incident}").replace("{silence}", "{silence_id}") for path in WRITING}
    for path in sorted(writing):
        assert described["paths"][path]["post"]["security"] == [{"token": []}], path
        assert (await send(site, re.sub(r"\{\w+\}", "x", path), {})).status_code == 401, path


async def test_without_a_token_in_the_settings_nothing_can_be_written(database):
    migrate(database)
    async with serving(database, token="") as site:
        for header in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}):
            assert (await send(site, "/v1/silences", WRITING["/v1/silences"], header)).status_code == 403


async def test_an_acknowledgement_reaches_the_books_inbox(site):
    incident = await site.book()
    answer = await send(site, "/v1/incidents/{id}/acknowledge", {"actor": "Ada"}, BEARER)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True, "id": incident.id})
    (told,) = await inbox(site, Acknowledgement)
    assert (told.incident, told.actor) == (incident.id, "Ada")


async def test_an_outcome_reaches_the_book_the_history_and_the_export(site):
    incident = await site.book()
    body = {"outcome": "fixed", "fixed_in": "2026.09.4", "actor": "Ada", "reason": "prompt repaired"}
    assert (await send(site, "/v1/incidents/{id}/outcome", body, BEARER)).status_code == 202
    (told,) = await inbox(site, Outcome)
    assert (told.outcome, told.fixed_in, told.actor, told.source) == ("fixed", "2026.09.4", "Ada", "web")
    assert await site.rows("SELECT topic, key FROM publish") == [("tocsin.outcomes", incident.id)]
    shown = (await site.client.get(f"/v1/incidents/{quote(incident.id, safe='')}")).json()
    assert shown["outcomes"][0]["reason"] == "prompt repaired"


async def test_a_silence_reaches_the_books_inbox(site):
    assert (await send(site, "/v1/silences", WRITING["/v1/silences"], BEARER)).status_code == 202
    (told,) = await inbox(site, Silence)
    assert (told.matchers, told.reason, told.actor) == ({"agent": "support-bot"}, "load test", "Ada")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/v1/incidents/{id}/outcome", {"outcome": "solved"}),
        ("/v1/incidents/{id}/outcome", {"actor": ""}),
        ("/v1/incidents/{id}/outcome", {"outcome": "wont_fix", "fixed_in": "2"}),
        ("/v1/incidents/{id}/outcome", {"reason": "\0"}),
        ("/v1/incidents/{id}/acknowledge", {"actr": "Ada"}),
        ("/v1/silences", {"matchers": {}}),
        ("/v1/silences", {"matchers": {"tool": "x"}}),
        ("/v1/silences", {"reason": ""}),
        ("/v1/silences", {"until": "2020-01-01T00:00:00Z"}),
        ("/v1/silences", {"until": "2999-01-01T00:00:00Z"}),
        ("/v1/silences", {"until": "2027-01-01T00:00:00"}),
    ],
)
async def test_a_wrong_body_is_a_422_and_nothing_is_written(site, path, wrong):
    await site.book()
    answer = await send(site, path, {**WRITING[path], **wrong}, BEARER)
    assert answer.status_code == 422, answer.text
    assert await site.rows("SELECT * FROM inbox") == []


async def test_what_nobody_opened_cannot_be_decided(site):
    answer = await send(site, "/v1/incidents/{id}/acknowledge", {"actor": "Ada"}, BEARER, incident="none")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


async def test_incidents_are_listed_newest_first_page_by_page(site):
    for number in range(5):
        await site.book(number, opened_at=SEEN + timedelta(minutes=number % 3))
    seen, after = [], None
    while True:
        query = {"limit": 2, **({"after": after} if after else {})}
        body = (await site.client.get("/v1/incidents", params=query)).json()
        seen += [one["id"] for one in body["incidents"]]
        after = body["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert [int(one[-3], 16) for one in seen] == [2, 4, 1, 3, 0]


async def test_incidents_can_be_filtered(site):
    await site.book(1)
    await site.book(2, stage="resolved", outcome="fixed")
    await site.book(3, owner="search", severity="low")

    async def found(**query):
        body = (await site.client.get("/v1/incidents", params=query)).json()
        return sorted(one["id"][-3] for one in body["incidents"])

    assert await found() == ["1", "2", "3"]
    assert await found(stage="active") == ["1", "3"]
    assert await found(stage="resolved") == ["2"]
    assert await found(owner="search") == ["3"]
    assert await found(severity="high") == ["1", "2"]
    assert await found(agent="nobody") == []
    for wrong in ({"stage": "odd"}, {"limit": 0}, {"limit": 201}, {"after": "///"}, {"after": "eA"}):
        assert (await site.client.get("/v1/incidents", params=wrong)).status_code == 422, wrong


async def test_an_incident_shows_what_people_are_owed_and_every_attempt(site):
    incident = await site.book()
    await site.owe(incident, kind="page", state="attempting", answer="unknown", why="timed out")
    await site.owe(incident, reference="OPS-1", url="https://jira.example/browse/OPS-1")
    await site.read()
    body = (await site.client.get(f"/v1/incidents/{quote(incident.id, safe='')}")).json()
    assert [(one["kind"], one["state"]) for one in body["obligations"]] == [("page", "attempting"), ("ticket", "done")]
    assert body["obligations"][0]["attempts"][0]["answer"] == "unknown"
    assert body["incident"]["evidence"][0]["position"] == "agent.events/1/0/7"
    assert [(one["release"], one["state"], one["code"]) for one in body["gates"]] == [
        ("2026.09.3", "block", "incident_open")
    ]


async def test_health_says_what_is_wrong_in_words(site):
    incident = await site.book()
    await site.owe(incident, kind="page", state="refused", why="channel_not_found")
    await site.clock(datetime.now(UTC) - timedelta(minutes=10))
    body = (await site.client.get("/v1/health")).json()
    assert body["status"] == "degraded"
    assert body["open_incidents"] == 1
    told = " ".join(body["problems"])
    assert "Event time stands 60" in told
    assert "jira is not configured" in told
    assert "jira refused 1 obligations" in told


async def test_a_page_elsewhere_cannot_reach_us_under_a_name_of_its_own(site):
    for path in ("/", "/v1/health", "/nowhere", "/static/look.css"):
        answer = await site.client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["status"]) == (421, 421)
    for host in ("localhost", "127.0.0.1:9", "[::1]:8080", "LOCALHOST"):
        assert (await site.client.get("/v1/health", headers={"Host": host})).status_code == 200


async def test_every_answer_carries_the_headers_that_keep_browsers_careful(site):
    for path in ("/", "/v1/health", "/nowhere", "/static/look.css", "/schema", "/v1/nowhere"):
        headers = (await site.client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; script-src 'self'"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
