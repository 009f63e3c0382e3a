"""What Jira refuses, the sandbox refuses in the same words, and nothing has happened."""

import io
from typing import Any

import aiohttp
import pytest
from sandbox.clients import BASIC, JiraRunning, fields, paragraph

from streams.sandbox.jira import adf
from streams.sandbox.jira.rules import UPLOAD_LIMIT


async def send(http: aiohttp.ClientSession, method: str, url: str, body: Any) -> tuple[int, Any]:
    async with http.request(method, url, json=body, headers=BASIC) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("given", "name", "words"),
    [
        ({"summary": "x" * 256}, "summary", "Summary can't exceed 255 characters."),
        ({"summary": "a\nb"}, "summary", "newline"),
        ({"summary": "  "}, "summary", "You must specify a summary"),
        ({"labels": ["has space"]}, "labels", "contains spaces"),
        ({"labels": ["x" * 256]}, "labels", "255"),
        ({"description": "wiki text in version 3"}, "description", "Atlassian Document"),
        ({"description": paragraph("x" * 32_768)}, "description", "32,767"),
        ({"priority": {"name": "Urgent"}}, "priority", "priority selected is invalid"),
        ({"project": {"key": "NOPE"}}, "project", "valid project is required"),
        ({"issuetype": {"name": "Nope"}}, "issuetype", "valid issue type"),
        ({"assignee": {"accountId": "nobody"}}, "assignee", "cannot be assigned"),
        ({"fixVersions": [{"name": "v9"}]}, "fixVersions", "'v9' is not valid"),
        ({"customfield_10100": {"value": "maybe"}}, "customfield_10100", "'maybe' is not valid"),
        ({"customfield_99999": 1}, "customfield_99999", "not on the appropriate screen"),
        ({"resolution": {"name": "Fixed"}}, "resolution", "not on the appropriate screen"),
    ],
)
async def test_a_field_that_jira_refuses_refuses_the_create(
    jira: JiraRunning, http: aiohttp.ClientSession, given: dict, name: str, words: str
) -> None:
    status, body = await send(http, "POST", f"{jira[1]}/rest/api/3/issue", {"fields": fields(**given)})
    assert (status, body["errorMessages"], list(body["errors"])) == (400, [], [name])
    assert words in body["errors"][name]
    assert list(jira[0].book.tickets()) == []


async def test_all_errors_come_at_once(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    given = fields(labels=["a b"], priority={"name": "Urgent"})
    _, body = await send(http, "POST", f"{jira[1]}/rest/api/3/issue", {"fields": given})
    assert set(body["errors"]) == {"labels", "priority"}


async def test_an_edit_that_is_half_wrong_changes_nothing(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    await send(http, "POST", f"{jira[1]}/rest/api/3/issue", {"fields": fields(labels=["kept"])})
    edit = {"fields": {"summary": "New"}, "update": {"labels": [{"add": "a b"}]}}
    status, body = await send(http, "PUT", f"{jira[1]}/rest/api/3/issue/OPS-1", edit)
    ticket = jira[0].book.find("OPS-1")
    assert (status, list(body["errors"])) == (400, ["labels"])
    assert (ticket.summary, ticket.labels, ticket.history) == ("Tool fails", ["kept"], [])


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"fields": []}', b'{"fields": {"project": 7}}'])
async def test_a_body_that_is_no_create_is_answered_400(
    jira: JiraRunning, http: aiohttp.ClientSession, broken: bytes
) -> None:
    async with http.post(f"{jira[1]}/rest/api/3/issue", data=broken, headers=BASIC) as answer:
        assert answer.status == 400


async def test_properties_have_their_limits(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    await send(http, "POST", f"{jira[1]}/rest/api/3/issue", {"fields": fields()})
    one = f"{jira[1]}/rest/api/3/issue/OPS-1/properties"
    assert (await send(http, "PUT", f"{one}/k", "x" * 32_768))[0] == 400
    assert (await send(http, "PUT", f"{one}/{'k' * 256}", 1))[0] == 400
    assert (await send(http, "PUT", f"{one}/k", {"a": 1}))[0] == 201
    assert (await send(http, "PUT", f"{one}/k", {"a": 2}))[0] == 200
    assert (await send(http, "GET", f"{one}/other", None))[0] == 404


async def test_an_attachment_needs_its_header_and_fits_the_limit(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    await send(http, "POST", f"{jira[1]}/rest/api/3/issue", {"fields": fields()})
    address = f"{jira[1]}/rest/api/3/issue/OPS-1/attachments"
    statuses = []
    for size, headers in ((5, {}), (UPLOAD_LIMIT + 1, {"X-Atlassian-Token": "no-check"})):
        form = aiohttp.FormData()
        form.add_field("file", io.BytesIO(b"x" * size), filename="a.txt", content_type="text/plain")
        async with http.post(address, data=form, headers={**headers, **BASIC}) as answer:
            statuses.append(answer.status)
    assert statuses == [403, 413]
    assert jira[0].book.find("OPS-1").files == []


async def test_what_is_not_there_is_answered_404(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    for path in ("issue/OPS-9", "issue/OPS-9/comment", "project/NOPE", "attachment/1", "issue/OPS-9/transitions"):
        status, body = await send(http, "GET", f"{jira[1]}/rest/api/3/{path}", None)
        assert (status, len(body["errorMessages"])) == (404, 1), path


def test_a_document_is_checked_as_jira_checks_it() -> None:
    def doc(*blocks: dict) -> dict:
        return {"version": 1, "type": "doc", "content": list(blocks)}

    words = {"type": "text", "text": "x", "marks": [{"type": "strong"}]}
    item = {"type": "listItem", "content": [{"type": "paragraph", "content": [words]}]}
    assert adf.wrong(doc({"type": "bulletList", "content": [item]}, {"type": "rule"})) is None
    assert adf.wrong(doc({"type": "paragraph", "content": [{"type": "text", "text": ""}]})) == "text without text"
    assert adf.wrong(doc(words)) == "text inside doc"
    assert adf.wrong(doc({"type": "heading", "content": [words]})) == "heading without level"
    assert adf.wrong(doc({"type": "codeBlock", "content": [words]})) == "marks inside codeBlock"
    assert adf.wrong(doc({"type": "bulletList", "content": []})) == "bulletList without content"
    assert adf.wrong({"type": "doc", "content": []}) == "not an Atlassian Document of version 1"
