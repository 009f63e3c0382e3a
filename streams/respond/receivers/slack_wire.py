"""Slack's Web API through its SDK: no retries, own timeouts, every outcome one of our own answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from ...records import NotDone, Refused, Unknown
from ...settings import Secret
from .jira_answers import retry_after
from .jira_text import line
from .protocol import CREDENTIALS

CONNECT_S_MAX = 5.0
LIMITED = frozenset({"ratelimited", "rate_limited"})
LIMIT = "429: too many requests"
UNSURE = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})  # may be half done
UNKNOWN_US = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"})

Failure = NotDone | Refused | Unknown
Body = dict[str, Any]


class Said(NamedTuple):
    body: Body
    headers: Mapping[str, str]  # names in small letters


class Redirected(Exception):
    """A redirect would repeat our post elsewhere, or turn it into a read."""


class Wire:
    def __init__(self, url: str, token: Secret, *, timeout_s: float = 15.0) -> None:
        self._url = url if url.endswith("/") else f"{url}/"
        self._token = token
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(CONNECT_S_MAX, timeout_s / 3))
        self._session: aiohttp.ClientSession | None = None
        self._client: AsyncWebClient | None = None
        logging.getLogger("slack_sdk").setLevel(logging.WARNING)  # it logs bodies

    async def call(self, method: Callable[[AsyncWebClient], Awaitable[Any]]) -> Body | Failure:
        """One call, e.g. `lambda slack: slack.chat_postMessage(…)`: what Slack said, or why it did not."""
        said = await self.asked(method)
        return said.body if isinstance(said, Said) else said

    async def asked(self, method: Callable[[AsyncWebClient], Awaitable[Any]]) -> Said | Failure:
        """The same, with the headers of the answer."""
        try:
            response = await method(self._ready())
        except SlackApiError as error:
            return self._clean(_refusal(error.response))
        except Redirected:
            return Refused("3xx: the address redirects; set TOCSIN_SLACK_URL to where it leads")
        except (
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientConnectorError,
            aiohttp.ClientConnectorCertificateError,
        ) as error:
            return NotDone(f"no connection: {type(error).__name__}")
        except Exception as error:  # a body the SDK cannot read is its AttributeError, and the post may be there
            return Unknown(f"the exchange broke off: {type(error).__name__}")
        body = response.data
        headers = {str(name).lower(): str(value) for name, value in (response.headers or {}).items()}
        return Said(body, headers) if isinstance(body, dict) else Unknown("an answer that is not an object")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _clean(self, failure: Failure) -> Failure:
        """Without our token should it be echoed."""
        token = self._token.reveal()
        if not token or token not in failure.why:
            return failure
        return msgspec.structs.replace(failure, why=failure.why.replace(token, "***"))

    def _ready(self) -> AsyncWebClient:
        """Made at the first call: the session belongs to the running loop."""
        if self._client is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_redirect.append(_redirected)
            # A connection of its own for each call: a stale one makes "not sent" look like "unknown".
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector, trace_configs=[trace])
            self._client = AsyncWebClient(
                token=self._token.reveal(), base_url=self._url, session=self._session, retry_handlers=[]
            )
        return self._client


async def _redirected(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: Any) -> None:
    raise Redirected


def _refusal(response: Any) -> Failure:
    """`response` is the SDK's, which holds the token, or the bare one: only status, `error` and Retry-After are read."""
    status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    body = getattr(response, "data", None)
    word = str(body.get("error") or "") if isinstance(body, dict) else ""
    if status == 429 or word in LIMITED:
        return NotDone(LIMIT, after_s=retry_after(headers))
    if status == 408 or status >= 500 or word in UNSURE:
        return Unknown(f"{status} {word}: nobody knows whether it happened".replace("  ", " "))
    if not word and status in (0, 200):
        return Unknown("an answer that cannot be read")
    why = line(word or str(status), 100)
    more = _complaints(body)
    return Refused((CREDENTIALS if word in UNKNOWN_US else "") + why + (f": {more}" if more else ""))


def _complaints(body: Any) -> str:
    """What Slack says about blocks it does not take: paths in them, never their text."""
    if not isinstance(body, dict) or body.get("error") != "invalid_blocks":
        return ""
    found = body.get("errors")
    return line("; ".join(map(str, found)), 300) if isinstance(found, list) else ""
