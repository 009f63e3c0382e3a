"""What an administrator changes behind our back, and what Jira answers then: on Cloud and on a Data Center."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import specification
from aiohttp import web
from sandbox.clients import BASIC, JIRA_TOKEN, fields, paragraph, until

from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxDataCenter, SandboxJira
from streams.sandbox.jira.hooks import Webhook, signature
from streams.sandbox.jira.limits import Limits
from streams.sandbox.jira.rules import Workflow

SECRET = "It's a Secret to Everybody"


class Site:
    """A sandbox of either sort, and a plain HTTP client."""

    def __init__(self, server: SandboxJira, url: str, http: aiohttp.ClientSession) -> None:
        self.server, self.url, self.http = server, url, http
        self.api = "3" if server.cloud else "2"

    async def ask(self, method: str, path: str, body: Any = None, **given: Any) -> tuple[int, Any]:
        more = {"json": body, **given} if body is not None else given
        async with self.http.request(
            method, f"{self.url}/rest/api/{self.api}/{path}", headers={**BASIC, **given.pop("headers", {})}, **more
        ) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if raw and answer.content_type == "application/json" else None

    async def create(self, **more: Any) -> str:
        status, answer = await self.ask("POST", "issue", {"fields": fields(**more)})
        assert status == 201, answer
        return str(answer["key"])

    def text(self, said: str) -> Any:
        return paragraph(said) if self.server.cloud else said

    async def search(self, jql: str = "project = OPS") -> list[str]:
        path = "search/jql" if self.server.cloud else "search"
        status, answer = await self.ask("GET", path, params={"jql": jql, "fields": "labels"})
        assert status == 200
        return [one["key"] for one in answer["issues"]]


@pytest.fixture(params=[SandboxJira, SandboxDataCenter], ids=["cloud", "data-center"])
async def site(request: pytest.FixtureRequest, http: aiohttp.ClientSession) -> AsyncIterator[Site]:
    server = request.param(token=JIRA_TOKEN, projects=("OPS", "DEV"))
    yield Site(server, await server.start(), http)
    await server.stop()


async def test_who_may_not_browse_finds_nothing_and_hears_no_error(site: Site) -> None:
    key = await site.create()
    site.server.rules.revoke("OPS", "BROWSE_PROJECTS")
    assert await site.search() == []
    assert (await site.ask("GET", f"issue/{key}"))[0] == 404
    assert (await site.ask("GET", "project/OPS"))[0] == 404
    if site.server.cloud:
        _, found = await site.ask("POST", "issue/bulkfetch", {"issueIdsOrKeys": [key]})
        assert found["issues"] == []
    site.server.rules.grant("OPS")
    assert await site.search() == [key]


@pytest.mark.parametrize(
    ("permission", "status"),
    [("CREATE_ISSUES", 400), ("EDIT_ISSUES", 403), ("ADD_COMMENTS", 400), ("LINK_ISSUES", 403), ("TRANSITION_ISSUES", 400)],
)  # fmt: skip
async def test_a_permission_that_was_taken_away_refuses_what_it_is_for(
    site: Site, permission: str, status: int
) -> None:
    key = await site.create()
    link = {"globalId": "g", "object": {"url": "https://x.example/", "title": "x"}}
    calls: dict[str, tuple[str, str, Any]] = {
        "CREATE_ISSUES": ("POST", "issue", {"fields": fields()}),
        "EDIT_ISSUES": ("PUT", f"issue/{key}", {"update": {"labels": [{"add": "x"}]}}),
        "ADD_COMMENTS": ("POST", f"issue/{key}/comment", {"body": site.text("x")}),
        "LINK_ISSUES": ("POST", f"issue/{key}/remotelink", link),
        "TRANSITION_ISSUES": ("POST", f"issue/{key}/transitions", {"transition": {"id": "31"}}),
    }
    site.server.rules.revoke("OPS", permission)
    assert (await site.ask(*calls[permission]))[0] == status
    _, asked = await site.ask("GET", "mypermissions", params={"projectKey": "OPS", "permissions": permission})
    assert asked["permissions"][permission]["havePermission"] is False
    site.server.rules.grant("OPS", permission)
    assert (await site.ask(*calls[permission]))[0] in (200, 201, 204)


async def test_an_archived_project_can_be_read_but_neither_searched_nor_written(site: Site) -> None:
    key = await site.create()
    site.server.rules.archived.add("OPS")
    assert await site.search() == []
    assert (await site.ask("GET", f"issue/{key}"))[0] == 200
    status, answer = await site.ask("PUT", f"issue/{key}", {"update": {"labels": [{"add": "x"}]}})
    assert (status, answer["errorMessages"]) == (403, ["This project is archived: it can only be read."])
    assert (await site.ask("POST", "issue", {"fields": fields()}))[0] == 400


async def test_a_field_becomes_required_while_it_runs(site: Site) -> None:
    site.server.rules.required.add("customfield_10100")
    status, answer = await site.ask("POST", "issue", {"fields": fields()})
    assert (status, answer["errors"]) == (400, {"customfield_10100": "Outcome is required."})


async def test_a_workflow_may_have_no_way_to_done(site: Site) -> None:
    key = await site.create()
    site.server.rules.workflow["OPS"] = Workflow(done=False)
    _, offered = await site.ask("GET", f"issue/{key}/transitions")
    assert [one["name"] for one in offered["transitions"]] == ["Start progress"]
    assert (await site.ask("POST", f"issue/{key}/transitions", {"transition": {"id": "31"}}))[0] == 400


async def test_the_last_step_may_insist_on_a_resolution_and_on_more(site: Site) -> None:
    key = await site.create()
    site.server.rules.workflow["OPS"] = Workflow(resolution="required", needs=["fixVersions"])
    done: dict[str, Any] = {"transition": {"id": "31"}}
    status, answer = await site.ask("POST", f"issue/{key}/transitions", done)
    assert status == 400 and set(answer["errors"]) == {"resolution", "fixVersions"}
    await site.ask("POST", "version", {"name": "7", "project": "OPS"})
    done["fields"] = {"resolution": {"name": "Done"}, "fixVersions": [{"name": "7"}]}
    assert (await site.ask("POST", f"issue/{key}/transitions", done))[0] == 204


async def test_a_moved_ticket_is_found_by_both_keys_and_says_so_in_its_history(site: Site) -> None:
    key = await site.create()
    ticket = site.server.book.find(key)
    assert ticket is not None
    site.server.book.rekey(ticket, "ada", "DEV")
    for name in (key, "DEV-1"):
        _, found = await site.ask("GET", f"issue/{name}", params={"expand": "changelog"})
        assert found["key"] == "DEV-1"
    (item,) = found["changelog"]["histories"][0]["items"]
    assert (item["field"], item["fromString"], item["toString"]) == ("Key", key, "DEV-1")


async def test_rules_are_set_over_http(site: Site) -> None:
    async with site.http.put(f"{site.url}/_sandbox/rules", json={"denied": {"OPS": ["CREATE_ISSUES"]}}) as answer:
        assert answer.status == 200
    assert (await site.ask("POST", "issue", {"fields": fields()}))[0] == 400
    assert "summary" in site.server.rules.required, "what is not named stays"
    async with site.http.put(f"{site.url}/_sandbox/rules", json={"denide": {}}) as answer:
        assert answer.status == 400


# -- limits -----------------------------------------------------------------------------------------------------------


async def test_limits_are_counted_and_refused_only_when_told_to(site: Site) -> None:
    key = await site.create()
    edit = {"update": {"labels": [{"add": "x"}]}}
    for _ in range(21):
        assert (await site.ask("PUT", f"issue/{key}", edit))[0] == 204
    assert sum(site.server.violations.values()) == 1
    site.server.desk.limits.enforced = True
    async with site.http.put(f"{site.url}/rest/api/{site.api}/issue/{key}", json=edit, headers=BASIC) as answer:
        assert answer.status == 429
        assert (answer.headers["RateLimit-Reason"], answer.headers["Retry-After"]) == ("jira-per-issue-on-write", "2")
    assert (await site.ask("GET", f"issue/{key}"))[0] == 200, "reading is not limited by that"
    async with site.http.get(f"{site.url}/_sandbox/violations") as answer:
        assert sum((await answer.json()).values()) == 2


def test_a_burst_is_a_bucket_of_its_own_for_each_endpoint() -> None:
    now = [0.0]
    limits = Limits(lambda: now[0])
    for _ in range(50):
        assert limits.count("PUT", "/issue", None) is None
    broken = limits.count("PUT", "/issue", None)
    assert broken is not None and broken.reason == "jira-burst-based"
    assert limits.count("PUT", "/comment", None) is None
    now[0] = 0.02
    assert limits.count("PUT", "/issue", None) is None
    assert limits.violations == {"jira-burst-based PUT /issue": 1}


# -- webhooks ---------------------------------------------------------------------------------------------------------


class Ear:
    """Takes webhooks, and answers with the statuses it was given, then with 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.heard: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    def body(self, place: int = -1) -> Any:
        return json.loads(self.heard[place][1])


@pytest.fixture
async def ear() -> AsyncIterator[tuple[Ear, str]]:
    found, app = Ear(), web.Application()
    app.router.add_post("/hook", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield found, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


def test_the_signature_is_the_one_of_the_vendors_example() -> None:
    found = signature(Webhook("", SECRET), b"Hello World!")
    assert found == "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9"


async def test_what_happens_to_a_ticket_is_told_and_signed_over_the_raw_body(site: Site, ear: tuple[Ear, str]) -> None:
    heard, url = ear
    site.server.hooks.target = Webhook(url, SECRET)
    key = await site.create()
    await until(lambda: len(heard.heard) == 1)
    await site.ask("POST", f"issue/{key}/transitions", {"transition": {"id": "31"}})
    await until(lambda: len(heard.heard) == 2)
    await site.ask("POST", f"issue/{key}/comment", {"body": site.text("x")})
    await until(lambda: len(heard.heard) == 3)
    found = site.server.book.find(key)
    assert found is not None
    site.server.book.delete(found)
    await until(lambda: len(heard.heard) == 4)
    events = [heard.body(place)["webhookEvent"] for place in range(4)]
    assert events == ["jira:issue_created", "jira:issue_updated", "comment_created", "jira:issue_deleted"]
    assert {"status", "resolution"} <= {item["field"] for item in heard.body(1)["changelog"]["items"]}
    for headers, raw in heard.heard:
        wanted = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature"] == f"sha256={wanted}"
    assert len({headers["X-Atlassian-Webhook-Identifier"] for headers, _ in heard.heard}) == 4


async def test_a_webhook_that_nobody_took_comes_again_under_the_same_identifier(
    site: Site, ear: tuple[Ear, str]
) -> None:
    heard, url = ear
    heard.statuses = [503, 429]
    site.server.hooks.target = Webhook(url, retry_s=0.01)
    await site.create()
    await until(lambda: site.server.hooks.sent[0].statuses == [503, 429, 200])
    names = [headers["X-Atlassian-Webhook-Identifier"] for headers, _ in heard.heard]
    assert len(set(names)) == 1
    assert [headers.get("X-Atlassian-Webhook-Retry") for headers, _ in heard.heard] == [None, "1", "2"]


async def test_a_webhook_is_given_up_after_five_more_times_and_is_not_repeated_when_refused(
    site: Site, ear: tuple[Ear, str]
) -> None:
    heard, url = ear
    heard.statuses = [500] * 6 + [401]
    site.server.hooks.target = Webhook(url, retry_s=0.01)
    await site.create()
    await until(lambda: site.server.hooks.sent[0].statuses == [500] * 6)
    await site.create()
    await until(lambda: site.server.hooks.sent[1].statuses == [401])


# -- Data Center ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def center(http: aiohttp.ClientSession) -> AsyncIterator[Site]:
    server = SandboxDataCenter(token=JIRA_TOKEN)
    yield Site(server, await server.start(), http)
    await server.stop()


async def test_a_data_center_knows_neither_version_three_nor_the_newer_search_nor_reading_in_bulk(center: Site) -> None:
    for path in ("3/issue/OPS-1", "3/myself", "2/search/jql?jql=project=OPS"):
        async with center.http.get(f"{center.url}/rest/api/{path}", headers=BASIC) as answer:
            assert answer.status == 404
    assert (await center.ask("POST", "issue/bulkfetch", {"issueIdsOrKeys": ["OPS-1"]}))[0] == 404


async def test_a_data_center_takes_a_personal_token_and_names_people(center: Site) -> None:
    token = JIRA_TOKEN.partition(":")[2]
    center.server.desk._token = token
    headers = {"Authorization": f"Bearer {token}"}
    async with center.http.get(f"{center.url}/rest/api/2/myself", headers=headers) as answer:
        me = await answer.json()
    assert (answer.status, me["name"], "accountId" in me) == (200, "tocsin", False)
    wrong = {"Authorization": f"Basic {base64.b64encode(b'x:y').decode()}"}
    async with center.http.get(f"{center.url}/rest/api/2/myself", headers=wrong) as answer:
        assert answer.status == 401


async def test_a_data_center_searches_by_place_and_with_a_total(center: Site) -> None:
    keys = [await center.create() for _ in range(3)]
    _, found = await center.ask(
        "POST", "search", {"jql": "project = OPS ORDER BY key ASC", "startAt": 1, "maxResults": 1}
    )
    assert (found["startAt"], found["maxResults"], found["total"]) == (1, 1, 3)
    assert [one["key"] for one in found["issues"]] == [keys[1]]


async def test_a_data_center_takes_text_and_no_documents(center: Site) -> None:
    key = await center.create(description="h1. *text*")
    _, found = await center.ask("GET", f"issue/{key}")
    assert found["fields"]["description"] == "h1. *text*"
    status, _ = await center.ask("POST", "issue", {"fields": fields(description=paragraph("x"))})
    assert status == 400


async def test_a_data_center_calls_every_list_of_the_create_screen_the_same(center: Site) -> None:
    _, kinds = await center.ask("GET", "issue/createmeta/OPS/issuetypes")
    _, asked = await center.ask("GET", "issue/createmeta/OPS/issuetypes/10001")
    assert kinds["values"][0]["name"] == "Task" and kinds["isLast"] is True
    assert "summary" in {one["fieldId"] for one in asked["values"]}


async def test_comments_show_their_properties_only_when_asked_and_the_newest_first_when_asked(site: Site) -> None:
    key = await site.create()
    for text in ("first", "second"):
        said = {"body": site.text(text), "properties": [{"key": "k", "value": text}]}
        await site.ask("POST", f"issue/{key}/comment", said)
    _, plain = await site.ask("GET", f"issue/{key}/comment")
    assert all("properties" not in one for one in plain["comments"])
    _, shown = await site.ask("GET", f"issue/{key}/comment", params={"orderBy": "-created", "expand": "properties"})
    assert [one["properties"][0]["value"] for one in shown["comments"]] == ["second", "first"]


# -- the witness ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not specification.there(), reason=specification.SKIPPED)
async def test_an_answer_that_the_specification_forbids_is_noticed(
    http: aiohttp.ClientSession, official: None, witness: specification.Witness
) -> None:
    server = SandboxJira(token=JIRA_TOKEN)
    site = Site(server, await server.start(), http)
    await site.create()
    assert witness.wrong() == []
    server.faults.add(Fault(path="/rest/api/*/myself", kind="status", code=418, when="before"))
    await site.ask("GET", "myself")
    assert witness.wrong() == [], "what a fault says is not the sandbox's"
    server.rules.upload_limit = "much"  # type: ignore[assignment]
    await site.ask("GET", "attachment/meta")
    (wrong,) = witness.wrong()
    assert "attachment/meta" in wrong and "'much' is not of type 'integer'" in wrong
    await server.stop()
