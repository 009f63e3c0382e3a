"""The rules of the engine that need no broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.detect.engine.gaps import Gap, Gaps
from streams.detect.engine.limits import Limits
from streams.detect.engine.remember import Sends, Unacknowledged
from streams.detect.engine.shims import VERSIONS, WrongVersion, guard
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
