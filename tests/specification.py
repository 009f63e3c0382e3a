"""Every answer of a sandbox Jira in these tests is held against Jira Cloud's official specification."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from jsonschema_path import SchemaPath
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import PathError

BESIDE = Path(__file__).resolve().parents[2] / "shared"
FILE = Path(os.environ.get("TOCSIN_TEST_DATA") or BESIDE) / "specs" / "jira-cloud-v3-trimmed.json"
SKIPPED = "Jira's specification is not there: set TOCSIN_TEST_DATA to the folder that has specs/"

# Where the specification is stricter than the Jira it describes, or silent:
# - Jira writes its zone as +0000, which is no RFC 3339 date-time (`serverInfo` of the official examples among them);
# - 204 is declared with a body;
# - the list of remote links is declared as a single one;
# - refusals (400, 401, 403, 404, 409, 413, 422, 429) have no schema, and 429 and a project's 404 are not declared at all.
LISTS = {("GET", "/issue/{ticket}/remotelink")}
# - who is not let in hears it from the gateway, in another shape than the API's errors.
STATUSES_ANYWHERE = {401, 429}
UNDECLARED = {("GET", "createmeta", 404), ("GET", "search/jql", 404), ("POST", "comment", 403)}
# - the trimmed file has no word about these:
UNSPECIFIED = (
    "bulkfetch",
    "issueLink",
    "priority",
    "resolution",
    "status",
    "user",
    "version",
    "issuetype",
    "project",
    "attachment/",
    "search",
)


class Request:
    """What openapi-core asks about a request."""

    def __init__(self, request: web.Request, host: str) -> None:
        self.host_url, self.path, self.method = host, request.path, request.method.lower()
        self.content_type, self.body = "", b""
        self.parameters = RequestParameters(query={}, header={}, cookie={})


class Response:
    def __init__(self, answer: web.Response) -> None:
        body = answer.body
        self.data = body if isinstance(body, bytes) else b""
        self.status_code, self.content_type, self.headers = answer.status, answer.content_type, answer.headers


def relaxed(node: Any) -> Any:
    if isinstance(node, list):
        return [relaxed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: relaxed(value) for key, value in node.items() if (key, value) != ("format", "date-time")}


def document() -> dict[str, Any]:
    found: dict[str, Any] = relaxed(json.loads(FILE.read_bytes()))
    for path in found["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation["responses"].get("204", {}).pop("content", None)
    return found


class Witness:
    """Reads the specification when the first answer comes, counts what it has checked, keeps what is wrong."""

    def __init__(self) -> None:
        self._api: OpenAPI | None = None
        self.checked = 0
        self.unspecified: set[str] = set()
        self.wrong: list[str] = []

    def __call__(self, request: web.Request, answer: web.StreamResponse) -> None:
        if not request.path.startswith("/rest/api/3/") or not isinstance(answer, web.Response):
            return
        if answer.status == 404 and answer.content_type != "application/json":
            return  # no route at all, or a Data Center
        try:
            self._check(request, answer)
        except Exception as error:  # whatever the checker says of it, the test that made the call shall fail
            cause = error.__cause__ or error.__context__
            self.wrong.append(f"{request.method} {request.path} {answer.status}: {error} {_within(cause)}")

    def _check(self, request: web.Request, answer: web.Response) -> None:
        if self._api is None:
            self._api = OpenAPI(SchemaPath.from_dict({**document(), "servers": [{"url": "http://jira"}]}))
        resource = request.match_info.route.resource
        route = (resource.canonical if resource else "").replace("/rest/api/{api}", "")
        if (request.method, route) in LISTS and "globalId" not in request.query and answer.status == 200:
            self._each(answer)
            return
        if answer.status in STATUSES_ANYWHERE or _undeclared(request, answer.status):
            return
        try:
            self._api.validate_response(Request(request, "http://jira"), Response(answer))  # type: ignore[arg-type]
        except PathError:
            if not any(word in request.path for word in UNSPECIFIED):
                raise
            self.unspecified.add(f"{request.method} {route}")
            return
        self.checked += 1

    def _each(self, answer: web.Response) -> None:
        """Declared as one; the names it may have are those of one."""
        schema = document()["components"]["schemas"]["RemoteIssueLink"]["properties"]
        found = msgspec.json.decode(answer.body) if isinstance(answer.body, bytes) else []
        extra = {name for one in found for name in one} - set(schema)
        if extra:
            raise ValueError(f"a remote link has {sorted(extra)}")
        self.checked += 1


def _undeclared(request: web.Request, status: int) -> bool:
    return any(
        request.method == method and part in request.path and status == code for method, part, code in UNDECLARED
    )


def _within(cause: BaseException | None) -> str:
    errors = getattr(cause, "schema_errors", None) or ()
    return "; ".join(f"{'.'.join(map(str, one.absolute_path))}: {one.message[:200]}" for one in errors) or str(cause)


def there() -> bool:
    return FILE.is_file()


Named = Mapping[str, Any]
