"""Everything remembered for one key: memories of all deciders, positions, recent event ids, due times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Raw, Struct

from ..records import About
from ..step import Decider

RECENT_MAX = 64
FINGERPRINTS_MAX = 32
OUTLIVES_S = 3600.0  # after the session ended: its echoes are still recognised
ENDS_STEPS = 24  # an end may be noticed that part of the span later: whoever is used all the time waits in few places
_HASH = 8


class Shelf(Struct, array_like=True):
    """As it is stored. `memories` are name -> (version, msgpack); `recent` are 8-byte hashes of event ids."""

    partition: int
    newest_s: float
    ended: bool
    about: About
    positions: dict[str, int]
    recent: bytes
    memories: dict[str, tuple[int, bytes]]
    due: dict[str, float]
    said: dict[str, float]


class _Wanted(Struct, array_like=True):
    """A shelf as far as its wake needs it."""

    partition: int
    newest_s: float
    ended: bool
    about: Raw
    positions: Raw
    recent: Raw
    memories: Raw
    due: dict[str, float]


class _Reached(Struct, array_like=True):
    """A shelf as far as its positions."""

    partition: int
    newest_s: float
    ended: bool
    about: Raw
    positions: dict[str, int]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Shelf)
_wanted = msgspec.msgpack.Decoder(_Wanted)
_reached = msgspec.msgpack.Decoder(_Reached)


class Live:
    """A shelf while its group is folded: memories decoded on first use, encoded when they changed."""

    __slots__ = (
        "about",
        "asked",
        "brief",
        "changed",
        "due",
        "ended",
        "kept",
        "memories",
        "newest_s",
        "partition",
        "positions",
        "recent",
        "said",
    )

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.newest_s = 0.0
        self.ended = False
        self.about = About()
        self.brief: About | None = None  # as facts say it
        self.positions: dict[str, int] = {}
        self.recent = b""
        self.kept: dict[str, tuple[int, bytes]] = {}  # as stored
        self.memories: dict[str, Any] = {}  # decoded
        self.changed: dict[str, int] = {}  # name -> version, since the last encoding
        self.due: dict[str, float] = {}
        self.asked: dict[str, datetime | None] = {}  # the very objects that `due` was made of
        self.said: dict[str, float] = {}

    @classmethod
    def of(cls, value: bytes) -> Live:
        shelf, live = _decoder.decode(value), cls.__new__(cls)
        live.partition, live.newest_s, live.ended, live.about = (
            shelf.partition,
            shelf.newest_s,
            shelf.ended,
            shelf.about,
        )
        live.positions, live.kept, live.due, live.said = shelf.positions, shelf.memories, shelf.due, shelf.said
        live.recent, live.memories, live.changed, live.asked, live.brief = shelf.recent, {}, {}, {}, None
        return live

    def encode(self) -> bytes:
        for name, version in self.changed.items():
            memory = self.memories[name]
            if memory is None:
                self.kept.pop(name, None)
            else:
                self.kept[name] = (version, _encoder.encode(memory))
        self.changed.clear()
        return _encoder.encode(
            Shelf(
                self.partition,
                self.newest_s,
                self.ended,
                self.about,
                self.positions,
                self.recent,
                self.kept,
                self.due,
                self.said,
            )
        )

    def echo(self, source: str, offset: int, event_id: str) -> bool:
        """Whether this was applied before; notes it otherwise. Twice under one position, or one id under two."""
        if offset <= self.positions.get(source, -1):
            return True
        self.positions[source] = offset
        digest = hashed(event_id)
        if holds(self.recent, digest):
            return True
        self.recent = added(self.recent, digest, RECENT_MAX)
        return False

    def memory(self, decider: Decider[Any]) -> Any:
        """What `decider` remembered here. An older version goes through its `upgrade`; without one it starts anew."""
        name = decider.name
        if name in self.memories:
            return self.memories[name]
        held = self.kept.get(name)
        memory: Any = None
        if held is not None and held[0] == decider.version:
            memory = msgspec.msgpack.decode(held[1], type=decider.memory)
        elif held is not None and held[0] < decider.version and hasattr(decider, "upgrade"):
            memory = decider.upgrade(*held)
        self.memories[name] = memory
        return memory

    def expires_s(self, idle_s: float) -> float:
        return self.newest_s + (OUTLIVES_S if self.ended else idle_s)

    def wake_s(self, idle_s: float) -> float:
        """The earliest time somebody here wants a tick, its own end included."""
        return _wake_s(self.newest_s, OUTLIVES_S if self.ended else idle_s, self.due)


def wanted(value: bytes, idle_s: float) -> tuple[int, float]:
    """Partition and next wake of a stored shelf, without decoding the rest."""
    shelf = _wanted.decode(value)
    return shelf.partition, _wake_s(shelf.newest_s, OUTLIVES_S if shelf.ended else idle_s, shelf.due)


def behind(value: bytes, other: bytes) -> bool:
    """Whether `value` was written by somebody who had seen less than the writer of `other`: a zombie's."""
    reached = _reached.decode(value).positions
    return any(reached.get(source, -1) < offset for source, offset in _reached.decode(other).positions.items())


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _wake_s(newest_s: float, span_s: float, due: dict[str, float]) -> float:
    step_s = span_s / ENDS_STEPS
    end_s = math.ceil((newest_s + span_s) / step_s) * step_s
    return min(end_s, *due.values()) if due else end_s


def hashed(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=_HASH).digest()


def holds(hashes: bytes, one: bytes) -> bool:
    at = hashes.find(one)
    while at % _HASH and at > 0:  # across two hashes: not one of them
        at = hashes.find(one, at + 1)
    return at >= 0


def added(hashes: bytes, one: bytes, most: int) -> bytes:
    """The oldest are forgotten."""
    return hashes[-(most - 1) * _HASH :] + one
