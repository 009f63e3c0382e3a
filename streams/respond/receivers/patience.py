"""One receiver, several outsides: the one that is down waits by itself, and never takes the place of the others."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...records import Answer, NotDone, Unknown

TOGETHER = 4  # calls at once to each
TROUBLES_MAX = 3  # in a row; one or two are ordinary
WAIT_S_MAX = 60.0
FULL_S = 0.05  # until there may be a place again
FORGOTTEN_S = 120.0  # a place that was taken and never used


class _Place:
    def __init__(self) -> None:
        self.troubles, self.until = 0, 0.0
        self.taken: dict[str, float] = {}  # by whom, and since when


class Patience:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: dict[str, _Place] = {}

    def take(self, destination: str, obligation: str) -> float:
        """0: go on, the place is taken. Else seconds until it makes sense to ask again."""
        place, now = self._places.setdefault(destination, _Place()), self._clock()
        if now < place.until:
            return place.until - now
        place.taken = {one: at for one, at in place.taken.items() if now - at < FORGOTTEN_S and one != obligation}
        if len(place.taken) >= (1 if place.troubles >= TROUBLES_MAX else TOGETHER):
            return FULL_S
        place.taken[obligation] = now
        return 0.0

    def heed(self, destination: str, obligation: str, answer: Answer) -> None:
        place = self._places.setdefault(destination, _Place())
        place.taken.pop(obligation, None)
        if not isinstance(answer, Unknown | NotDone) or (isinstance(answer, NotDone) and answer.after_s):
            place.troubles, place.until = 0, 0.0
            return
        place.troubles += 1
        if place.troubles >= TROUBLES_MAX:
            place.until = self._clock() + min(WAIT_S_MAX, 2.0 ** min(place.troubles - TROUBLES_MAX, 16))
