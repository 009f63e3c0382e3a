"""One group of messages, in the only order that loses nothing: fold, say, fence, remember, done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..ports import Message, Stage
from .gaps import Gaps
from .leaving import leave
from .limits import Limits
from .metrics import Metrics
from .remember import Sends


class Zombie(Exception):
    """Too much time has passed, or another assignment has come: somebody else may own these shelves by now."""


class Groups:
    """The body of one agent. Whatever happens in it, no exception reaches Faust, which would acknowledge the group."""

    def __init__(self, stage: Stage, store: dict[str, bytes], changelog: str, limits: Limits) -> None:
        self.stage, self.store, self.changelog, self.limits = stage, store, changelog, limits
        self.gaps = Gaps()
        self.sends: Sends
        self.metrics: Metrics
        self.generation: Callable[[], int] = lambda: 0
        self.done: Callable[[], None] = lambda: None

    async def process(self, events: Sequence[Any]) -> None:
        """A group that has begun is finished, even while Faust stops the agent: it acknowledges either way."""
        if not self.limits.has("leave"):
            await self._process(events)
            return
        work = asyncio.ensure_future(self._process(events))
        try:
            await (asyncio.shield(work) if self.limits.has("finish") else work)
        except asyncio.CancelledError:
            await self._left(work)
            raise
        except Exception as error:  # any: the next process begins where the last good group ended
            leave(f"in a group of {self.stage.topic}", error)

    async def _left(self, work: asyncio.Future[None]) -> None:
        try:
            await work
        except BaseException as error:  # as above
            leave(f"in the last group of {self.stage.topic}", error)

    async def _process(self, events: Sequence[Any]) -> None:
        began, generation, limits = time.monotonic(), self.generation(), self.limits
        folded = self.stage.group([self._message(event.message) for event in events])
        limits.reached("folded")
        await self.sends.say(folded.said)
        limits.reached("said")
        self.stage.check()
        self._fence(began, generation)
        limits.reached("fenced")
        await self.sends.remember(self.changelog, folded.writes)
        limits.reached("remembered")
        for items in folded.writes.values():
            for key, value in items:
                if value is None:
                    self.store.pop(key, None)
                else:
                    self.store[key] = value
        self.metrics.group(self.stage, len(self.store), time.monotonic() - began)
        self.done()

    def _message(self, message: Any) -> Message:
        if self.limits.has("contiguous"):
            self.gaps.check(message.topic, message.partition, message.offset)
        headers = message.headers.items() if isinstance(message.headers, dict) else message.headers or ()
        at_ms = int((message.timestamp or 0) * 1000)
        return Message(message.partition, message.offset, message.key, message.value, headers, at_ms)

    def _fence(self, began: float, generation: int) -> None:
        """A zombie that wakes here would overwrite its successor's shelves."""
        if not self.limits.has("fence"):
            return
        took = time.monotonic() - began
        if took > self.limits.session_s / 2:
            raise Zombie(f"{took:.1f} s between folding and remembering")
        if self.generation() != generation:
            raise Zombie("the partitions were assigned anew in the middle of a group")
