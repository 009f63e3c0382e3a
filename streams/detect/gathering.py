"""Facts on a shelf until their bucket is over: sums do not care for order, so one step a bucket does for all its facts.

Twenty messages a second, a dozen deciders for each of their facts, would cost more than all session deciders together.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from ..records import Excerpt, Fact
from .facts import CHARS_MAX, FEW, NAMES_MAX, OTHER, bounded, latest

GATHERED = ""  # as a due time of the shelf is named: before every decider's at the same time
PARTS_MAX = 500  # of one bucket; beyond any of these, deciders get everything at once
BUCKETS_MAX = 64
BYTES_MAX = 256 * 1024
SUM_BYTES, SAMPLE_BYTES = 9, 1500  # at most, beside the characters
MARKS_MAX = 2000

Address = tuple[str, tuple[str, ...], bool]


class Part(Struct, array_like=True, gc=False):
    """Facts of one kind and subject in a bucket, so far. What people said is kept apart: evaluators may share a name."""

    kind: str
    subject: tuple[str, ...]
    human: bool
    sums: dict[str, int] = {}
    marks: dict[str, None] = {}
    samples: tuple[Excerpt, ...] = ()
    chars: int = 0  # of names and marks

    @property
    def address(self) -> Address:
        return self.kind, self.subject, self.human

    def add(self, fact: Fact) -> None:
        sums, marks = self.sums, self.marks
        for name, value in fact.sums.items():
            if name in sums:
                sums[name] = bounded(sums[name] + value)
            elif len(sums) < FEW or (len(sums) < NAMES_MAX and self.chars < CHARS_MAX):
                sums[name] = bounded(value)
                self.chars += len(name)
            else:
                sums[OTHER] = bounded(sums.get(OTHER, 0) + value)
        for mark in fact.marks:
            if mark not in marks and (len(marks) < FEW or (len(marks) < MARKS_MAX and self.chars < CHARS_MAX)):
                marks[mark] = None
                self.chars += len(mark)
        if fact.samples:
            self.samples = latest(self.samples + fact.samples)

    def fact(self, at_s: int) -> Fact:
        at, marks = datetime.fromtimestamp(at_s, UTC), tuple(self.marks)
        return Fact(self.kind, self.subject, at, self.sums, marks=marks, samples=self.samples)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Part]).decode


class Gathered:
    """By bucket: only what changed is encoded again, and only what is asked for is decoded."""

    __slots__ = ("_bytes", "_changed", "_grown", "_open", "kept")

    def __init__(self, kept: dict[int, bytes] | None = None) -> None:
        self.kept = kept or {}  # as stored
        self._open: dict[int, dict[Address, Part]] = {}
        self._changed: set[int] = set()
        self._bytes = sum(map(len, self.kept.values()))
        self._grown = 0  # bytes since then, at most

    def add(self, fact: Fact) -> int:
        """The start of its bucket."""
        at_s = int(fact.bucket.timestamp())
        parts = self._open.get(at_s)
        if parts is None:
            parts = self._opened(at_s)
        address = (fact.kind, fact.subject, "human" in fact.sums)
        part = parts.get(address)
        if part is None:
            part = parts[address] = Part(*address)
        chars = part.chars
        part.add(fact)
        self._grown += part.chars - chars + SUM_BYTES * len(fact.sums) + SAMPLE_BYTES * len(fact.samples)
        self._changed.add(at_s)
        return at_s

    def fits(self, at_s: int) -> bool:
        """Whether it may go on like this, after something was added to that bucket."""
        if self._bytes + self._grown > BYTES_MAX and self._weight() > BYTES_MAX:
            return False
        return len(self._open[at_s]) <= PARTS_MAX and len({*self._open, *self.kept}) <= BUCKETS_MAX

    def take(self, at_s: float) -> list[Fact]:
        """Takes out buckets that began by then, in order; their facts in an order that is not that of arrival."""
        found: list[Fact] = []
        for start in sorted(one for one in {*self.kept, *self._open} if one <= at_s):
            parts = self._open.get(start) or self._opened(start)
            found += [part.fact(start) for part in sorted(parts.values(), key=_in_order)]
            del self._open[start]
            self.kept.pop(start, None)
            self._changed.discard(start)
        self._bytes = sum(map(len, self.kept.values()))
        return found

    @property
    def first_s(self) -> int | None:
        """The start of the earliest bucket."""
        return min((*self.kept, *self._open), default=None)

    def encoded(self) -> dict[int, bytes]:
        for start in self._changed:
            self.kept[start] = _encode([*self._open[start].values()])
        self._changed = set()
        self._bytes, self._grown = sum(map(len, self.kept.values())), 0
        return self.kept

    def _weight(self) -> int:
        self.encoded()
        return self._bytes

    def _opened(self, at_s: int) -> dict[Address, Part]:
        kept = self.kept.get(at_s)
        parts = self._open[at_s] = {part.address: part for part in _decode(kept)} if kept else {}
        return parts


def _in_order(part: Part) -> Address:
    return part.address
