"""The pages of the sandbox GitHub: what waits, what commits show, and what administrators may do."""

from collections.abc import Callable

from aiohttp import web

from streams.sandbox.github.state import Book, Run, State
from streams.sandbox.serving import Serving

ADMIN = "grace"
ACTS: dict[str, State] = {"bypass": "bypassed", "cancel": "cancelled"}
SHOWN = 200


class Pages:
    def __init__(self, book: Book, serving: Serving, deploy: Callable[[str, str, str, str], Run]) -> None:
        self._book, self._serving, self._deploy = book, serving, deploy
        router = serving.app.router
        router.add_get("/", self._all)
        router.add_post("/deploy", self._asked)
        router.add_post("/runs/{number:\\d+}/{act:bypass|cancel}", self._act)

    async def _all(self, _: web.Request) -> web.Response:
        runs = sorted(self._book.runs.values(), key=lambda one: one.id, reverse=True)[:SHOWN]
        checks = sorted(self._book.checks.values(), key=lambda one: one.id, reverse=True)[:SHOWN]
        return self._serving.page("runs.html", runs=runs, checks=checks)

    async def _asked(self, request: web.Request) -> web.Response:
        given = await request.post()
        told = [str(given.get(name, "")).strip() for name in ("repository", "environment", "sha", "ref")]
        if not all(told):
            return self._serving.page("missing.html", status=422)
        self._deploy(told[0], told[1], told[2], told[3])
        return web.Response(status=303, headers={"Location": "/"})

    async def _act(self, request: web.Request) -> web.Response:
        run = self._book.runs.get(int(request.match_info["number"]))
        if run is None:
            return self._serving.page("missing.html", status=404)
        if run.state == "waiting":
            self._book.overrule(run, ACTS[request.match_info["act"]], ADMIN)
        return web.Response(status=303, headers={"Location": "/"})
