"""How a detect process ends when it must not go on: loudly, at once, without acknowledging anything."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import NoReturn

log = logging.getLogger(__name__)

EXIT = 70  # EX_SOFTWARE: whoever started the process starts it again
LOOKS_S = 0.5


def leave(why: str, error: BaseException | None = None) -> NoReturn:
    """End the process here and now. An exception would be swallowed on its way, and the group acknowledged."""
    log.critical("detect leaves the process: %s", why, exc_info=error)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stderr.flush()
    os._exit(EXIT)


class Watchdog:
    """A thread that ends the process when it was stopped for `gap_s`: somebody else has its partitions by now."""

    def __init__(self, gap_s: float) -> None:
        self.gap_s = gap_s
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, daemon=True, name="detect-watchdog").start()

    def stop(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(LOOKS_S):
            now = time.monotonic()
            if now - last > self.gap_s:
                leave(f"it was stopped for {now - last:.1f} s")
            last = now
