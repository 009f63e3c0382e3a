"""The search index of the sandbox Jira, which lags behind the tickets."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from streams.sandbox.jira.ticket import Ticket


class Waiting(NamedTuple):
    at: float
    more: float  # seconds beyond the lag, of this change alone
    place: int  # changes of one ticket are never seen in a wrong order
    number: int
    version: bytes | None


class Index:
    """What search sees: each version of a ticket `lag` seconds after the change, by the monotonic clock.

    Lowering the lag shows at once what it held back. `spread` draws what one change takes beyond it, so that a later
    ticket may be seen before an earlier one. While `blind` it finds nothing and says so with an empty answer, as Jira
    does to an account that has lost its permission.
    """

    def __init__(self, lag: float) -> None:
        self.lag = lag
        self.spread: Callable[[], float] | None = None
        self.blind = False
        self._seen: dict[int, Ticket] = {}
        self._waiting: deque[Waiting] = deque()
        self._shown: dict[int, int] = {}  # ticket -> place of the version seen
        self._place = 0

    def changed(self, number: int, ticket: Ticket | None) -> None:
        version = None if ticket is None else msgspec.json.encode(ticket)  # a whole number in it may be of any size
        self._place += 1
        more = self.spread() if self.spread else 0.0
        self._waiting.append(Waiting(time.monotonic(), more, self._place, number, version))
        if self.lag + more <= 0:
            self._catch_up()

    def visible(self) -> list[Ticket]:
        self._catch_up()
        return [] if self.blind else list(self._seen.values())

    def _catch_up(self) -> None:
        due = time.monotonic() - self.lag
        while self._waiting and self._waiting[0].at + self._waiting[0].more <= due:
            self._show(self._waiting.popleft())
        if self.spread is not None:
            late = deque(one for one in self._waiting if one.at + one.more > due)
            for one in self._waiting:
                if one.at + one.more <= due:
                    self._show(one)
            self._waiting = late

    def _show(self, one: Waiting) -> None:
        if self._shown.get(one.number, 0) > one.place:
            return
        self._shown[one.number] = one.place
        if one.version is None:
            self._seen.pop(one.number, None)
        else:
            self._seen[one.number] = msgspec.json.decode(one.version, type=Ticket)
