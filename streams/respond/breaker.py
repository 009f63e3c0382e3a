"""When an outside system is left alone: it is down, it wants nothing from us for a while, or it does not let us in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..records import Answer, Done, NotDone, Refused
from .owed import backoff
from .receivers.protocol import CREDENTIALS, QUOTA, Absent, Blind

log = logging.getLogger(__name__)

TROUBLES_MAX = 3  # in a row; one or two are ordinary
CREDENTIALS_S = 60.0  # asking on would only lock the account


class Breaker:
    """Of one receiver. Closed: everything goes. Open: nothing, for a while that doubles. Then one at a time, until one is answered."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock = name, clock
        self.why = ""  # "": closed; trouble, quota, credentials
        self.asks = True  # what goes first while it is open: a question; after one that could not see, something else
        self._until, self._troubles, self._opened = 0.0, 0, 0

    def free(self, together: int, busy: int) -> int:
        """How many more may be begun."""
        if not self.why:
            return together - busy
        return 0 if busy or self._clock() < self._until else 1

    def left_s(self) -> float:
        return max(0.0, self._until - self._clock()) if self.why else 0.0

    def heed(self, answer: Answer | Absent | Blind) -> bool:
        """True: it has just let us in again after it had refused our credentials."""
        if self.why and self._clock() < self._until:
            return False  # what was under way when it opened says nothing new
        self.asks = not isinstance(answer, Blind)
        if isinstance(answer, Refused) and answer.why.startswith(CREDENTIALS):
            log.error("%s refuses our credentials: nothing is sent for %g s", self._name, CREDENTIALS_S)
            self._open("credentials", CREDENTIALS_S)
            return False
        if isinstance(answer, NotDone) and answer.after_s and answer.why.startswith(QUOTA):
            self._open("quota", answer.after_s)
            return False
        if isinstance(answer, Blind) and not self.why:
            return False  # a search that lags says nothing about the rest
        if isinstance(answer, Absent):
            return False  # who can be asked may still not take anything; what was done after all shows that it does
        if isinstance(answer, Done | Refused) or (isinstance(answer, NotDone) and answer.after_s):
            return self._close()
        self._trouble()
        return False

    def _trouble(self) -> None:
        self._troubles += 1
        if self.why or self._troubles >= TROUBLES_MAX:
            self._open("trouble", backoff(self._name, self._opened))
            self._opened += 1

    def _open(self, why: str, seconds: float) -> None:
        if self.why != why:
            log.warning("%s is left alone (%s), first for %.1f s", self._name, why, seconds)
        self.why, self._until = why, self._clock() + seconds

    def _close(self) -> bool:
        before, self.why = self.why, ""
        self._troubles = self._opened = 0
        if before:
            log.warning("%s answers again", self._name)
        return before == "credentials"
