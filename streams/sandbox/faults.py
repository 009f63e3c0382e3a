"""The fault menu of the sandbox receivers: what goes wrong, where, before or after the effect, and how often."""

import asyncio
import contextlib
import re
import socket
import struct
from typing import Literal

import msgspec
from aiohttp import web

Kind = Literal["reset", "close", "hang", "stall", "status", "wrong_content_type", "truncated"]

_CAPTIVE = "<!doctype html><title>Sign in</title><p>Sign in to this network to continue.</p>"


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong.

    `path` is a path in which `*` stands for one segment and `**` for any rest ("/rest/api/*/issue"), or the name of
    a Slack method ("chat.postMessage"). `hang` holds the call back for `seconds` or until the menu is cleared, then
    goes on: before the effect it is a late commit, after it a late answer. `stall` sends half of the answer and then
    nothing. `status` answers `code` with `headers` and `body`.
    """

    path: str
    kind: Kind
    method: str = "*"
    when: Literal["before", "after"] = "after"
    times: int | None = 1  # None: until cleared
    every: int = 1  # strikes the nth, 2nth, ... matching call: counted, never random
    seconds: float = 3600.0
    code: int = 503
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    body: str | None = None
    content_type: str = "text/html"
    seen: int = 0
    struck: int = 0

    def matches(self, method: str, path: str) -> bool:
        if self.method not in {"*", method}:
            return False
        wanted = self.path if self.path.startswith("/") else f"/api/{self.path}"
        pattern = re.escape(wanted).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        return re.fullmatch(pattern, path) is not None


class Faults:
    """The faults in force, in the order in which they were added; the first that is due strikes."""

    def __init__(self) -> None:
        self._menu: list[Fault] = []
        self._released = asyncio.Event()
        self._stopping = False

    def add(self, fault: Fault) -> Fault:
        if fault.every < 1 or not 200 <= fault.code <= 599:
            raise ValueError("every must be at least 1 and code an HTTP status from 200 to 599")
        self._menu.append(fault)
        return fault

    def listed(self) -> list[Fault]:
        return list(self._menu)

    def clear(self) -> None:
        """Forget all faults and let the calls go on that one of them holds back."""
        self._menu.clear()
        self._released.set()
        self._released = asyncio.Event()

    def stop(self) -> None:
        self._stopping = True
        self.clear()

    def draw(self, method: str, path: str) -> Fault | None:
        """The fault for this call; a call that is struck is not counted by the faults after it."""
        for fault in self._menu:
            spent = fault.times is not None and fault.struck >= fault.times
            if spent or not fault.matches(method, path):
                continue
            fault.seen += 1
            if fault.seen % fault.every == 0:
                fault.struck += 1
                return fault
        return None

    async def strike(
        self, fault: Fault, request: web.Request, answer: web.StreamResponse | None
    ) -> web.StreamResponse | None:
        """What is answered instead of `answer` (None: not worked out yet); None: go on as if nothing had happened."""
        match fault.kind:
            case "reset" | "close":
                return _cut(request, reset=fault.kind == "reset")
            case "hang":
                await self._hold(fault.seconds)
                return _cut(request, reset=False) if self._stopping else answer
            case "truncated":
                return await _half(request, answer)
            case "stall":
                half = await _half(request, answer, close=False)
                await self._hold(fault.seconds)
                _cut(request, reset=False)
                return half
            case "wrong_content_type":
                return web.Response(text=fault.body or _CAPTIVE, content_type=fault.content_type)
            case "status":
                body = fault.body if fault.body is not None else '{"errorMessages":["sandbox fault"],"errors":{}}'
                headers = {"Content-Type": "application/json", **fault.headers}
                return web.Response(status=fault.code, headers=headers, body=body.encode())

    async def _hold(self, seconds: float) -> None:
        released = self._released
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await released.wait()


def _cut(request: web.Request, *, reset: bool) -> web.StreamResponse:
    """End the connection without an answer; what is returned never reaches the wire."""
    transport = request.transport
    if transport is None:  # the other side was faster
        return web.Response()
    if reset:
        sock: socket.socket = transport.get_extra_info("socket")
        # A linger time of zero makes the kernel send RST instead of FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
    return web.Response()


async def _half(request: web.Request, answer: web.StreamResponse | None, *, close: bool = True) -> web.StreamResponse:
    """Announce the whole answer and send half of it."""
    whole = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    whole = whole or b'{"ok": true, "id": "10000", "key": "'
    response = web.StreamResponse(status=answer.status if answer else 200, headers={"Content-Type": "application/json"})
    response.content_length = len(whole)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
    if close:
        _cut(request, reset=False)
    return response
