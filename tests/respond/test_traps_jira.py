"""What the jira library does on the wire, pinned: an upgrade that repeats a call, or sends it otherwise, fails here."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import requests
from aiohttp import web
from jira import JIRA, JIRAError
from respond.outside import CANARY, jira_receiver, posts, ticket

from streams.records import Done
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira

CREATE = "/rest/api/*/issue"
FIELDS = {"project": {"key": "OPS"}, "issuetype": {"name": "Task"}, "summary": "x"}
READ_S = 0.4


class Sent(NamedTuple):
    method: str
    path: str  # under /rest/, without the version of the API
    query: dict[str, str]
    body: bytes
    media: str

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """A sandbox Jira that notes what reaches it, and clients of the unmodified library that work in a thread."""

    def __init__(self, server: SandboxJira, url: str) -> None:
        self.server, self.url = server, url
        self.sent: list[Sent] = []
        self._official, server.serving.witness = server.serving.witness, self._note

    def _note(self, request: web.Request, answer: web.StreamResponse) -> None:
        path = request.path.replace("/rest/api/3/", "").replace("/rest/api/2/", "").removeprefix("/rest/")
        self.sent.append(
            Sent(request.method, path, dict(request.query), request._read_bytes or b"", request.content_type)
        )
        if self._official is not None:
            self._official(request, answer)

    def client(self, **given: Any) -> JIRA:
        """Version 3, Cloud, no retries: what differs is given."""
        known = {
            "server": self.url, "basic_auth": ("tocsin@example.com", CANARY), "options": {"rest_api_version": "3"},
            "max_retries": 0, "timeout": (READ_S, READ_S), "get_server_info": False,
        }  # fmt: skip
        found = JIRA(**{**known, **given})
        if not found.deploymentType and "deployment" not in given:
            found.deploymentType = "Cloud"
        return found

    async def run(self, work: Callable[[JIRA], Any], **given: Any) -> Any:
        def whole() -> Any:
            client = self.client(**given)
            try:
                return work(client)
            finally:
                client.close()

        return await asyncio.to_thread(whole)

    def calls(self) -> list[str]:
        return [one.call for one in self.sent]

    def tickets(self) -> int:
        return len(list(self.server.book.tickets()))


@pytest.fixture
async def line(jira: tuple[SandboxJira, str]) -> Line:
    return Line(*jira)


def made(client: JIRA) -> str:
    return client.create_issue(fields=FIELDS, prefetch=False).key


# -- what it sends ----------------------------------------------------------------------------------------------------


async def test_constructing_asks_for_the_server_and_proves_nothing_about_the_credentials(line: Line) -> None:
    def work(client: JIRA) -> int:
        with pytest.raises(JIRAError) as refused:
            client.myself()
        return int(refused.value.status_code or 0)

    assert await line.run(work, get_server_info=True, basic_auth=("tocsin@example.com", "wrong")) == 401
    assert line.calls()[0] == "GET serverInfo"


async def test_without_asking_for_the_server_it_uses_the_search_that_was_removed(line: Line) -> None:
    def work(client: JIRA) -> tuple[int, Any]:
        client.deploymentType = None
        with pytest.raises(JIRAError) as refused:
            client.search_issues("project = OPS")
        return int(refused.value.status_code or 0), client.enhanced_search_issues("project = OPS")

    assert await line.run(work) == (410, None), "and the newer one silently finds nothing"


async def test_its_default_is_version_two(line: Line) -> None:
    await line.run(lambda client: client.myself(), options={})
    assert line.server.serving.calls[-1].path == "/rest/api/2/myself"


async def test_names_instead_of_dictionaries_cost_two_calls_more_and_prefetch_one(line: Line) -> None:
    await line.run(lambda client: client.create_issue(project="OPS", issuetype="Task", summary="x"))
    calls = line.calls()
    assert [one for one in calls if one == "POST issue"] == ["POST issue"]
    assert calls[-1].startswith("GET issue/") and len(calls) >= 3
    line.sent.clear()
    await line.run(made)
    assert line.calls() == ["POST issue"], "this is how it is one call"


async def test_a_read_that_fails_after_a_create_looks_like_a_create_that_failed(line: Line) -> None:
    line.server.faults.add(Fault(path="/rest/api/*/issue/*", method="GET", kind="status", code=500, when="before"))

    def work(client: JIRA) -> None:
        with pytest.raises(JIRAError):
            client.create_issue(fields=FIELDS)

    await line.run(work)
    assert line.tickets() == 1


async def test_properties_of_a_create_are_dropped(line: Line) -> None:
    properties = [{"key": "k", "value": {"a": 1}}]
    await line.run(lambda client: client.create_issue(fields=FIELDS, properties=properties, prefetch=False))
    assert "properties" not in line.sent[-1].json
    (found,) = line.server.book.tickets()
    assert found.properties == {}


async def test_a_search_on_cloud_goes_to_the_newer_one_and_refuses_to_skip(line: Line) -> None:
    await line.run(made)
    line.sent.clear()

    def work(client: JIRA) -> None:
        client.search_issues("project = OPS")
        with pytest.raises(JIRAError):
            client.search_issues("project = OPS", startAt=1)

    await line.run(work)
    assert line.calls()[:2] == ["GET field", "GET search/jql"], "the first one asks for the names of all fields"


async def test_a_search_by_post_sends_what_the_specification_forbids(line: Line) -> None:
    def work(client: JIRA) -> int:
        with pytest.raises(JIRAError) as refused:
            client.enhanced_search_issues("project = OPS", use_post=True)
        return int(refused.value.status_code or 0)

    assert await line.run(work) == 400
    sent = line.sent[-1].json
    assert (sent["expand"], sent["properties"]) == (None, None)


async def test_numbers_to_reconcile_are_passed_on(line: Line) -> None:
    await line.run(made)
    (found,) = line.server.book.tickets()
    await line.run(lambda client: client.enhanced_search_issues("project = OPS", reconcileIssues=[found.id]))
    assert line.sent[-1].query["reconcileIssues"] == str(found.id)


async def test_an_attachment_has_no_type_and_an_empty_one_raises_after_it_is_there(line: Line) -> None:
    def work(client: JIRA) -> None:
        key = made(client)
        client.add_attachment(issue=key, attachment=io.BytesIO(b"{}"), filename="a.json")
        with pytest.raises(JIRAError):
            client.add_attachment(issue=key, attachment=io.BytesIO(b""), filename="b.json")

    await line.run(work)
    (found,) = line.server.book.tickets()
    assert [(one.name, one.media) for one in found.files] == [
        ("a.json", "application/octet-stream"),
        ("b.json", "application/octet-stream"),
    ]


async def test_a_comment_takes_no_properties_but_the_service_desks_own(line: Line) -> None:
    import inspect

    def work(client: JIRA) -> None:
        key = made(client)
        client.add_comment(key, {"version": 1, "type": "doc", "content": [paragraph]}, is_internal=True)

    paragraph = {"type": "paragraph", "content": [{"type": "text", "text": "x"}]}
    assert "properties" not in inspect.signature(JIRA.add_comment).parameters
    await line.run(work)
    assert [one["key"] for one in line.sent[-1].json["properties"]] == ["sd.public.comment"]


async def test_a_transition_is_sent_as_a_number_where_the_specification_wants_a_string(line: Line) -> None:
    await line.run(lambda client: client.transition_issue(made(client), "31"))
    assert line.sent[-1].json["transition"] == {"id": 31}
    await line.run(lambda client: client.transition_issue(made(client), "Done"))
    assert line.sent[-1].json["transition"] == {"id": "31"}, "found by the transition's name"

    def by_status(client: JIRA) -> None:
        with pytest.raises(JIRAError):
            client.transition_issue(made(client), "In Progress")  # the name of a status, not of a transition

    await line.run(by_status)


async def test_a_remote_link_asks_for_what_only_administrators_may_see(line: Line) -> None:
    def work(client: JIRA) -> None:
        key = made(client)
        with pytest.warns(Warning, match="applicationlinks"):
            client.add_remote_link(key, {"url": "https://x.example/", "title": "x"}, globalId="g")

    await line.run(work)
    asked = [call.path for call in line.server.serving.calls]
    assert any("listApplicationlinks" in path for path in asked)


async def test_a_reload_that_fails_looks_like_an_update_that_failed(line: Line) -> None:
    def work(client: JIRA) -> None:
        found = client.issue(made(client))
        line.server.faults.add(Fault(path="/rest/api/*/issue/*", method="GET", kind="status", code=500, when="before"))
        with pytest.raises(JIRAError):
            found.update(fields={"summary": "new"})

    await line.run(work)
    (found,) = line.server.book.tickets()
    assert found.summary == "new"


async def test_properties_are_set_one_by_one_and_idempotently(line: Line) -> None:
    def work(client: JIRA) -> Any:
        key = made(client)
        for _ in range(2):
            client.add_issue_property(key, "k", {"a": 1})
        return client.issue_property(key, "k").value.a

    assert await line.run(work) == 1
    assert [one.method for one in line.sent if one.path.endswith("/properties/k")][:2] == ["PUT", "PUT"]


async def test_it_refuses_to_ask_cloud_for_the_create_screen(line: Line) -> None:
    def work(client: JIRA) -> None:
        for ask in (client.project_issue_types, lambda project: client.project_issue_fields(project, "10001")):
            with pytest.raises(JIRAError, match="Unsupported"):
                ask("OPS")

    await line.run(work)
    assert not any("createmeta" in one for one in line.calls())


async def test_an_exception_shows_headers_and_holds_the_credentials(line: Line) -> None:
    """Which is why none of them leaves the wire."""

    def work(client: JIRA) -> tuple[str, str]:
        with pytest.raises(JIRAError) as refused:
            client.issue("OPS-99")
        error = refused.value
        return str(error), str(error.response.request.headers)  # type: ignore[union-attr]

    shown, held = await line.run(work)
    assert "response headers" in shown and "Authorization" in held


# -- what it repeats: the ticket is there, the answer is lost ---------------------------------------------------------


class Row(NamedTuple):
    fault: dict[str, Any]
    by_default: int  # tickets, with three retries
    raised: type[Exception]  # without retries
    slept: bool = False


AFTER = {"when": "after"}
TABLE = {
    "reset": Row({**AFTER, "kind": "reset"}, 2, requests.ConnectionError),
    "close": Row({**AFTER, "kind": "close"}, 2, requests.ConnectionError),
    "body stalls": Row({**AFTER, "kind": "stall"}, 2, requests.ConnectionError),
    "503 with a time": Row({**AFTER, "kind": "status", "code": 503, "headers": {"Retry-After": "1"}}, 2, JIRAError),
    "no answer": Row({**AFTER, "kind": "hang"}, 1, requests.ReadTimeout),
    "500": Row({**AFTER, "kind": "status", "code": 500}, 1, JIRAError),
    "503": Row({**AFTER, "kind": "status", "code": 503}, 1, JIRAError),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_left_to_itself_it_makes_a_second_ticket(line: Line, row: Row) -> None:
    line.server.faults.add(Fault(path=CREATE, method="POST", **row.fault))

    def work(client: JIRA) -> None:
        client._session.max_retry_delay = 0.05  # it would sleep up to a minute
        if row.by_default == 1:
            with pytest.raises(row.raised):
                made(client)
        else:
            made(client)

    await line.run(work, max_retries=3)
    assert (line.tickets(), posts(line.server.serving.calls, "/issue")) == (row.by_default, row.by_default)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
async def test_without_retries_there_is_one(line: Line, row: Row) -> None:
    line.server.faults.add(Fault(path=CREATE, method="POST", **row.fault))

    def work(client: JIRA) -> None:
        with pytest.raises(row.raised):
            made(client)

    await line.run(work)
    assert (line.tickets(), posts(line.server.serving.calls, "/issue")) == (1, 1)


async def test_it_comes_back_sooner_than_it_was_told(line: Line) -> None:
    line.server.faults.add(Fault(path=CREATE, kind="status", code=429, when="before", headers={"Retry-After": "120"}))

    def work(client: JIRA) -> float:
        client._session.max_retry_delay = 0.2  # a minute by default: half an hour's wait would be cut to it as well
        began = time.monotonic()
        made(client)
        return time.monotonic() - began

    assert await line.run(work, max_retries=3) < 60.0


async def test_a_date_to_come_back_at_breaks_it(line: Line) -> None:
    when = "Wed, 21 Oct 2099 07:28:00 GMT"
    line.server.faults.add(Fault(path=CREATE, kind="status", code=429, when="before", headers={"Retry-After": when}))

    def work(client: JIRA) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            made(client)

    await line.run(work, max_retries=3)


async def test_by_default_it_waits_for_ever() -> None:
    client = JIRA(server="http://127.0.0.1:9", get_server_info=False)
    assert client._session.timeout is None and client._session.max_retries == 3
    client.close()


# -- and what we make of it -------------------------------------------------------------------------------------------


async def test_our_create_is_one_call_with_its_properties_on_a_connection_of_its_own(line: Line) -> None:
    receiver = jira_receiver(line.url)
    assert isinstance(await receiver.carry(ticket(), {}, "n1"), Done)
    await receiver.close()
    (sent,) = line.sent
    assert sent.call == "POST issue" and sent.json["properties"][0]["key"] == "tocsin.incident"
