"""A sign of life to an outside address, while all is well: whoever misses it knows that something is not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import aiohttp

from ..settings import Secret
from .meters import Meters

log = logging.getLogger(__name__)

EVERY_S = 60.0
TIMEOUT_S = 10.0


class Heartbeat:
    """The address is a secret: whoever knows it can say that all is well. It is in no log and no exception."""

    def __init__(
        self, url: Secret, meters: Meters, *, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url, self._meters, self._every_s, self._clock = url, meters, every_s, clock
        self._next = 0.0

    async def beat(self) -> None:
        """To be called whenever all is well; sends one when it is time."""
        if not self._url or self._clock() < self._next:
            return
        self._next = self._clock() + self._every_s
        self._meters.beaten(await self._send())

    async def _send(self) -> str:
        """sent, or failed. Redirects are not followed: the address is not for others."""
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url.reveal(), allow_redirects=False) as answer,
            ):
                status = answer.status
        except Exception as error:  # any, and never its words: they may quote the address
            log.warning("the outside did not take our heartbeat: %s", type(error).__name__)
            return "failed"
        if status >= 300:
            log.warning("the outside did not take our heartbeat: HTTP %s", status)
            return "failed"
        return "sent"
