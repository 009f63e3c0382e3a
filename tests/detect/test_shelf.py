"""What is remembered for one key survives as bytes."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from streams.detect.readers import Readers
from streams.detect.shelf import ENDS_STEPS, OUTLIVES_S, RECENT_MAX, Live, behind, wanted


class Memory(Struct, array_like=True):
    count: int


class Counting:
    name, version, memory, step = "counting", 2, Memory, None

    def __init__(self, version: int = 2) -> None:
        self.version = version


class Upgrading(Counting):
    def upgrade(self, version: int, value: bytes) -> Memory:
        return Memory(msgspec.msgpack.decode(value)[0] + 100 * version)


def keep(live: Live, decider: Any, memory: Any) -> None:
    readers = Readers([decider])
    readers.ready(live).memories[0], live.changed[0] = memory, readers.named[decider.name]


def memory(live: Live, decider: Any) -> Any:
    readers = Readers([decider])
    return readers.ready(live).memory(readers.named[decider.name])


def kept(count: int, decider: Any) -> Live:
    live = Live(3)
    keep(live, decider, Memory(count))
    return live


def test_everything_comes_back() -> None:
    live = kept(7, Counting())
    live.newest_s, live.ended, live.about = 5.5, True, b.about(team="pay")
    live.due, live.said = {"counting": 9.0}, {"v1:x|high": 4.0}
    assert not live.echo("agent.events/1/0", 17, "src\x1fe1")
    again = Live.of(live.encode())
    assert (again.partition, again.newest_s, again.ended, again.about) == (3, 5.5, True, b.about(team="pay"))
    assert (again.due, again.said, again.positions) == ({"counting": 9.0}, {"v1:x|high": 4.0}, {"agent.events/1/0": 17})
    assert memory(again, Counting()) == Memory(7)
    assert again.encode() == live.encode()


def test_a_memory_that_was_not_looked_at_is_kept_as_it_was() -> None:
    again = Live.of(Live.of(kept(7, Counting()).encode()).encode())
    assert memory(again, Counting()) == Memory(7)


def test_a_forgotten_memory_is_gone() -> None:
    live = Live.of(kept(7, Counting()).encode())
    keep(live, Counting(), None)
    assert memory(Live.of(live.encode()), Counting()) is None


def test_an_older_memory_is_upgraded_or_starts_anew() -> None:
    old = kept(7, Counting(1)).encode()
    assert memory(Live.of(old), Upgrading(2)) == Memory(107)
    assert memory(Live.of(old), Counting(2)) is None


def test_a_memory_of_a_newer_release_is_not_misread() -> None:
    assert memory(Live.of(kept(7, Counting(3)).encode()), Upgrading(2)) is None


def test_an_echo_is_the_same_position_an_earlier_one_or_the_same_id() -> None:
    live = Live(0)
    assert not live.echo("p", 5, "e5")
    assert live.echo("p", 5, "e5")
    assert live.echo("p", 4, "e4")
    assert live.echo("p", 6, "e5")
    assert not live.echo("q", 0, "e0")
    assert not live.echo("p", 7, "e7")


@given(st.lists(st.integers(0, 200), max_size=300))
def test_the_last_64_ids_are_known_whatever_their_hashes_look_like(numbers: list[int]) -> None:
    live, order = Live(0), []
    for offset, number in enumerate(numbers):
        known = number in order[-RECENT_MAX:]
        assert live.echo("p", offset, f"e{number}") == known
        if not known:
            order.append(number)
    assert len(live.recent) <= RECENT_MAX * 8


def test_what_is_wanted_is_known_without_decoding_the_rest() -> None:
    live = kept(7, Counting())
    live.newest_s, live.due = 1000.0, {"counting": 1050.0, "other": 1020.0}
    assert wanted(live.encode(), 600.0) == (3, 1020.0)
    live.due = {}
    assert 1600.0 <= wanted(live.encode(), 600.0)[1] <= 1600.0 + 600.0 / ENDS_STEPS
    live.ended = True
    assert wanted(live.encode(), 600.0)[1] >= 1000.0 + OUTLIVES_S


def test_a_zombies_shelf_is_behind_its_successors() -> None:
    zombie, successor = Live(0), Live(0)
    for live, offsets in ((zombie, (1, 2)), (successor, (1, 2, 3))):
        for offset in offsets:
            live.echo("p", offset, f"e{offset}")
    assert behind(zombie.encode(), successor.encode())
    assert not behind(successor.encode(), zombie.encode())
    assert not behind(successor.encode(), successor.encode())
    successor.echo("q", 0, "e9")
    assert behind(zombie.encode(), successor.encode())
