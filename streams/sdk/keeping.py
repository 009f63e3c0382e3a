"""Where events wait: what is asked of such a place, and the one that needs no disk."""

from __future__ import annotations

import struct
import threading
from typing import NamedTuple, Protocol

HEAD = struct.Struct(">III")  # crc of the rest, length of the key, of the event


class Item(NamedTuple):
    key: bytes  # the root session: what has one key keeps its order
    event: bytes

    @property
    def size(self) -> int:
        return HEAD.size + len(self.key) + len(self.event)


class Keeps(Protocol):
    """Where events wait. One writes, another reads."""

    @property
    def waiting(self) -> int:
        """Bytes that are not done with."""
        ...

    def append(self, items: list[Item]) -> int:
        """How many of them are kept; the rest found no room."""
        ...

    def read(self, most: int) -> list[Item]: ...
    def done(self, items: list[Item]) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> int:
        """How many events end with it."""
        ...

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's, so that its lock ends with the parent."""
        ...


class Memory:
    """For sinks that are never away, and where there is no disk."""

    def __init__(self, bytes_max: int) -> None:
        self._items: list[Item] = []
        self._max, self.waiting, self._lock = bytes_max, 0, threading.Lock()

    def append(self, items: list[Item]) -> int:
        with self._lock:
            for place, item in enumerate(items):
                if self.waiting + item.size > self._max:
                    return place
                self._items.append(item)
                self.waiting += item.size
        return len(items)

    def read(self, most: int) -> list[Item]:
        with self._lock:
            return self._items[:most]

    def done(self, items: list[Item]) -> None:
        with self._lock:
            del self._items[: len(items)]
            self.waiting -= sum(item.size for item in items)

    def sync(self) -> None: ...

    def close(self) -> int:
        return len(self._items)

    def abandon(self) -> None: ...
