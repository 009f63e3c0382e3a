"""The pages of the sandbox PagerDuty: what is open, one alert, and the two buttons a person on call has."""

from typing import Literal

from aiohttp import web

from streams.sandbox.pagerduty.state import Alert, Book
from streams.sandbox.pagerduty.webhooks import Sender
from streams.sandbox.serving import Serving

PERSON = "Ada Lindqvist"
ACTS: dict[str, Literal["acknowledged", "resolved"]] = {"acknowledge": "acknowledged", "resolve": "resolved"}


class Pages:
    def __init__(self, book: Book, serving: Serving, sender: Sender) -> None:
        self._book, self._serving, self._sender = book, serving, sender
        router = serving.app.router
        router.add_get("/", self._alerts)
        router.add_get("/alerts/{number:\\d+}", self._alert)
        router.add_post("/alerts/{number:\\d+}/{act:acknowledge|resolve}", self._act)

    async def _alerts(self, _: web.Request) -> web.Response:
        alerts = sorted(self._book.alerts.values(), key=lambda one: one.number, reverse=True)
        return self._serving.page("alerts.html", alerts=alerts[:200], more=max(0, len(alerts) - 200))

    async def _alert(self, request: web.Request) -> web.Response:
        alert = self._found(request)
        return self._serving.page("alert.html", alert=alert) if alert else self._missing()

    async def _act(self, request: web.Request) -> web.Response:
        alert, status = self._found(request), ACTS[request.match_info["act"]]
        if alert is None:
            return self._missing()
        if alert.status not in {status, "resolved"}:
            self._book.put(alert, status, PERSON)
            self._sender.tell(alert, status, PERSON, self._serving.origin(request))
        return web.Response(status=303, headers={"Location": f"/alerts/{alert.number}"})

    def _found(self, request: web.Request) -> Alert | None:
        return self._book.alerts.get(int(request.match_info["number"]))

    def _missing(self) -> web.Response:
        return self._serving.page("missing.html", status=404)
