"""How far this writer has read, told to every timeline partition once a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from ..records import Watermark, Watermarks


class Progress:
    """What the writer knows about the source partitions it owns. Seconds are the writer's own monotonic clock."""

    def __init__(self, writer: str, lateness_s: float, idle_s: float) -> None:
        self._writer = writer
        self._lateness_s = lateness_s
        self._idle_s = idle_s
        self._newest: dict[str, datetime | None] = {}
        self._heard: dict[str, float] = {}
        self._at_end: dict[str, bool] = {}

    def own(self, sources: Iterable[str], now_s: float) -> None:
        """After an assignment: exactly these. What is kept stays known; a new one is silent from now on."""
        owned = list(sources)
        self._newest = {source: self._newest.get(source) for source in owned}
        self._heard = {source: self._heard.get(source, now_s) for source in owned}
        self._at_end = {source: self._at_end.get(source, False) for source in owned}

    def heard(self, newest: Mapping[str, datetime | None], now_s: float) -> None:
        """Messages came, were stored, and all of that was acknowledged."""
        for source, time in newest.items():
            if source not in self._heard:
                continue
            self._heard[source] = now_s
            known = self._newest[source]
            if time is not None and (known is None or time > known):
                self._newest[source] = time

    def ends(self, at_end: Mapping[str, bool]) -> None:
        """Whether everything there was at the last look has been read."""
        for source in self._at_end:
            self._at_end[source] = at_end.get(source, self._at_end[source])

    def watermarks(self, at: datetime, now_s: float, partitions: Mapping[str, int]) -> Watermarks | None:
        """None: this writer owns nothing, so it has nothing to say."""
        if not self._heard:
            return None
        sources = {
            source: Watermark(self._newest[source], self._at_end[source], max(0.0, round(now_s - heard, 3)))
            for source, heard in self._heard.items()
        }
        return Watermarks(at, self._writer, dict(partitions), sources, self._lateness_s, self._idle_s)
