"""The search index of the sandbox Jira, which lags behind the tickets."""

import time
from collections import deque

import msgspec

from streams.sandbox.jira.ticket import Ticket


class Index:
    """What search sees: each version of a ticket `lag` seconds after the change, by the monotonic clock.

    Lowering the lag shows at once what it held back. While `blind` it finds nothing and says so with an empty answer,
    as Jira does to an account that has lost its permission.
    """

    def __init__(self, lag: float) -> None:
        self.lag = lag
        self.blind = False
        self._seen: dict[int, Ticket] = {}
        self._waiting: deque[tuple[float, int, bytes | None]] = deque()

    def changed(self, number: int, ticket: Ticket | None) -> None:
        version = None if ticket is None else msgspec.msgpack.encode(ticket)
        self._waiting.append((time.monotonic(), number, version))
        if self.lag <= 0:
            self._catch_up()

    def visible(self) -> list[Ticket]:
        self._catch_up()
        return [] if self.blind else list(self._seen.values())

    def _catch_up(self) -> None:
        due = time.monotonic() - self.lag
        while self._waiting and self._waiting[0][0] <= due:
            _, number, version = self._waiting.popleft()
            if version is None:
                self._seen.pop(number, None)
            else:
                self._seen[number] = msgspec.msgpack.decode(version, type=Ticket)
