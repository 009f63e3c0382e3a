"""Jira, Slack and the people who use them, in a process of their own; the truth is read from here."""

from __future__ import annotations

import asyncio
import contextlib
import math
import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from msgspec import Struct, convert, field

from benchmarks.killing.lives import end_with_parent
from benchmarks.killing.people import People, Promised
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.jira.ticket import Ticket
from streams.sandbox.serving import Call
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import Message, number

PROJECT = "OPS"
LAG_SIGMA = 0.8
LAG_S_MAX = 30.0


class Outside(Struct, frozen=True, kw_only=True):
    """How Jira and Slack behave."""

    seed: int = 0
    channels: tuple[str, ...] = ("incidents",)
    lag_s: float = 2.0  # the median of what search takes to see a change
    rate_limit: float | None = None  # messages per second and channel
    people: bool = False
    strangers: int = 0  # tickets of other people, there beforehand


class State(Struct, frozen=True, kw_only=True):
    """Everything that is there, as plain data."""

    tickets: list[Ticket]
    messages: list[tuple[str, Message]]  # channel, message; replies too
    promised: Promised
    calls: dict[str, int] = field(default_factory=dict)


class Remote:
    """The process, from outside."""

    def __init__(self, given: Outside) -> None:
        self._mine, theirs = multiprocessing.get_context("forkserver").Pipe()
        self._process: BaseProcess = multiprocessing.get_context("forkserver").Process(
            target=_main, args=(theirs, given), name="outside"
        )
        self._process.start()
        theirs.close()
        self.jira, self.slack = self._mine.recv()

    async def ask(self, what: str, *given: Any) -> Any:
        return await asyncio.to_thread(self._ask, what, given)

    def _ask(self, what: str, given: tuple[Any, ...]) -> Any:
        self._mine.send((what, given))
        if not self._mine.poll(60.0):
            raise TimeoutError(f"the process of Jira and Slack does not answer: {what}")
        return self._mine.recv()

    async def state(self) -> State:
        state: State = await self.ask("state")
        return state

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._mine.send(("stop", ()))
        self._process.join(10.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def channel_ids(names: tuple[str, ...]) -> list[str]:
    return [number("C", name) for name in names]


def _main(told: Connection, given: Outside) -> None:
    end_with_parent()
    asyncio.run(_Served(told, given).run())


class _Served:
    def __init__(self, told: Connection, given: Outside) -> None:
        self._told, self._given = told, given
        self._random = random.Random(given.seed)
        self.jira = SandboxJira(projects=(PROJECT,), token="t")
        self.jira.book.index.spread = lognormal(given.lag_s, self._random) if given.lag_s else None
        self.slack = SandboxSlack(channels=given.channels, token="t", rate_limit=given.rate_limit)
        self.people = People(self.jira.book, PROJECT, random.Random(given.seed + 1))
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        self.people.strangers(self._given.strangers)
        self._told.send((await self.jira.start(), await self.slack.start()))
        asyncio.get_running_loop().add_reader(self._told.fileno(), self._heard)
        working = asyncio.create_task(self.people.work()) if self._given.people else None
        await self._stopping.wait()
        if working:
            working.cancel()
        await asyncio.gather(self.jira.stop(), self.slack.stop())

    def _heard(self) -> None:
        try:
            what, given = self._told.recv()
        except (EOFError, OSError):
            self._stopping.set()
            asyncio.get_running_loop().remove_reader(self._told.fileno())
            return
        if what == "stop":
            self._stopping.set()
            return
        self._told.send(getattr(self, f"_{what}")(*given))

    def _state(self) -> State:
        messages = [
            (channel.id, message)
            for channel in self.slack.workspace.channels.values()
            for message in channel._messages.values()  # noqa: SLF001 - replies too
        ]
        return State(
            tickets=list(self.jira.book.tickets()),
            messages=messages,
            promised=self.people.promised,
            calls=self._calls(),
        )

    def _calls(self) -> dict[str, int]:
        """Of both logs: creates and posts, by what became of them."""
        found: dict[str, int] = {}
        for call in (*self.jira.serving.calls, *self.slack.serving.calls):
            if (name := _written(call)) is not None:
                key = f"{name} {call.fault or call.status}"
                found[key] = found.get(key, 0) + 1
        return found

    def _creates(self) -> list[float]:
        """When each create was tried."""
        return [call.at for call in self.jira.serving.calls if _written(call) == "create"]

    def _weather(self, jira: list[dict[str, Any]], slack: list[dict[str, Any]]) -> None:
        """These faults from now on instead of the ones before."""
        for server, faults in ((self.jira, jira), (self.slack, slack)):
            server.faults.clear()
            for one in faults:
                server.faults.add(convert(one, Fault))

    def _rest(self) -> None:
        """People stop: what they did is done."""
        self.people.resting = True

    def _resolve(self, keys: list[str], resolution: str) -> None:
        self.people.resolve(keys, resolution)


def _written(call: Call) -> str | None:
    if call.method != "POST":
        return None
    if call.path.endswith("/issue"):
        return "create"
    return "post" if call.path.endswith("chat.postMessage") else None


def lognormal(median_s: float, source: random.Random) -> Callable[[], float]:
    return lambda: min(LAG_S_MAX, source.lognormvariate(math.log(median_s), LAG_SIGMA))
