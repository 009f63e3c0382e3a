"""Between the agent and the sink: a bounded buffer, the spool, and two threads of which the agent notices nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .sinks import Away, Sink
from .spool import Item, Keeps, Memory

log = logging.getLogger(__name__)

BATCH = 500
AGAIN_S_MIN, AGAIN_S_MAX = 0.1, 5.0
TURN_S = 0.5
GATHER_S = 0.005
REFUSALS_SAID = 20


class Numbers(NamedTuple):
    """Of one emitter since its process began."""

    emitted: int = 0
    sent: int = 0
    refused: int = 0  # by the sink: it will never want them
    lost: int = 0  # neither buffer nor spool had room
    invalid: int = 0  # could not be written as an event
    waiting: int = 0  # bytes in the spool


class Buffer:
    """Between threads of the agent and ours. `put` takes about a microsecond and never waits for a disk or a network."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        self._items: list[Item] = []
        self._bytes, self._count_max, self._bytes_max = 0, count_max, bytes_max
        self.offered = 0
        self._lock = threading.RLock()  # a signal's handler or a finaliser may emit while its own thread does
        self.ready = threading.Event()

    def put(self, item: Item) -> bool:
        with self._lock:
            self.offered += 1
            if len(self._items) >= self._count_max or self._bytes + item.size > self._bytes_max:
                return False
            self._items.append(item)
            self._bytes += item.size
        return True

    def take(self) -> list[Item]:
        with self._lock:
            items, self._items, self._bytes = self._items, [], 0
        return items

    def __len__(self) -> int:
        return len(self._items)


class Sending:
    """Its threads start with the first event. What is lost is counted, and said once when it begins and once after."""

    def __init__(self, sink: Sink, buffer: Buffer, keep: Callable[[], Keeps], beat: Callable[[], None]) -> None:
        self._sink, self.buffer, self._make, self._beat = sink, buffer, keep, beat
        self._spool: Keeps | None = None
        self._stopping, self._started, self._more = threading.Event(), threading.Lock(), threading.Event()
        self._threads: list[threading.Thread] = []
        self._spooling = False  # taken from the buffer and not yet in the spool
        self.sent = self.refused = self.lost = self.invalid = 0
        self._losing = 0  # in this span
        self._counting = threading.RLock()
        self._away = ""

    def put(self, key: bytes, event: bytes) -> None:
        if self._stopping.is_set() or not self.buffer.put(Item(key, event)):
            self.lose(1)
            return
        if not self._threads:
            self.start()
        if not self.buffer.ready.is_set():
            self.buffer.ready.set()

    def start(self) -> None:
        with self._started:
            if self._threads or self._stopping.is_set():
                return
            self._spool = self._make()
            for name, target in (("write", self._writing), ("send", self._sending)):
                thread = threading.Thread(target=target, name=f"tocsin {name}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def lose(self, count: int) -> None:
        with self._counting:
            begins = not self._losing
            self._losing += count
            self.lost += count
        if begins:
            log.error("events are lost: there is no room for more of them while they cannot be sent")

    def numbers(self) -> Numbers:
        waiting = self._spool.waiting if self._spool is not None else 0
        return Numbers(self.buffer.offered, self.sent, self.refused, self.lost, self.invalid, waiting)

    def flush(self, timeout_s: float) -> bool:
        """Whether everything has arrived. False: the rest is in the spool, if there is one on disk."""
        until = time.monotonic() + timeout_s
        while self._threads and self._pending():
            if time.monotonic() >= until:
                return False
            self.buffer.ready.set()
            self._more.set()
            time.sleep(0.002)
        return True

    def close(self, timeout_s: float) -> bool:
        flushed = self.flush(timeout_s)
        self._stopping.set()
        self.buffer.ready.set()
        self._more.set()
        for thread in self._threads:
            thread.join(max(timeout_s, 1.0))
        alive = any(thread.is_alive() for thread in self._threads)
        if self._threads and not alive:
            self._sink.close()
        closes = self._spool is not None and (not alive or isinstance(self._spool, Memory))
        if closes and self._spool is not None and (ended := self._spool.close()):
            self.lose(ended)
        return flushed

    def abandon(self) -> None:
        """In a forked child: none of its threads are here, and what is open is the parent's."""
        self._threads = []
        if self._spool is not None:
            self._spool.abandon()

    def _pending(self) -> bool:
        return bool(len(self.buffer) or self._spooling or (self._spool and self._spool.waiting))

    def _writing(self) -> None:
        """Until stopped, and then what is left: to the spool only, which is quick."""
        assert self._spool is not None
        while True:
            stopping = self._stopping.is_set()
            self.buffer.ready.wait(TURN_S)
            self._stopping.wait(GATHER_S)  # an agent that says much is not switched away from for each event
            self.buffer.ready.clear()
            self._spooling = True
            items = self.buffer.take()
            try:
                self._kept(items)
                self._spool.sync()
                self._beat()
            except Exception:  # whatever it is, the agent goes on
                log.exception("events could not be written to the spool")
            self._spooling = False
            if stopping:
                return

    def _kept(self, items: list[Item]) -> None:
        assert self._spool is not None
        kept = self._spool.append(items) if items else 0
        if kept:
            self._more.set()
        if len(items) > kept:
            self.lose(len(items) - kept)
        elif items and self._losing:
            with self._counting:
                span, self._losing = self._losing, 0
            log.error("no more events are lost; %d were, %d in all", span, self.lost)

    def _sending(self) -> None:
        assert self._spool is not None
        again_s = AGAIN_S_MIN
        while not self._stopping.is_set():
            self._more.clear()
            try:
                if self._sent():
                    again_s = AGAIN_S_MIN
                    continue
                self._more.wait(TURN_S)
            except Exception as error:  # a sink's bug is no reason to end either
                self._say(f"{error}" if isinstance(error, Away) else type(error).__name__)
                self._stopping.wait(again_s)
                again_s = min(AGAIN_S_MAX, 2 * again_s)

    def _sent(self) -> int:
        assert self._spool is not None
        batch = self._spool.read(BATCH)
        if batch:
            refused = self._sink.send(batch)
            self._spool.done(batch)
            self._say("")
            self.sent += len(batch) - len(refused)
            for one in refused:
                if self.refused < REFUSALS_SAID:
                    log.error("an event was refused and is not sent again: %s", one.why)
                self.refused += 1
        return len(batch)

    def _say(self, away: str) -> None:
        if away and not self._away:
            log.warning("events cannot be sent (%s) and wait", away)
        elif self._away and not away:
            log.warning("events are sent again")
        self._away = away
