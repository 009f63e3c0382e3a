"""How often an outside system may be called: buckets that fill with time, one for each thing it counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Allowed(NamedTuple):
    """So many at once, and one more every so many seconds."""

    at_once: float
    every_s: float


class Buckets:
    """A bucket for each name. What is full again is forgotten: there may be many names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[tuple[str, Allowed], float] = {}  # until when it has something to make up for
        self._tidied = 0.0

    def take(self, name: str, allowed: Allowed) -> float:
        """0: one was taken. Else seconds until there is one, and none was taken."""
        now, key = self._clock(), (name, allowed)
        until = max(now, self._spent.get(key, 0.0))
        wait = until - now - (allowed.at_once - 1) * allowed.every_s
        if wait > 1e-9:  # what a float leaves over is no time
            return wait
        self._spent[key] = until + allowed.every_s
        self._tidy(now)
        return 0.0

    def hold(self, name: str, allowed: Allowed, seconds: float) -> None:
        """The outside said so: nothing before then."""
        key = (name, allowed)
        until = self._clock() + seconds + (allowed.at_once - 1) * allowed.every_s
        self._spent[key] = max(self._spent.get(key, 0.0), until)

    def _tidy(self, now: float) -> None:
        if now - self._tidied < 60.0:
            return
        self._tidied = now
        self._spent = {key: until for key, until in self._spent.items() if until > now}
