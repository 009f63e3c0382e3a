"""What both sandbox receivers serve alike: start and stop, the call log, faults, same-origin, pages and their look."""

import argparse
import asyncio
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import jinja2
import msgspec
from aiohttp import web

from streams.sandbox.faults import Fault, Faults

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Witness = Callable[[web.Request, web.StreamResponse], None]

_HERE = Path(__file__).parent
_CLIENTS = (
    "/rest/",
    "/api/",
    "/v2/",
    "/hooks/",
    "/repos/",
    "/app/",
    "/_sandbox/",
)  # programs send no Origin; a browser's form always does
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Call(msgspec.Struct):
    """One call on the wire; `status` is None while there is no answer, and stays so when a fault ate it."""

    method: str
    path: str
    at: float
    status: int | None = None
    fault: str | None = None


class Serving:
    """One aiohttp server; the product's routes go to `app`, `refused` turns its own exceptions into answers."""

    everybodys_witness: ClassVar[Witness | None] = None  # of servers that are made from now on

    def __init__(self, folder: Path, host: str, port: int) -> None:
        self.faults = Faults()
        self.calls: deque[Call] = deque(maxlen=100_000)
        self.witness: Witness | None = Serving.everybodys_witness  # sees every answer that a fault has not replaced
        self.public_url: str | None = None  # where a browser finds this server, when that is not where programs do
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._jinja = jinja2.Environment(
            loader=jinja2.FileSystemLoader([folder, _HERE]),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.app = web.Application(middlewares=[self._record, self._same_origin], client_max_size=64 * 2**20)
        self.app.add_routes(
            [
                web.get("/_sandbox/look.css", self._look),
                web.get("/_sandbox/faults", self._list_faults),
                web.post("/_sandbox/faults", self._add_fault),
                web.delete("/_sandbox/faults", self._clear_faults),
                web.get("/_sandbox/calls", self._list_calls),
                web.delete("/_sandbox/calls", self._clear_calls),
            ]
        )

    async def start(self) -> str:
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port = self._runner.addresses[0][1]
        host = "127.0.0.1" if self._host in {"0.0.0.0", "::"} else self._host
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        self.faults.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def origin(self, request: web.Request) -> str:
        return (self.public_url or f"{request.scheme}://{request.host}").rstrip("/")

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        text = self._jinja.get_template(template).render(**values)
        return web.Response(status=status, text=text, content_type="text/html", headers=_PAGE_HEADERS)

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sandbox/"):
            return await handler(request)
        call = Call(method=request.method, path=request.path, at=time.time())
        self.calls.append(call)
        await request.read()  # before any fault: a call that is held back is committed even if its caller has gone
        fault = self.faults.draw(request.method, request.path)
        if fault is None:
            answer = await self._worked_out(request, handler)
        else:
            call.fault = f"{fault.when}:{fault.kind}"
            answer = await self._struck(fault, request, handler)
        cut = fault is not None and fault.kind in {"reset", "close", "truncated", "stall"}
        call.status = None if cut else answer.status
        return answer

    async def _struck(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        if fault.when == "before":
            instead = await self.faults.strike(fault, request, None)
            return instead if instead is not None else await self._worked_out(request, handler)
        answer = await self._worked_out(request, handler)
        return await self.faults.strike(fault, request, answer) or answer

    async def _worked_out(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await _answered(request, handler)
        if self.witness is not None:
            self.witness(request, answer)
        return answer

    @web.middleware
    async def _same_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A page elsewhere may not write here in the name of the person who has it open."""
        if request.method in {"GET", "HEAD", "OPTIONS"}:
            return await handler(request)
        origin = request.headers.get("Origin")
        if origin is None and request.path.startswith(_CLIENTS):
            return await handler(request)
        hosts = {request.host, urlsplit(self.public_url or "").netloc} - {""}
        if urlsplit(origin or request.headers.get("Referer", "")).netloc not in hosts:
            return web.Response(status=403, text="refused: this form was sent from another site")
        return await handler(request)

    async def _look(self, _: web.Request) -> web.StreamResponse:
        css = (_HERE / "look.css").read_text(encoding="utf-8")
        return web.Response(text=css, content_type="text/css", headers={"Cache-Control": "max-age=60"})

    async def _list_faults(self, _: web.Request) -> web.StreamResponse:
        return answered(self.faults.listed())

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        try:
            fault = self.faults.add(msgspec.json.decode(await request.read(), type=Fault))
        except (msgspec.DecodeError, ValueError) as error:
            return answered({"error": str(error)}, status=400)
        return answered(fault, status=201)

    async def _clear_faults(self, _: web.Request) -> web.StreamResponse:
        self.faults.clear()
        return web.Response(status=204)

    async def _list_calls(self, _: web.Request) -> web.StreamResponse:
        return answered(list(self.calls))

    async def _clear_calls(self, _: web.Request) -> web.StreamResponse:
        self.calls.clear()
        return web.Response(status=204)


def answered(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Aiohttp raises what its router refuses; a fault after the effect needs it as an answer."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        headers = {k: v for k, v in refused.headers.items() if k.lower() not in {"content-type", "content-length"}}
        return web.Response(status=refused.status, text=refused.text, headers=headers)


def arguments(what: str, *, port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: this machine only)")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--state", type=Path, help="a file that keeps the state over a restart")
    parser.add_argument("--token", help="what clients must show; without it everybody is let in")
    parser.add_argument("--public-url", help="where a browser finds this server, when it is not where programs do")
    return parser


async def until_stopped(name: str, start: Callable[[], Awaitable[str]], stop: Callable[[], Awaitable[None]]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    sys.stdout.write(f"sandbox {name} on {await start()}\n")
    sys.stdout.flush()
    await stopped.wait()
    await stop()
