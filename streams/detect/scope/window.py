"""Sums over the last minutes, as closed buckets kept in order: what "ten in five minutes" is asked of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

SPANS_MAX = 400
MARKS_CHARS_MAX = 64 * 1024  # of all spans; the oldest are forgotten, their sums are not


Parts = tuple[tuple[int, dict[str, int], tuple[str, ...]], ...]


class Window(Struct, frozen=True, array_like=True, gc=False):
    """`parts` are (start, sums, marks) of the buckets that had anything, oldest first."""

    parts: Parts = ()

    def total(self, name: str) -> int:
        return sum(sums.get(name, 0) for _, sums, _ in self.parts)

    def totals(self, prefix: str = "") -> dict[str, int]:
        found: dict[str, int] = {}
        for _, sums, _ in self.parts:
            for name, value in sums.items():
                if name.startswith(prefix):
                    found[name] = found.get(name, 0) + value
        return found

    @property
    def marks(self) -> tuple[str, ...]:
        """Each once, in order of first sight."""
        return tuple(dict.fromkeys(mark for _, _, marks in self.parts for mark in marks))


def slid(window: Window, bucket: Any, span_s: int, sums: Mapping[str, int] | None = None) -> Window:
    """The window after `bucket` closed: what began `span_s` or longer before it is gone. Same object: nothing changed."""
    kept = tuple(part for part in window.parts if part[0] > bucket.at_s - span_s)
    added = dict(bucket.sums if sums is None else sums)
    if added or bucket.marks:
        kept = _bounded((*kept, (bucket.at_s, added, bucket.marks))[-SPANS_MAX:])
    return window if kept == window.parts else Window(kept)


def _bounded(parts: Parts) -> Parts:
    beyond = sum(len(mark) for _, _, marks in parts for mark in marks) - MARKS_CHARS_MAX
    if beyond <= 0:
        return parts
    found = []
    for at_s, sums, marks in parts:
        gone = 0
        while beyond > 0 and gone < len(marks):
            beyond -= len(marks[gone])
            gone += 1
        found.append((at_s, sums, marks[gone:]))
    return tuple(found)


def aligned(span_s: int, bucket_s: int) -> int:
    """The span in whole buckets of facts, one at least."""
    return max(1, round(span_s / bucket_s)) * bucket_s
