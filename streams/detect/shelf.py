"""Everything remembered for one key: memories of all deciders, positions, recent event ids, due times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from ..records import About
from .gathering import Gathered

if TYPE_CHECKING:
    from .readers import Reader

BYTES_MAX = 1024 * 1024  # half of what the topic of changes takes
RECENT_MAX = 64
FINGERPRINTS_MAX = 32
OUTLIVES_S = 3600.0  # after the session ended: its echoes are still recognised
ENDS_STEPS = 24  # an end may be noticed that part of the span later: whoever is used all the time waits in few places
_HASH = 8


class Kept(Struct, frozen=True, array_like=True, gc=False):
    """A memory as it is stored."""

    version: int
    value: bytes


class Shelf(Struct, array_like=True):
    """As it is stored. `memories` are name -> (version, msgpack); `recent` are 8-byte hashes of event ids."""

    partition: int
    newest_s: float
    ended: bool
    about: About
    positions: dict[str, int]
    recent: bytes
    memories: dict[str, Kept]
    due: dict[str, float]
    said: dict[str, float]
    gathered: dict[int, bytes] = {}


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


class Live(Struct, gc=False):
    """A shelf while its group is folded: memories decoded on first use, encoded when they changed.

    What a decider remembers is found by its number, not by its name: the loop looks a dozen times an event. Whoever
    makes one lets `Readers.ready` see to that.
    """

    partition: int
    newest_s: float = 0.0
    ended: bool = False
    about: About = About()
    positions: dict[str, int] = {}
    recent: bytes = b""
    kept: dict[str, Kept] = {}  # as stored, by name
    due: dict[str, float] = {}
    said: dict[str, float] = {}
    gathered: Gathered | None = None  # facts that wait
    brief: About | None = None  # as facts say it
    memories: list[Any] = []  # decoded, by number
    asked: list[datetime | None] = []  # for when each was last told to be woken: the very objects
    changed: dict[int, Reader] = {}  # since the last encoding
    lost: list[tuple[str, str]] = []  # memories that could not be stored, and why

    @classmethod
    def of(cls, value: bytes) -> Live:
        shelf = _decoder.decode(value)
        return cls(
            shelf.partition,
            shelf.newest_s,
            shelf.ended,
            shelf.about,
            shelf.positions,
            shelf.recent,
            shelf.memories,
            shelf.due,
            shelf.said,
            Gathered(shelf.gathered) if shelf.gathered else None,
        )

    def encode(self) -> bytes:
        """Never more than can be written: what one decider cannot store must not stop the others."""
        kept, memories = self.kept, self.memories
        for number, reader in self.changed.items():
            memory = memories[number]
            if memory is None:
                kept.pop(reader.name, None)
                continue
            try:
                kept[reader.name] = Kept(reader.version, _encoder.encode(memory))
            except OverflowError as error:  # what was stored before stays
                self.lost.append((reader.name, f"its memory cannot be stored: {error}"))
        self.changed = {}
        value = self._encoded()
        while len(value) > BYTES_MAX and kept:
            largest = max(kept, key=lambda name: len(kept[name].value))
            self.lost.append((largest, f"its memory of {len(kept.pop(largest).value)} bytes was forgotten"))
            self.due.pop(largest, None)
            value = self._encoded()
        return value

    def _encoded(self) -> bytes:
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
                self.gathered.encoded() if self.gathered else {},
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

    def memory(self, reader: Reader) -> Any:
        """What it remembered here. An older version goes through its `upgrade`; without one it starts anew."""
        held = self.kept.get(reader.name)
        memory: Any = None
        if held is not None and held.version == reader.version:
            memory = reader.decode(held.value)
        elif held is not None and held.version < reader.version and hasattr(reader.decider, "upgrade"):
            memory = reader.decider.upgrade(held.version, held.value)
        self.memories[reader.number] = memory
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
    at = hashes.rfind(one)  # half the time of `find`
    while at % _HASH and at > 0:  # across two hashes: not one of them
        at = hashes.rfind(one, 0, at + _HASH - 1)
    return at >= 0


def added(hashes: bytes, one: bytes, most: int) -> bytes:
    """The oldest are forgotten."""
    return hashes[-(most - 1) * _HASH :] + one
