"""Socket Mode: an app opens a websocket with its app token, is told of presses there, and acknowledges each."""

import asyncio
import contextlib
import json
import secrets
import time
from typing import Any
from uuid import uuid4

import msgspec
from aiohttp import WSMsgType, web

from streams.sandbox.slack.call import Refused
from streams.sandbox.slack.shapes import APP

TICKET_S = 30.0
CONNECTIONS_MAX = 10


class Envelope(msgspec.Struct):
    id: str
    payload: dict[str, Any]
    attempts: int = 0
    acked: bool = False
    sent_at: float = 0.0


class Sockets:
    """What is not acknowledged within `ack_s` is told again, to another connection where there is one."""

    def __init__(self, app_token: str | None = None, ack_s: float = 3.0, redeliveries: int = 3) -> None:
        self.app_token, self.ack_s, self.redeliveries = app_token, ack_s, redeliveries
        self.envelopes: list[Envelope] = []
        self._tickets: dict[str, float] = {}
        self._open: dict[web.WebSocketResponse, web.Request] = {}
        self._turn = 0
        self._changed = asyncio.Event()
        self._stopping = False

    @property
    def connections(self) -> int:
        return len(self._open)

    async def open_connection(self, base: str) -> dict[str, Any]:
        """The answer of apps.connections.open, to somebody with the app token."""
        if len(self._open) >= CONNECTIONS_MAX:
            raise Refused("too_many_websockets")
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = time.monotonic() + TICKET_S
        scheme, _, host = base.partition("://")
        return {"url": f"{'wss' if scheme == 'https' else 'ws'}://{host}/link/?ticket={ticket}&app_id={APP}"}

    async def link(self, request: web.Request) -> web.StreamResponse:
        """A ticket lets in once."""
        until = self._tickets.pop(request.query.get("ticket", ""), 0.0)
        if time.monotonic() > until:
            return web.Response(status=401, text="the ticket is used or too old")
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        self._open[socket] = request
        try:
            await socket.send_json(
                {
                    "type": "hello",
                    "num_connections": len(self._open),
                    "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
                    "connection_info": {"app_id": APP},
                }
            )
            self._wake()
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._heard(message.data)
        finally:
            self._open.pop(socket, None)
            self._wake()
        return socket

    async def deliver(self, payload: dict[str, Any]) -> bool:
        """Whether somebody acknowledged it in time, or after it was told again."""
        envelope = Envelope(str(uuid4()), payload)
        self.envelopes.append(envelope)
        for _ in range(1 + self.redeliveries):
            await self._tell(envelope)
            if await self._acked(envelope, self.ack_s):
                return True
        return False

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """As Slack does every few hours: it says so and hangs up."""
        for socket in list(self._open):
            with contextlib.suppress(ConnectionError):
                await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})
                await socket.close()

    async def cut(self) -> None:
        """Connections end without a word."""
        for request in self._open.values():
            if request.transport is not None:
                request.transport.abort()

    async def stop(self) -> None:
        self._stopping = True
        self._wake()
        for socket in list(self._open):
            with contextlib.suppress(ConnectionError):
                await socket.close()

    async def _tell(self, envelope: Envelope) -> None:
        if not self._open:
            return
        self._turn += 1
        socket = list(self._open)[self._turn % len(self._open)]
        retry = {"retry_attempt": envelope.attempts, "retry_reason": "timeout"} if envelope.attempts else {}
        envelope.attempts += 1
        envelope.sent_at = time.monotonic()
        text = {
            "envelope_id": envelope.id,
            "payload": envelope.payload,
            "type": "interactive",
            "accepts_response_payload": False,
            **retry,
        }
        with contextlib.suppress(ConnectionError):
            await socket.send_json(text)

    def _heard(self, text: str) -> None:
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            name = json.loads(text).get("envelope_id")
            for envelope in self.envelopes:
                envelope.acked = envelope.acked or envelope.id == name
        self._wake()

    async def _acked(self, envelope: Envelope, seconds: float) -> bool:
        """A connection that comes back is told at once."""
        deadline, connected = time.monotonic() + seconds, len(self._open)
        while not envelope.acked and time.monotonic() < deadline and not self._stopping:
            changed = self._changed
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    await changed.wait()
            if len(self._open) > connected:
                break
            connected = min(connected, len(self._open))
        return envelope.acked

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
