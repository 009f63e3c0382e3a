"""Socket Mode: Slack tells of presses over a connection that we open; each is a row before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import psycopg
from prometheus_client import CollectorRegistry, Gauge

from ...database import Connection, connect
from ...locks import rest
from ...records import NotDone, Refused, Unknown
from ..receivers.slack_wire import Wire
from .clicks import Nonsense
from .ears import Ears, NotNow, Reply

log = logging.getLogger(__name__)

HEAR_S_MAX = 2.5  # of the three seconds that Slack waits
CONNECT_S_MAX = 10.0  # nobody hears a press before the connection stands
HEARTBEAT_S = 15.0
REPLIES_MAX = 20  # at once; they are a kindness, and what is beyond is left out
MESSAGE_BYTES_MAX = 1_000_000
AGAIN_S_MIN = 1.0
AGAIN_S_MAX = 60.0
SOURCE = "slack_socket"
OFF = "link_disabled"  # somebody has switched Socket Mode off


def nothing(_step: str) -> None:
    pass


class Socket:
    """One connection is enough; another replica's does no harm. Nothing that Slack says here is logged: addresses bear tickets."""

    def __init__(
        self,
        database: str,
        app: Wire,
        ears: Ears,
        registry: CollectorRegistry,
        *,
        secure: bool,
        reached: Callable[[str], None] = nothing,
    ) -> None:
        """`secure`: whether the Web API is spoken to over TLS, and the socket must be."""
        self._reached = reached
        self._database, self._app, self._ears = database, app, ears
        self._schemes = ("wss",) if secure else ("wss", "ws")
        self._stopping = asyncio.Event()
        self._replying: set[asyncio.Task[None]] = set()
        self._again_s = AGAIN_S_MIN
        self._open = Gauge("tocsin_slack_socket_open", "1: presses on buttons are heard", registry=registry)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until stopped. Slack or the database being away is waited for."""
        try:
            while not self._stopping.is_set():
                began = time.monotonic()
                why = await self._session()
                if why:
                    log.warning("buttons are not heard at the moment (%s)", why)
                    await rest(self._stopping, self._again_s)
                    self._again_s = min(AGAIN_S_MAX, 2 * self._again_s)
                elif time.monotonic() - began < AGAIN_S_MIN:  # whoever hangs up at once is not asked in a circle
                    await rest(self._stopping, AGAIN_S_MIN)
        finally:
            if self._replying:
                await asyncio.wait(self._replying, timeout=HEAR_S_MAX)
            await self._app.close()
            await self._ears.close()

    async def _session(self) -> str:
        """One connection, until it ends: why the next one is to wait."""
        answer = await self._app.call(lambda slack: slack.api_call("apps.connections.open"))
        if isinstance(answer, NotDone | Refused | Unknown):
            self._again_s = max(self._again_s, getattr(answer, "after_s", None) or 0.0)
            return f"no connection was granted: {answer.why}"
        url = str(answer.get("url") or "")
        if _scheme(url) not in self._schemes:
            return "the address of the connection is not a secure one"
        try:
            async with (
                await connect(self._database, application="tocsin slack socket") as conn,
                aiohttp.ClientSession(trust_env=url.startswith("wss")) as session,
            ):
                async with asyncio.timeout(CONNECT_S_MAX):
                    link = await session.ws_connect(url, heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_BYTES_MAX)
                async with link:
                    return await self._linked(conn, link)
        except (aiohttp.ClientError, psycopg.Error, NotNow, TimeoutError, OSError) as error:
            return f"{error}" if isinstance(error, NotNow) else type(error).__name__
        finally:
            self._open.set(0)

    async def _linked(self, conn: Connection, link: aiohttp.ClientWebSocketResponse) -> str:
        """What is under way when we are to stop is finished first."""
        stopping = asyncio.create_task(self._stopping.wait())
        reading = asyncio.create_task(self._read(conn, link))
        try:
            await asyncio.wait([stopping, reading], return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await link.close()
                await asyncio.wait([reading], timeout=HEAR_S_MAX)
            return await reading if reading.done() else ""
        finally:
            for task in (stopping, reading):
                task.cancel()
            with suppress(asyncio.CancelledError):
                await stopping

    async def _read(self, conn: Connection, link: aiohttp.ClientWebSocketResponse) -> str:
        async for message in link:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            told = _decoded(message.data)
            match told.get("type"):
                case "hello":
                    self._open.set(1)
                    self._again_s = AGAIN_S_MIN
                case "disconnect":  # it asks us to come again
                    return "Socket Mode is switched off" if told.get("reason") == OFF else ""
                case _ if isinstance(told.get("envelope_id"), str):
                    await self._envelope(conn, link, told)
        return "" if self._stopping.is_set() else "the connection ended"

    async def _envelope(self, conn: Connection, link: aiohttp.ClientWebSocketResponse, told: dict[str, Any]) -> None:
        replies = []
        async with asyncio.timeout(HEAR_S_MAX):
            try:
                replies = await self._ears.pressed(conn, told.get("payload"), SOURCE)
            except (Nonsense, psycopg.DataError):
                self._ears.count(SOURCE, "garbage")
                log.warning("something was told that is no press on a button of ours")  # and stays so, told again
        self._reached("heard")
        await link.send_json({"envelope_id": told["envelope_id"]})
        self._reply(replies)

    def _reply(self, replies: Sequence[Reply]) -> None:
        """Beside: the next press is acknowledged within its three seconds whatever becomes of it."""
        if replies and len(self._replying) < REPLIES_MAX:
            task = asyncio.create_task(self._ears.reply(replies), name="reply to a press")
            self._replying.add(task)
            task.add_done_callback(self._replying.discard)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _decoded(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
