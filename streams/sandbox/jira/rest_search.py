"""Routes that look for many tickets: search reads the index, which lags; bulkfetch reads the tickets."""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web

from streams.sandbox.jira.desk import Desk, answer, listed
from streams.sandbox.jira.fields import Refused
from streams.sandbox.jira.jql import BadJql, parse
from streams.sandbox.jira.ticket import Ticket

REMOVED = (
    "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full migration guideline "
    "is available at https://developer.atlassian.com/changelog/#CHANGE-2046"
)


class Asked(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The body of a search, as strict as the specification: null is not a value."""

    jql: str = ""
    next_page_token: str = ""
    max_results: int = 50
    fields: list[str] = msgspec.field(default_factory=lambda: ["id"])
    expand: str = ""
    properties: list[str] = []
    fields_by_keys: bool = False
    reconcile_issues: list[int] = []


class Wanted(msgspec.Struct, rename="camel"):
    """The body of a bulkfetch."""

    issue_ids_or_keys: Annotated[list[str | int], msgspec.Meta(min_length=1, max_length=100)]
    fields: list[str] = msgspec.field(default_factory=lambda: ["*navigable"])
    properties: list[str] = []


class Old(msgspec.Struct, rename="camel"):
    """A search as Data Center takes it."""

    jql: str = ""
    start_at: int = 0
    max_results: int = 50
    fields: list[str] = msgspec.field(default_factory=lambda: ["*navigable"])
    expand: str | list[str] = ""
    validate_query: bool = True


class Lag(msgspec.Struct, forbid_unknown_fields=True):
    lag: float
    blind: bool = False


class Search:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._book = desk.book
        router = desk.serving.app.router
        api = "/rest/api/{api:2|3|latest}"
        router.add_get(f"{api}/search/jql", self.get)
        router.add_post(f"{api}/search/jql", self.post)
        if desk.cloud:
            router.add_route("*", f"{api}/search", self.removed)
        else:
            router.add_get(f"{api}/search", self.old)
            router.add_post(f"{api}/search", self.old)
        router.add_post(f"{api}/issue/bulkfetch", self.bulk)
        router.add_get("/_sandbox/index", self.index)
        router.add_put("/_sandbox/index", self.set_index)

    async def get(self, request: web.Request) -> web.Response:
        simple = {"jql": request.query.get("jql", ""), "nextPageToken": request.query.get("nextPageToken", "")}
        numbers = {
            "maxResults": request.query.get("maxResults", "50"),
            "reconcileIssues": listed(request, "reconcileIssues"),
        }
        lists = {"fields": listed(request, "fields") or ["id"], "properties": listed(request, "properties")}
        expand = {"expand": ",".join(listed(request, "expand"))}
        try:
            asked = msgspec.convert({**simple, **numbers, **lists, **expand}, Asked, strict=False)
        except msgspec.ValidationError as error:
            raise Refused(400, [str(error)]) from None
        return answer(self._found(request, asked))

    async def post(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read(), type=Asked)
        except msgspec.DecodeError as error:
            raise Refused(400, [f"Invalid request payload. {error}"]) from None
        return answer(self._found(request, asked))

    async def removed(self, _: web.Request) -> web.Response:
        raise Refused(410, [REMOVED])

    async def old(self, request: web.Request) -> web.Response:
        """Data Center's: with a total, by place instead of by token."""
        given: Any = dict(request.query)
        try:
            if request.method == "POST":
                asked = msgspec.json.decode(await request.read(), type=Old)
            else:
                asked = msgspec.convert(
                    {**given, "fields": listed(request, "fields") or ["*navigable"]}, Old, strict=False
                )
        except msgspec.DecodeError as error:
            raise Refused(400, [str(error)]) from None
        tickets = self._matching(asked.jql, ())
        shown = tickets[asked.start_at : asked.start_at + min(asked.max_results, 1000)]
        wire = self._desk.wire(request)
        found = {
            "expand": "schema,names",
            "startAt": asked.start_at,
            "maxResults": asked.max_results,
            "total": len(tickets),
        }
        return answer({**found, "issues": [wire.issue(one, asked.fields) for one in shown]})

    def _matching(self, jql: str, reconciled: Iterable[int]) -> list[Ticket]:
        try:
            query = parse(jql, datetime.now(UTC), set(self._book.projects))
        except BadJql as error:
            raise Refused(400, [str(error)]) from None
        return query.sort(self._visible(reconciled))

    def _found(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        if not 1 <= asked.max_results <= 5000 or len(asked.reconcile_issues) > 50:
            raise Refused(400, ["maxResults must be from 1 to 5000 and reconcileIssues at most 50."])
        tickets = self._matching(asked.jql, asked.reconcile_issues)
        start = _start(asked.next_page_token)
        # Jira gives fewer per page than asked for when it has to read fields.
        limit = asked.max_results if asked.fields == ["id"] else min(asked.max_results, 100)
        shown = tickets[start : start + limit]
        wire = self._desk.wire(request)
        found: dict[str, Any] = {"issues": [wire.issue(one, asked.fields, asked.properties) for one in shown]}
        last = start + len(shown) >= len(tickets)
        if not last:
            found["nextPageToken"] = base64.urlsafe_b64encode(f"start={start + limit}".encode()).decode()
        return {**found, "isLast": last}

    def _visible(self, reconciled: Iterable[int]) -> list[Ticket]:
        """What the index knows; the tickets named for reconciliation as they are now."""
        found = {ticket.id: ticket for ticket in self._book.index.visible()}
        for number in reconciled:
            ticket = self._book.find(str(number))
            found.pop(number, None)
            if ticket is not None and not self._book.index.blind:
                found[number] = ticket
        rules = self._desk.rules
        return [
            ticket
            for ticket in found.values()
            if rules.may(ticket.project, "BROWSE_PROJECTS") and ticket.project not in rules.archived
        ]

    async def bulk(self, request: web.Request) -> web.Response:
        """Missing and invisible tickets are left out without a word."""
        try:
            asked = msgspec.json.decode(await request.read(), type=Wanted)
        except msgspec.DecodeError as error:
            raise Refused(400, [f"Invalid request payload. {error}"]) from None
        may = self._desk.rules.may
        named = [self._book.find(str(one)) for one in asked.issue_ids_or_keys]
        found = {ticket.id: ticket for ticket in named if ticket and may(ticket.project, "BROWSE_PROJECTS")}
        wire = self._desk.wire(request)
        beans = [wire.issue(found[number], asked.fields, asked.properties) for number in sorted(found)]
        return answer({"expand": "changelog", "issues": beans, "issueErrors": []})

    async def index(self, _: web.Request) -> web.Response:
        return answer({"lag": self._book.index.lag, "blind": self._book.index.blind})

    async def set_index(self, request: web.Request) -> web.Response:
        try:
            given = msgspec.json.decode(await request.read(), type=Lag)
        except msgspec.DecodeError as error:
            raise Refused(400, [str(error)]) from None
        self._book.index.lag, self._book.index.blind = given.lag, given.blind
        return await self.index(request)


def _start(token: str) -> int:
    if not token:
        return 0
    try:
        name, _, start = base64.urlsafe_b64decode(token.encode()).decode().partition("=")
        return int(start) if name == "start" else int(name)
    except (ValueError, binascii.Error):
        raise Refused(400, ["The provided next page token is invalid."]) from None
