"""A Jira inside this process: the REST API as clients use it, pages, faults, rules, and an index that lags."""

from pathlib import Path
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from streams.sandbox.faults import Faults
from streams.sandbox.jira.desk import Desk
from streams.sandbox.jira.hooks import Hooks, Webhook
from streams.sandbox.jira.pages import Pages
from streams.sandbox.jira.rest_issue import Issues
from streams.sandbox.jira.rest_parts import Parts
from streams.sandbox.jira.rest_search import Search
from streams.sandbox.jira.rest_site import Site
from streams.sandbox.jira.rules import Rules, Ruling
from streams.sandbox.jira.state import Book
from streams.sandbox.jira.ticket import Change, Comment, Ticket
from streams.sandbox.jira.wire import Wire
from streams.sandbox.serving import Serving, answered


class SandboxJira:
    """`token` is "email:token" or the token alone; without one everybody is let in. `path` survives a restart."""

    cloud: ClassVar[bool] = True

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        index_lag: float = 0.0,
        projects: tuple[str, ...] = ("OPS",),
        token: str | None = None,
        path: Path | None = None,
    ) -> None:
        self.book = Book(projects, index_lag, path)
        self.serving = Serving(Path(__file__).parent, host, port)
        self.desk = Desk(self.book, self.serving, token, cloud=self.cloud)
        self.hooks = Hooks()
        self.book.heard = self._heard
        self._url = ""
        Ruling(self.desk.rules, self.serving.app.router)
        self.serving.app.router.add_get("/_sandbox/violations", self._violations)
        self.serving.app.router.add_put("/_sandbox/webhook", self._webhook)
        for routes in (Site, Parts, Search, Issues, Pages):
            routes(self.desk)

    async def start(self) -> str:
        self._url = await self.serving.start()
        return self._url

    async def stop(self) -> None:
        await self.hooks.stop()
        await self.serving.stop()
        self.book.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    @property
    def index_lag(self) -> float:
        return self.book.index.lag

    @index_lag.setter
    def index_lag(self, seconds: float) -> None:
        self.book.index.lag = seconds

    @property
    def rules(self) -> Rules:
        return self.desk.rules

    @property
    def violations(self) -> dict[str, int]:
        """Jira's limits that calls went beyond, by reason and by what they were about."""
        return dict(self.desk.limits.violations)

    async def _violations(self, _: web.Request) -> web.Response:
        return answered(self.violations)

    async def _webhook(self, request: web.Request) -> web.Response:
        try:
            self.hooks.target = msgspec.json.decode(await request.read(), type=Webhook | None)
        except msgspec.DecodeError as error:
            return answered({"error": str(error)}, status=400)
        return web.Response(status=204)

    def _heard(self, event: str, ticket: Ticket, what: Change | Comment | None) -> None:
        if self.hooks.target is None:
            return
        wire = Wire(self.book, "2", self.serving.public_url or self._url, self.desk.cloud)
        body: dict[str, Any] = {"issue": wire.issue(ticket, ["*all"])}
        if isinstance(what, Change):
            change = wire.change(what)
            body |= {"user": change["author"], "issue_event_type_name": "issue_generic"}
            body["changelog"] = {"id": change["id"], "items": change["items"]}
        elif isinstance(what, Comment):
            body |= {"comment": wire.comment(ticket, what)}
        else:
            body |= {"user": wire.user(ticket.author)}
        self.hooks.say(event, body)


class SandboxDataCenter(SandboxJira):
    """Version 2 of the API alone, wiki text, names instead of account ids, the older search, nothing in bulk."""

    cloud = False
