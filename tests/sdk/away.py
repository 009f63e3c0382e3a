"""Sinks of tests: one that is away until told otherwise, one that refuses."""

from __future__ import annotations

import json
import threading
import time

from streams.sdk.sinks import Away, Refusal


class Switched:
    """Takes nothing until `back` is set; then everything, in `taken`."""

    lasting = True

    def __init__(self, *, back: bool = False) -> None:
        self.taken, self.tries, self._back = [], 0, threading.Event()
        if back:
            self._back.set()

    def come_back(self) -> None:
        self._back.set()

    def go_away(self) -> None:
        self._back.clear()

    def send(self, batch):
        self.tries += 1
        if not self._back.is_set():
            raise Away("switched off")
        self.taken += [json.loads(item.event) for item in batch]
        return []

    def close(self) -> None: ...


class Picky(Switched):
    """Wants no heartbeats."""

    def send(self, batch):
        super().send(batch)
        return [Refusal(n, "no heartbeats") for n, item in enumerate(batch) if b"heartbeat" in item.event]


def until(condition, timeout_s: float = 10.0):
    """What it answers once that is true."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.005)
    return found
