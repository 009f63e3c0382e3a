"""Jira's own limits, counted: writes to one ticket, and bursts on one endpoint."""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

WINDOWS = ((2.0, 20), (30.0, 100))  # seconds, writes to one ticket
BURST = {"GET": 100.0, "POST": 100.0, "PUT": 50.0, "DELETE": 50.0}  # a second, for each endpoint
READ_ONE = ("GET", "/rest/api/{api}/issue/{ticket}", 150.0)


class Broken(NamedTuple):
    """A limit that a call would break."""

    reason: str  # of the header RateLimit-Reason
    what: str
    after_s: int


class Limits:
    """Counts what a real Jira refuses with 429; refuses it as well when `enforced`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writes: dict[str, deque[float]] = defaultdict(deque)
        self._tokens: dict[tuple[str, str], tuple[float, float]] = {}
        self.violations: Counter[str] = Counter()
        self.enforced = False

    def count(self, method: str, endpoint: str, ticket: str | None) -> Broken | None:
        """The limit that this call breaks; None: it is within all of them and counts."""
        broken = self._burst(method, endpoint)
        if broken is None and ticket is not None and method != "GET":
            broken = self._write(ticket)
        if broken is not None:
            self.violations[f"{broken.reason} {broken.what}"] += 1
        return broken

    def _burst(self, method: str, endpoint: str) -> Broken | None:
        rate = READ_ONE[2] if (method, endpoint) == READ_ONE[:2] else BURST.get(method, 100.0)
        now = self._clock()
        left, at = self._tokens.get((method, endpoint), (rate, now))
        left = min(rate, left + (now - at) * rate)
        self._tokens[method, endpoint] = (max(0.0, left - 1.0), now) if left >= 1.0 else (left, now)
        return None if left >= 1.0 else Broken("jira-burst-based", f"{method} {endpoint}", 1)

    def _write(self, ticket: str) -> Broken | None:
        now = self._clock()
        writes = self._writes[ticket]
        while writes and writes[0] <= now - WINDOWS[-1][0]:
            writes.popleft()
        for seconds, most in WINDOWS:
            if sum(at > now - seconds for at in writes) >= most:
                return Broken("jira-per-issue-on-write", ticket, int(seconds))
        writes.append(now)
        return None


def refusal(broken: Broken) -> web.Response:
    return web.json_response(
        {"errorMessages": ["Rate limit exceeded."], "errors": {}},
        status=429,
        headers={"Retry-After": str(broken.after_s), "RateLimit-Reason": broken.reason},
    )
