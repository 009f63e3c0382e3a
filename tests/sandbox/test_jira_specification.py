"""What the sandbox Jira answers is valid under Jira Cloud's official specification, where it is at hand."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema_path import SchemaPath
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from sandbox.clients import BASIC, JiraRunning, fields, paragraph

BESIDE = Path(__file__).resolve().parents[3] / "shared"
FILE = Path(os.environ.get("TOCSIN_TEST_DATA") or BESIDE) / "specs" / "jira-cloud-v3-trimmed.json"

pytestmark = pytest.mark.skipif(
    not FILE.is_file(), reason="Jira's specification is not there: set TOCSIN_TEST_DATA to the folder that has specs/"
)

# Where the specification is stricter than the Jira it describes:
# - Jira writes its zone as +0000, which is no RFC 3339 date-time;
# - 204 is declared with a body;
# - the list of remote links is declared as a single one, and so is the reason why it is checked one by one below.
READ_ONLY_PATHS = ("serverInfo", "myself", "field", "attachment/meta", "project/OPS", "mypermissions?permissions=A,B")


def relaxed(node: Any) -> Any:
    if isinstance(node, list):
        return [relaxed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: relaxed(value) for key, value in node.items() if (key, value) != ("format", "date-time")}


@pytest.fixture(scope="module")
def specification() -> dict[str, Any]:
    document = relaxed(json.loads(FILE.read_bytes()))
    for path in document["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation["responses"].get("204", {}).pop("content", None)
    return document


class Checked:
    """A session whose answers are all held against the specification."""

    def __init__(self, specification: dict[str, Any], url: str) -> None:
        served = {**specification, "servers": [{"url": url}]}
        self._api = OpenAPI(SchemaPath.from_dict(served))
        self._session = requests.Session()
        self._session.headers.update(BASIC)
        self._base = f"{url}/rest/api/3"
        self.validated: list[str] = []

    def __call__(self, method: str, path: str, expected: int, **more: Any) -> Any:
        request = requests.Request(method, f"{self._base}/{path}", **more)
        answer = self._session.request(method, request.url, **more)
        assert answer.status_code == expected, (path, answer.text)
        self._api.validate_response(RequestsOpenAPIRequest(request), RequestsOpenAPIResponse(answer))
        self.validated.append(f"{method} {path}")
        return answer.json() if answer.content else None

    def unchecked(self, method: str, path: str, **more: Any) -> Any:
        return self._session.request(method, f"{self._base}/{path}", **more)

    def close(self) -> None:
        self._session.close()


@pytest.fixture
def checked(specification: dict[str, Any], jira: JiraRunning) -> Iterator[Checked]:
    session = Checked(specification, jira[1])
    yield session
    session.close()


async def test_what_the_site_says_of_itself(checked: Checked) -> None:
    def work() -> None:
        for path in READ_ONLY_PATHS:
            checked("GET", path, 200)
        checked("GET", "issue/createmeta/OPS/issuetypes", 200)
        checked("GET", "issue/createmeta/OPS/issuetypes/10001", 200)

    await asyncio.to_thread(work)
    assert len(checked.validated) == len(READ_ONLY_PATHS) + 2


async def test_the_life_of_a_ticket(checked: Checked) -> None:
    def work() -> None:
        property_ = {"key": "tocsin.incident", "value": {"incident": "i"}}
        body = {"fields": fields(description=paragraph("x"), labels=["a"]), "properties": [property_]}
        key = checked("POST", "issue", 201, json=body)["key"]
        checked("POST", f"issue/{key}/comment", 201, json={"body": paragraph("x"), "properties": [property_]})
        sent = {"files": {"file": ("a.txt", b"x")}, "headers": {"X-Atlassian-Token": "no-check"}}
        checked("POST", f"issue/{key}/attachments", 200, **sent)
        edit = {"fields": {"priority": {"name": "High"}}, "update": {"labels": [{"add": "b"}]}}
        checked("PUT", f"issue/{key}", 204, json=edit)
        checked("PUT", f"issue/{key}/properties/k", 201, json={"a": 1})
        checked("GET", f"issue/{key}/properties", 200)
        checked("GET", f"issue/{key}/properties/k", 200)
        checked("GET", f"issue/{key}/transitions", 200)
        checked("GET", f"issue/{key}/transitions?expand=transitions.fields", 200)
        done = {"resolution": {"name": "Fixed"}, "customfield_10100": {"value": "fixed"}}
        checked("POST", f"issue/{key}/transitions", 204, json={"transition": {"id": "31"}, "fields": done})
        checked("GET", f"issue/{key}", 200)
        checked("GET", f"issue/{key}?expand=changelog&properties=tocsin.incident", 200)
        checked("GET", f"issue/{key}/comment", 200)
        checked("GET", f"issue/{key}/changelog", 200)
        checked("DELETE", f"issue/{key}", 204)

    await asyncio.to_thread(work)
    assert len(checked.validated) == 15


async def test_search(checked: Checked, jira: JiraRunning) -> None:
    def work() -> None:
        for _ in range(3):
            checked("POST", "issue", 201, json={"fields": fields()})
        checked("GET", "search/jql?jql=project%20%3D%20OPS", 200)
        checked("GET", "search/jql?jql=project%20%3D%20OPS&maxResults=2&fields=*all", 200)
        checked("POST", "search/jql", 200, json={"jql": "project = OPS", "fields": ["summary", "labels"]})

    await asyncio.to_thread(work)
    assert len(checked.validated) == 6


async def test_remote_links(checked: Checked, specification: dict[str, Any]) -> None:
    one = OpenAPI(SchemaPath.from_dict(specification)).spec / "components" / "schemas" / "RemoteIssueLink"
    known = set((one / "properties").keys())

    def work() -> list[dict[str, Any]]:
        checked("POST", "issue", 201, json={"fields": fields()})
        body = {"globalId": "g", "object": {"url": "http://127.0.0.1:1/", "title": "x"}}
        for status in (201, 200):
            checked("POST", "issue/OPS-1/remotelink", status, json=body)
        checked("GET", "issue/OPS-1/remotelink?globalId=g", 200)
        return checked.unchecked("GET", "issue/OPS-1/remotelink").json()

    (link,) = await asyncio.to_thread(work)
    assert set(link) <= known
    assert link["globalId"] == "g"


async def test_refusals(checked: Checked) -> None:
    """The specification gives them no body; it must at least know their statuses."""

    def work() -> None:
        checked("POST", "issue", 400, json={"fields": fields(summary="x" * 256)})
        checked("GET", "issue/OPS-9", 404)
        checked("GET", "search/jql?jql=colour%20%3D%20red", 400)
        checked("GET", "issue/OPS-9/properties/k", 404)
        checked("POST", "issue/OPS-9/transitions", 404, json={"transition": {"id": "31"}})

    await asyncio.to_thread(work)
    assert len(checked.validated) == 5
