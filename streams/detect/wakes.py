"""Who wants a tick when: a tick costs what is due, not what exists."""

from __future__ import annotations

import heapq
import math


class Wakes:
    """Due times in whole seconds, rounded up, each key at most once in each.

    Asking twice for one second costs nothing, so keys may ask again whenever they are looked at.
    """

    def __init__(self) -> None:
        self._keys: dict[int, set[str]] = {}
        self._seconds: list[int] = []

    def add(self, at_s: float, key: str) -> None:
        second = math.ceil(at_s)
        keys = self._keys.get(second)
        if keys is None:
            self._keys[second] = {key}
            heapq.heappush(self._seconds, second)
        else:
            keys.add(key)

    def due(self, at_s: float) -> list[str]:
        """Takes out who is due, in an order that does not depend on the process. A key may be in it twice."""
        found: list[str] = []
        while self._seconds and self._seconds[0] <= at_s:
            found += sorted(self._keys.pop(heapq.heappop(self._seconds)))
        return found

    @property
    def first_s(self) -> float | None:
        return self._seconds[0] if self._seconds else None

    def __len__(self) -> int:
        return sum(len(keys) for keys in self._keys.values())

    def __bool__(self) -> bool:
        return bool(self._seconds)  # without it, `if wakes` would count every key
