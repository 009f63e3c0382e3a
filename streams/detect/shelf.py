"""Everything remembered for one key: memories of all deciders, positions, recent event ids, due times."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from ..records import About

RECENT_MAX = 64
FINGERPRINTS_MAX = 32
OUTLIVES_S = 3600.0  # after the session ended: its echoes are still recognised


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


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Shelf)


class Live:
    """A shelf while its group is folded: memories decoded on first use, encoded when they changed."""

    __slots__ = ("about", "due", "ended", "kept", "memories", "newest_s", "partition", "positions", "recent", "said")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.newest_s = 0.0
        self.ended = False
        self.about = About()
        self.positions: dict[str, int] = {}
        self.recent: dict[bytes, None] = {}
        self.kept: dict[str, tuple[int, bytes]] = {}  # encoded, not yet needed
        self.memories: dict[str, Any] = {}  # decoded
        self.due: dict[str, float] = {}
        self.said: dict[str, float] = {}

    @classmethod
    def of(cls, value: bytes) -> Live:
        shelf = _decoder.decode(value)
        live = cls(shelf.partition)
        live.newest_s, live.ended, live.about = shelf.newest_s, shelf.ended, shelf.about
        live.positions, live.kept, live.due, live.said = shelf.positions, shelf.memories, shelf.due, shelf.said
        live.recent = dict.fromkeys(shelf.recent[n : n + 8] for n in range(0, len(shelf.recent), 8))
        return live

    def encode(self, versions: dict[str, int]) -> bytes:
        kept = dict(self.kept)
        for name, memory in self.memories.items():
            if memory is None:
                kept.pop(name, None)
            else:
                kept[name] = (versions[name], _encoder.encode(memory))
        shelf = Shelf(
            self.partition,
            self.newest_s,
            self.ended,
            self.about,
            self.positions,
            b"".join(self.recent),
            kept,
            self.due,
            self.said,
        )
        return _encoder.encode(shelf)

    def echo(self, source: str, offset: int, event_id: str) -> bool:
        """Whether this was applied before; notes it otherwise. Twice under one position, or one id under two."""
        if offset <= self.positions.get(source, -1):
            return True
        self.positions[source] = offset
        digest = blake2b(event_id.encode(), digest_size=8).digest()
        if digest in self.recent:
            return True
        self.recent[digest] = None
        if len(self.recent) > RECENT_MAX:
            del self.recent[next(iter(self.recent))]
        return False

    def memory(self, name: str, version: int, kind: type) -> Any:
        if name in self.memories:
            return self.memories[name]
        held = self.kept.pop(name, None)
        memory: Any = None
        if held is not None and held[0] == version:  # an older version starts anew until it has an upgrade function
            memory = msgspec.msgpack.decode(held[1], type=kind)
        self.memories[name] = memory
        return memory

    def expires_s(self, idle_s: float) -> float:
        return self.newest_s + (OUTLIVES_S if self.ended else idle_s)

    def wake_s(self, idle_s: float) -> float:
        """The earliest time somebody here wants a tick, its own end included."""
        return min(self.expires_s(idle_s), *self.due.values()) if self.due else self.expires_s(idle_s)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
