"""The rules of the engine that need no broker."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, NamedTuple

import builders as b
import pytest
from detect.test_stages import of_events
from detect.truth import Pair
from prometheus_client import CollectorRegistry

from streams.detect.engine.gaps import Gap, Gaps
from streams.detect.engine.group import Groups, Zombie
from streams.detect.engine.limits import Limits
from streams.detect.engine.metrics import Metrics
from streams.detect.engine.remember import Sends, Unacknowledged
from streams.detect.engine.shims import VERSIONS, WrongVersion, guard, speak_up
from streams.detect.ports import Saying


def test_it_refuses_to_start_on_another_version() -> None:
    guard()
    guard(VERSIONS.__getitem__)
    for name in VERSIONS:
        with pytest.raises(WrongVersion, match=f"{name} is 9.9.9"):
            guard(lambda asked, name=name: "9.9.9" if asked == name else VERSIONS[asked])


def test_what_follows_is_no_gap_and_neither_is_a_repetition() -> None:
    gaps = Gaps()
    gaps.begin({("t", 0): 5})
    for offset in (5, 6, 7, 5, 6, 7, 8):
        gaps.check("t", 0, offset)
    assert gaps.next == {("t", 0): 9}


def test_a_message_that_was_never_delivered_is_a_gap() -> None:
    gaps = Gaps()
    gaps.begin({("t", 0): 5, ("t", 1): 0})
    gaps.check("t", 0, 5)
    with pytest.raises(Gap, match="t/0 delivers offset 7 where 6 was next"):
        gaps.check("t", 0, 7)
    with pytest.raises(Gap):
        gaps.check("t", 1, 3)


def test_a_partition_of_an_earlier_assignment_is_a_gap() -> None:
    gaps = Gaps()
    gaps.begin({("t", 0): 0})
    gaps.begin({("t", 1): 0})
    with pytest.raises(Gap, match="not assigned"):
        gaps.check("t", 0, 0)


class Silent:
    """A producer whose broker never answers."""

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def create_batch(self) -> Any:
        return self

    def append(self, **_: Any) -> object:
        return self

    async def send_batch(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()


async def test_a_send_that_nobody_acknowledges_is_not_waited_for_for_ever() -> None:
    sends = Sends(Silent(), {"findings": "f", "facts": "f", "exposure": "f", "deadletters": "f"}, 0.05)
    with pytest.raises(Unacknowledged):
        await sends.say([Saying("findings", b"x")])
    with pytest.raises(Unacknowledged):
        await sends.remember("changelog", {0: [("key", b"x")]})
    await sends.say([])
    await sends.remember("changelog", {})


def test_corrections_can_be_switched_off_one_by_one() -> None:
    limits = Limits(without=frozenset({"fence"}))
    assert not limits.has("fence")
    assert limits.has("contiguous")


class Slow(Silent):
    """A producer whose broker answers when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.written = 0

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    async def send_batch(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        self.written += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


def groups(producer: Any) -> tuple[Groups, dict[str, bytes]]:
    store: dict[str, bytes] = {}
    made = Groups(Pair().sessions, store, "changelog", Limits(session_s=6.0))
    made.sends = Sends(producer, {"findings": "f", "facts": "f", "exposure": "f", "deadletters": "f"}, 10.0)
    made.metrics = Metrics(CollectorRegistry())
    made.gaps.begin({("timeline", 0): 0})
    return made, store


class Delivered(NamedTuple):
    """As Faust hands a message over, as far as it is looked at."""

    message: Any


class Delivery(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Any
    timestamp: float


def delivered() -> Delivered:
    message = of_events(b.eval_scored(0))
    return Delivered(Delivery("timeline", 0, 0, None, message.value, message.headers, 1.0))


async def test_a_group_that_has_begun_is_finished_even_when_the_agent_is_stopped() -> None:
    """Faust acknowledges the group of a cancelled agent: what was not remembered would be lost."""
    producer = Slow()
    made, store = groups(producer)
    task = asyncio.ensure_future(made.process([delivered()]))
    while not producer.waiting:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    for ack in producer.waiting:
        ack.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert producer.written == 1
    assert "s1" in store


async def test_nothing_is_remembered_before_everything_said_is_acknowledged() -> None:
    producer = Slow()
    made, store = groups(producer)
    task = asyncio.ensure_future(made.process([delivered()]))
    while not producer.waiting:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (producer.written, store) == (0, {})
    for ack in producer.waiting:
        ack.set_result(None)
    await task
    assert producer.written == 1


def test_whoever_took_too_long_does_not_remember() -> None:
    made, _ = groups(Silent())
    made._fence(time.monotonic() - 2.9, 0)
    with pytest.raises(Zombie, match="between folding and remembering"):
        made._fence(time.monotonic() - 3.1, 0)


def test_whoever_got_another_assignment_meanwhile_does_not_remember() -> None:
    made, _ = groups(Silent())
    made.generation = lambda: 8
    made._fence(time.monotonic(), 8)
    with pytest.raises(Zombie, match="assigned anew"):
        made._fence(time.monotonic(), 7)


def test_what_faust_only_logs_reaches_the_real_stderr() -> None:
    speak_up()
    for name in ("faust", "mode", "aiokafka"):
        logger = logging.getLogger(name)
        assert logger.level == logging.WARNING
        assert [handler.stream for handler in logger.handlers] == [sys.__stderr__]  # type: ignore[attr-defined]
