"""Jira's HTTP through the jira library's session: one client per thread, every outcome one of our own answers."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import requests
from jira import JIRA, JIRAError

from ...records import Refused, Unknown
from ...settings import Secret
from .jira_answers import Failure, broken, complaints, conflict, limited, redirected, retry_after
from .jira_text import line
from .protocol import CREDENTIALS

__all__ = ["Call", "Failure", "Reply", "Wire", "retry_after"]

WHY_MAX = 300
CONNECT_S_MAX = 5.0
GRACE_S = 5.0  # a body that trickles resets the read timeout: this bounds the call as a whole


class Reply(NamedTuple):
    """A 2xx whose body could be read."""

    status: int
    body: Any


class Call(NamedTuple):
    method: str
    path: str  # under /rest/api/<version>/
    json: Any = None
    params: Mapping[str, str] | None = None
    file: tuple[str, bytes] | None = None
    fresh: bool = False  # on a connection of its own: a stale one makes "not sent" look like "unknown"


class Wire:
    """Every call is made once, with timeouts. Reads may be repeated by whoever asks."""

    def __init__(self, url: str, user: str, token: Secret, *, cloud: bool = True, timeout_s: float = 15.0) -> None:
        self.url = url.rstrip("/")
        self.cloud = cloud
        self._user, self._token = user, token
        connect_s = min(CONNECT_S_MAX, timeout_s / 3)
        self._timeout = (connect_s, timeout_s - connect_s)
        self._deadline_s = timeout_s + min(GRACE_S, timeout_s)
        self._threads = ThreadPoolExecutor(16, thread_name_prefix="jira")
        self._mine = threading.local()
        self._clients: list[JIRA] = []
        for name in ("jira", "urllib3"):  # they log headers and bodies
            logging.getLogger(name).setLevel(logging.WARNING)

    async def call(self, call: Call) -> Reply | Failure:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await loop.run_in_executor(self._threads, self._call, call)
        except TimeoutError:
            return Unknown(f"no complete answer within {self._deadline_s:g} s")

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        for client in self._clients:
            client.close()

    def _call(self, call: Call) -> Reply | Failure:
        headers: dict[str, str | None] = {"Connection": "close"} if call.fresh else {}
        given: dict[str, Any] = {"headers": headers}
        if call.params is not None:
            given["params"] = dict(call.params)
        if call.json is not None:
            given["json"] = call.json
        if call.file is not None:
            headers |= {"Content-Type": None, "X-Atlassian-Token": "no-check"}  # requests writes the boundary
            given["files"] = {"file": (*call.file, "application/json")}
        try:
            client = self._client()
            response = client._session.request(call.method, client._get_url(call.path), **given)  # noqa: SLF001
            return self._reply(response)
        except JIRAError as error:
            return self._refusal(error)
        except requests.RequestException as error:
            return broken(error)
        except Exception as error:  # a library's bug is no reason to lose the attempt: nobody knows what happened
            return Unknown(f"the client failed: {type(error).__name__}")

    def _client(self) -> JIRA:
        client: JIRA | None = getattr(self._mine, "client", None)
        if client is None:
            token = self._token.reveal()
            auth: dict[str, Any] = {"basic_auth": (self._user, token)} if self._user else {"token_auth": token}
            options = {"server": self.url, "rest_api_version": "3" if self.cloud else "2"}
            client = JIRA(
                options=options, get_server_info=False, max_retries=0, timeout=self._timeout, logging=False, **auth
            )
            client.deploymentType = "Cloud" if self.cloud else "Server"  # the library would ask, or guess wrong
            client._session.max_redirects = 0  # noqa: SLF001 - a redirect would make a GET of our POST
            self._mine.client = client
            self._clients.append(client)
        return client

    def _reply(self, response: requests.Response) -> Reply | Failure:
        if response.status_code >= 300:
            return redirected()
        if response.status_code == 204 or not response.content:
            return Reply(response.status_code, None)
        try:
            return Reply(response.status_code, response.json())
        except ValueError:
            return Unknown(f"{response.status_code} with a body that is not JSON")

    def _refusal(self, error: JIRAError) -> Failure:
        status = int(error.status_code or 0)
        response = error.response
        if status == 429:
            return limited(response.headers if response is not None else {})
        if status == 408 or status >= 500 or status == 0:
            return Unknown(f"{status}: nobody knows whether it happened")
        why = f"{status}: {self._clean('; '.join(complaints(response)))}".rstrip(": ")
        if status == 409:
            return conflict(why)
        return Refused(f"{CREDENTIALS}{why}" if status == 401 else why)

    def _clean(self, text: str) -> str:
        """What Jira says, in a line, without our token should it be echoed."""
        token = self._token.reveal()
        return line(text.replace(token, "***") if token else text, WHY_MAX)
