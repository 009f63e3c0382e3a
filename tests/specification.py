"""Every answer of a sandbox Jira in these tests is held against Jira Cloud's official specification."""

from __future__ import annotations

import json
import os
from functools import lru_cache
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
LISTS = {("get", "/issue/{ticket}/remotelink")}
# - who is not let in hears it from the gateway, in another shape than the API's errors.
STATUSES_ANYWHERE = {401, 429}
UNDECLARED = {("get", "createmeta", 404)}
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


class Seen:
    """An answer and what it answers, as openapi-core asks about both."""

    host_url = "http://jira"

    def __init__(self, request: web.Request, answer: web.Response) -> None:
        resource = request.match_info.route.resource
        self.route = (resource.canonical if resource else "").replace("/rest/api/{api}", "")
        self.query = dict(request.query)
        self.path, self.method = request.path, request.method.lower()
        self.parameters = RequestParameters(query={}, header={}, cookie={})
        self.data = answer.body if isinstance(answer.body, bytes) else b""
        self.status_code, self.content_type, self.headers = answer.status, answer.content_type, answer.headers
        self.body = b""


def relaxed(node: Any) -> Any:
    if isinstance(node, list):
        return [relaxed(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {key: relaxed(value) for key, value in node.items() if (key, value) != ("format", "date-time")}


@lru_cache(1)
def document() -> dict[str, Any]:
    found: dict[str, Any] = relaxed(json.loads(FILE.read_bytes()))
    for path in found["paths"].values():
        for operation in path.values():
            if isinstance(operation, dict):
                operation["responses"].get("204", {}).pop("content", None)
    return found


class Witness:
    """Notes every answer and checks them after the test, so that no test waits for it."""

    def __init__(self) -> None:
        self._api: OpenAPI | None = None
        self._seen: list[Seen] = []
        self.checked = 0
        self.unspecified: set[str] = set()

    def __call__(self, request: web.Request, answer: web.StreamResponse) -> None:
        if not request.path.startswith("/rest/api/3/") or not isinstance(answer, web.Response):
            return
        if answer.status == 404 and answer.content_type != "application/json":
            return  # no route at all, or a Data Center
        self._seen.append(Seen(request, answer))

    def wrong(self) -> list[str]:
        """What the answers since the last time should not have been."""
        seen, self._seen = self._seen, []
        found = []
        for one in seen:
            try:
                self._check(one)
            except Exception as error:  # whatever the checker says of it, the test that made the call shall fail
                within = _within(error.__cause__ or error.__context__)
                found.append(f"{one.method.upper()} {one.path} {one.status_code}: {error} {within}")
        return found

    def _check(self, one: Seen) -> None:
        if self._api is None:
            self._api = OpenAPI(SchemaPath.from_dict({**document(), "servers": [{"url": Seen.host_url}]}))
        if (one.method, one.route) in LISTS and "globalId" not in one.query and one.status_code == 200:
            self._each(one)
            return
        if one.status_code in STATUSES_ANYWHERE or _undeclared(one):
            return
        try:
            self._api.validate_response(one, one)  # type: ignore[arg-type]
        except PathError:
            if not any(word in one.path for word in UNSPECIFIED):
                raise
            self.unspecified.add(f"{one.method} {one.route}")
            return
        self.checked += 1

    def _each(self, one: Seen) -> None:
        """Declared as one; the names it may have are those of one."""
        schema = document()["components"]["schemas"]["RemoteIssueLink"]["properties"]
        extra = {name for link in msgspec.json.decode(one.data) for name in link} - set(schema)
        if extra:
            raise ValueError(f"a remote link has {sorted(extra)}")
        self.checked += 1


def _undeclared(one: Seen) -> bool:
    return any(
        one.method == method and part in one.path and one.status_code == code for method, part, code in UNDECLARED
    )


def _within(cause: BaseException | None) -> str:
    errors = getattr(cause, "schema_errors", None) or ()
    return "; ".join(f"{'.'.join(map(str, one.absolute_path))}: {one.message[:200]}" for one in errors) or str(cause)


def there() -> bool:
    return FILE.is_file()
