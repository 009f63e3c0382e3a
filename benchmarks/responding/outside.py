"""Both sandbox receivers in a process of their own: who was told when, and which limits were broken."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

NAMED = re.compile(rb"team-\d+-\d+")


class Heard(NamedTuple):
    """What has come in so far."""

    pages: dict[str, float]  # agent -> when the first call for its incident came, as the wall clock has it
    tickets: dict[str, float]
    calls: dict[str, int]
    limited: int  # calls answered with 429
    violations: int  # calls beyond what the real ones allow, however they were answered


class Outside:
    """The handle on that process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.jira, self.slack = pipe.recv()

    def heard(self) -> Heard:
        self._pipe.send("heard")
        found: Heard = self._pipe.recv()
        return found


@contextmanager
def outside(channels: tuple[str, ...]) -> Iterator[Outside]:
    spawn = multiprocessing.get_context("spawn")
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, channels), daemon=True)
    process.start()
    try:
        yield Outside(mine)
    finally:
        process.terminate()
        process.join()


def _serve(pipe: Connection, channels: tuple[str, ...]) -> None:
    asyncio.run(_serving(pipe, channels))


async def _serving(pipe: Connection, channels: tuple[str, ...]) -> None:
    jira, slack = SandboxJira(), SandboxSlack(channels=channels, rate_limit=1.0)
    jira.desk.limits.enforced = True
    pages: dict[str, float] = {}
    tickets: dict[str, float] = {}
    slack.serving.app.middlewares.append(_noting(pages, "/api/chat.postMessage"))
    jira.serving.app.middlewares.append(_noting(tickets, "/rest/api/3/issue"))
    pipe.send((await jira.start(), await slack.start()))
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, pipe.recv) == "heard":
        calls = [*jira.serving.calls, *slack.serving.calls]
        counted = Counter(f"{call.method} {call.path}" for call in calls)
        limited = sum(call.status == 429 for call in calls)
        broken = sum(jira.violations.values()) + len(slack.violations)
        pipe.send(Heard(dict(pages), dict(tickets), dict(counted.most_common(12)), limited, broken))


def _noting(first: dict[str, float], path: str):  # type: ignore[no-untyped-def]
    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == path and request.method == "POST":
            found = NAMED.search(await request.read())
            if found is not None:
                first.setdefault(found[0].decode(), time.time())
        return await handler(request)

    return note
