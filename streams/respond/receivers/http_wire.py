"""One HTTP request: own timeouts, no redirect followed, nothing repeated, an answer that is read up to a limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from ...records import NotDone, Unknown
from .jira_wire import retry_after

CONNECT_S_MAX = 5.0
ANSWER_BYTES_MAX = 64 * 1024
AGAIN_S = 5.0  # after a refusal for too many calls that does not say how long
WAIT_S_MAX = 3600.0  # however long we are asked to wait: what is owed is a page


class Reply(NamedTuple):
    """The status is known; `body` is None where it did not come whole, or was too long."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def after_s(self) -> float | None:
        given = retry_after(self.headers)
        return None if given is None else min(given, WAIT_S_MAX)


class Request(NamedTuple):
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    params: tuple[tuple[str, str], ...] = ()


class Wire:
    def __init__(self, *, timeout_s: float = 15.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_S_MAX, timeout_s / 3))
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Reply | NotDone | Unknown:
        """Once. What the messages of exceptions say is not repeated: it may quote an address that is a secret."""
        try:
            async with self._ready().request(
                request.method,
                request.url,
                params=request.params or None,
                data=request.body,
                headers={"User-Agent": "tocsin", "Accept-Encoding": "identity", **request.headers},
                allow_redirects=False,
            ) as response:
                return Reply(response.status, response.headers, await _read(response))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL) as error:
            return NotDone(f"no connection: {type(error).__name__}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Unknown(f"the exchange broke off: {type(error).__name__}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _ready(self) -> aiohttp.ClientSession:
        """Made at the first call: the session belongs to the running loop."""
        if self._session is None:
            # A connection of its own for each call: a stale one makes "not sent" look like "unknown".
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # a small answer could become a large one
                trust_env=False,
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    found = bytearray()
    try:
        async for part in response.content.iter_chunked(8192):
            found += part
            if len(found) > ANSWER_BYTES_MAX:
                return None
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return bytes(found)
