"""Which steps end the process that reaches them: one small file that all lives of a run look into, without locks."""

from __future__ import annotations

import mmap
import os
import signal
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

POINTS_MAX = 8
_WHO = struct.Struct("<Ii")  # who was hit, and at which of the points
_POINT = struct.Struct("<i60s")  # how often it may still be passed, and its name


class Hit(NamedTuple):
    pid: int
    point: str


class Armed:
    """Shared by mapping: a process that is killed in the middle of it leaves nothing locked."""

    def __init__(self, path: Path) -> None:
        size = _WHO.size + POINTS_MAX * _POINT.size
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    def arm(self, points: Mapping[str, int]) -> None:
        """Whoever reaches one of them for the nth time from now on, all lives counted together; once."""
        self._map[:] = bytes(len(self._map))
        for place, (point, nth) in enumerate(points.items()):
            _POINT.pack_into(self._map, _WHO.size + place * _POINT.size, nth, point.encode())

    def disarm(self) -> Hit | None:
        """Who was hit meanwhile."""
        hit = self.hit()
        self.arm({})
        return hit

    def hit(self) -> Hit | None:
        who, place = _WHO.unpack_from(self._map)
        return Hit(who, self._point(place)[1]) if who else None

    def reached(self, step: str) -> None:
        """Called by the lives."""
        for place in range(POINTS_MAX):
            left, point = self._point(place)
            if not point:
                return
            if point != step or left < 1:
                continue
            _POINT.pack_into(self._map, _WHO.size + place * _POINT.size, left - 1, point.encode())
            if left == 1 and not _WHO.unpack_from(self._map)[0]:
                _WHO.pack_into(self._map, 0, os.getpid(), place)
                os.kill(os.getpid(), signal.SIGKILL)

    def _point(self, place: int) -> tuple[int, str]:
        left, point = _POINT.unpack_from(self._map, _WHO.size + place * _POINT.size)
        return left, point.rstrip(b"\0").decode()
