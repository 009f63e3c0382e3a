"""What every Jira route needs: who asks, which ticket, which body, and how a refusal is answered."""

import base64
import binascii
import hmac
import json
from typing import Any

import msgspec
from aiohttp import web

from streams.sandbox.jira.catalogue import ROBOT, people
from streams.sandbox.jira.fields import Refused, Screen
from streams.sandbox.jira.limits import Limits, refusal
from streams.sandbox.jira.rules import Rules
from streams.sandbox.jira.state import Book
from streams.sandbox.jira.ticket import Ticket
from streams.sandbox.jira.wire import Wire
from streams.sandbox.serving import Handler, Serving

NOT_FOUND = "Issue does not exist or you do not have permission to see it."


ABSENT = ("/search/jql", "/issue/bulkfetch", "/project/search", "/resolution/search")  # on Data Center


class Desk:
    """`cloud` is False for a Data Center: version 2 of the API, wiki text, names instead of account ids."""

    def __init__(self, book: Book, serving: Serving, token: str | None, *, cloud: bool = True) -> None:
        self.book = book
        self.serving = serving
        self.cloud = cloud
        self.rules = Rules()
        self.limits = Limits()
        self._token = token
        serving.app.middlewares.append(self._guard)

    @property
    def off_screen(self) -> set[str]:
        return self.rules.off_screen

    @property
    def required(self) -> set[str]:
        return self.rules.required

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/rest/") and not self._known(request):
            body = {"message": "Client must be authenticated to access this resource.", "status-code": 401}
            return web.json_response(body, status=401, headers={"WWW-Authenticate": 'Basic realm="sandbox"'})
        if not self.cloud and (request.path.startswith("/rest/api/3/") or request.path.endswith(ABSENT)):
            return web.Response(
                status=404, text="<status><status-code>404</status-code></status>", content_type="application/xml"
            )
        resource = request.match_info.route.resource
        if request.path.startswith("/rest/") and resource is not None:
            broken = self.limits.count(request.method, resource.canonical, self._about(request))
            if broken is not None and self.limits.enforced:
                return refusal(broken)
        try:
            return await handler(request)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status)

    def _about(self, request: web.Request) -> str | None:
        """The ticket that a call is about, whatever name it goes by."""
        found = self.book.find(request.match_info.get("ticket", ""))
        return None if found is None else str(found.id)

    def _known(self, request: web.Request) -> bool:
        """The token is given as `email:token` or as the token alone; who the server is, anybody may ask."""
        if self._token is None or request.path.endswith("/serverInfo"):
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        pair = f":{given}" if scheme == "Bearer" and not self.cloud else _basic(request)
        shown = pair if ":" in self._token else pair.partition(":")[2]
        return hmac.compare_digest(shown.encode(), self._token.encode())

    def author(self, request: web.Request) -> str:
        """Who did it, by the e-mail of the credentials: what the history tells people apart by."""
        person = people(_basic(request).partition(":")[0])
        return person.id if person else ROBOT.id

    def wire(self, request: web.Request) -> Wire:
        return Wire(self.book, self._api(request), self.serving.origin(request), self.cloud)

    def _api(self, request: web.Request) -> str:
        return request.match_info.get("api", "3") if self.cloud else "2"

    def ticket(self, request: web.Request) -> Ticket:
        found = self.book.find(request.match_info["ticket"])
        if found is None or not self.rules.may(found.project, "BROWSE_PROJECTS"):
            raise Refused(404, [NOT_FOUND])
        return found

    def writable(self, request: web.Request, permission: str, status: int = 403) -> Ticket:
        """The ticket, if the account may do that to it."""
        found = self.ticket(request)
        self.rules.insist(found.project, permission, status)
        return found

    def project(self, id_or_key: str) -> str:
        for key, number in self.book.projects.items():
            if id_or_key in {key, number} and self.rules.may(key, "BROWSE_PROJECTS"):
                return key
        raise Refused(404, [f"No project could be found with key '{id_or_key}'."])

    def screen(self, request: web.Request, project: str, names: frozenset[str]) -> Screen:
        return Screen(self.book, project, self._api(request), names - self.off_screen, self.cloud)


def _basic(request: web.Request) -> str:
    """The pair of the Authorization header; empty when there is none that makes sense."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    try:
        return base64.b64decode(given, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def body(request: web.Request) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(await request.read())
    except msgspec.DecodeError:
        raise Refused(400, ["There was an error parsing JSON. Check that your request body is valid."]) from None
    if not isinstance(given, dict):
        raise Refused(400, ["Invalid request payload. Refer to the REST API documentation and try again."])
    return given


def listed(request: web.Request, name: str) -> list[str]:
    """A query parameter that is repeated, separated by commas, or both."""
    return [one.strip() for given in request.query.getall(name, []) for one in given.split(",") if one.strip()]


def number(request: web.Request, name: str, default: int, most: int, *, lenient: bool = False) -> int:
    """`lenient`: what is no number is not heard, where Jira documents no refusal."""
    given = request.query.get(name, "")
    if not given or (lenient and not given.isdecimal()):
        return default
    if not given.isdecimal():
        raise Refused(400, [f"{name} must be a number."])
    return min(int(given), most)


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(value).encode(), content_type="application/json", charset="utf-8"
    )


def nothing() -> web.Response:
    return web.Response(status=204)


def properties(given: Any) -> dict[str, Any]:
    """Entity properties as create, edit and comment take them."""
    found: dict[str, Any] = {}
    if not isinstance(given, list | None):
        raise Refused(400, ["properties must be a list."])
    for one in given or []:
        if not isinstance(one, dict) or not isinstance(one.get("key"), str) or "value" not in one:
            raise Refused(400, ["A property needs a key and a value."])
        found[one["key"]] = checked(one["key"], one["value"])
    return found


def checked(key: str, value: Any) -> Any:
    if not 0 < len(key) <= 255:
        raise Refused(400, ["The property key must be between 1 and 255 characters."])
    if len(msgspec.json.encode(value)) > 32_768:
        raise Refused(400, ["The property value cannot be longer than 32768 characters."])
    return value
