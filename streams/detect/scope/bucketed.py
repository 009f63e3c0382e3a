"""The frame of detectors over facts: gather what comes per bucket of event time, step once when a bucket closes.

Sums do not care for order and a bucket closes only when the clock has passed it, so the answer is the same whatever
the order in which facts arrived.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct

from ...records import Excerpt, Fact, Finding, Tick
from ...step import Order, Step
from ..detector import Detector
from ..facts import CHARS_MAX, FEW, MARKS_MAX, NAMES_MAX, OTHER, bounded, environment_of, latest, shelf_of
from ..shelf import moment

OPEN_MAX = 64  # buckets; of more, those share one that are closest together
REPEAT_S = 300  # a condition that holds is said again
TOLD_MAX = 32
IDLE_MAX = 500  # empty buckets that are stepped after the last one with facts

T = TypeVar("T", bound=Struct)
S = TypeVar("S", bound=Struct)
Words = tuple[str, ...]


class Bucket(Struct, frozen=True, array_like=True, gc=False):
    """What came between `at_s` and `at_s` plus the span."""

    at_s: int
    sums: dict[str, int] = {}
    marks: tuple[str, ...] = ()
    samples: tuple[Excerpt, ...] = ()


class Held(Struct, Generic[S], frozen=True, array_like=True, gc=False):
    words: Words
    state: S
    open: tuple[Bucket, ...] = ()
    closed_s: int = 0  # everything before is closed
    idle: int = 0  # empty buckets since the last one with facts
    told: dict[str, int] = {}  # fingerprint, severity and releases -> when


class Bucketed(Detector[T], Generic[T, S]):
    """Subclasses say: `kinds`, `state` (its type), `words`, `taken`, `closed`, and `restless` where silence matters."""

    reads: tuple[type, ...] = (Fact,)
    order: Order = "bucketed"
    state: ClassVar[Any]
    marks_max: ClassVar[int] = MARKS_MAX  # of one bucket
    gathered: ClassVar[bool] = True

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "state" in cls.__dict__:
            cls.memory = Held[cls.state]  # type: ignore[name-defined]

    # -- what a detector says ------------------------------------------------------------------------------------------

    def words(self, fact: Fact) -> Words | None:
        """Whose memory: shared with every detector that says the same. The agent in its environment, unless told."""
        return ("agent", fact.subject[0], environment_of(fact))

    def taken(self, fact: Fact) -> Mapping[str, int]:
        """What of the fact is summed, under which names."""
        return fact.sums

    def span_s(self, words: Words) -> int:
        return self.given.bucket_s

    def stale_s(self, words: Words) -> float:
        """How far behind what is closed a fact still counts. Who counts a window leaves out what has left it."""
        return math.inf

    def closed(self, state: S, bucket: Bucket, words: Words) -> tuple[S, tuple[Finding, ...]]:
        """One closed bucket. Findings are wanted whenever the condition holds; repeats are dropped here."""
        raise NotImplementedError

    def restless(self, state: S) -> bool:
        """Whether an empty bucket means something too."""
        return False

    # -- the frame -----------------------------------------------------------------------------------------------------

    def key(self, record: Any) -> str | None:
        if self.kinds and record.kind not in self.kinds:
            return None
        words = self.words(record)
        return None if words is None else shelf_of(words)

    def step(self, memory: Held[S] | None, record: Fact | Tick) -> Step[Held[S]]:
        if isinstance(record, Fact):
            words = self.words(record)
            if words is None:
                return Step(memory)
            held = self._added(memory or Held(words, self.state()), record)
            if not held.open and memory is None:
                return Step(None)
            return Step(held, (), self._wake(held))
        if memory is None:
            return Step(None)
        return self._ticked(memory, int(record.at.timestamp()))

    def when(self, bucket: Bucket, words: Words) -> datetime:
        """The end of a bucket: when what it shows is known."""
        return moment(bucket.at_s + self.span_s(words))

    def _added(self, held: Held[S], fact: Fact) -> Held[S]:
        span = self.span_s(held.words)
        begun_s = int(fact.bucket.timestamp()) // span * span
        if held.closed_s - begun_s > self.stale_s(held.words):
            return held
        at_s = max(begun_s, held.closed_s)
        opened = list(held.open)
        place = next((n for n, one in enumerate(opened) if one.at_s == at_s), None)
        known = Bucket(at_s) if place is None else opened[place]
        taken = self.taken(fact)
        sums = dict(known.sums)
        for name, value in taken.items():
            named = name if name in sums or fits(sums, NAMES_MAX) else OTHER
            sums[named] = bounded(sums.get(named, 0) + value)
        marks = known.marks
        if fact.marks and fits(marks, self.marks_max):
            marks = tuple(dict.fromkeys((*marks, *fact.marks)))
        samples = latest(known.samples + fact.samples) if fact.samples else known.samples
        if not taken and (marks, samples) == (known.marks, known.samples):
            return held
        bucket = Bucket(at_s, sums, marks, samples)
        if place is None:
            opened.append(bucket)
            opened.sort(key=_at)
        else:
            opened[place] = bucket
        return Held(held.words, held.state, _bounded(opened), held.closed_s, held.idle, held.told)

    def _ticked(self, held: Held[S], at_s: int) -> Step[Held[S]]:
        span = self.span_s(held.words)
        limit = at_s // span * span
        closing = [bucket for bucket in held.open if bucket.at_s + span <= at_s]
        if not closing and (limit <= held.closed_s or not held.closed_s):
            return Step(held, (), self._wake(held))
        run = _Run(self, held, closing[0].at_s if closing and not held.closed_s else held.closed_s)
        for bucket in closing:
            run.silence(bucket.at_s)
            run.close(bucket)
        run.silence(limit)
        waiting = held.open[len(closing) :]
        after = Held(held.words, run.state, waiting, max(run.closed_s, limit), run.idle, _latest_told(run.told))
        return Step(after, tuple(run.said), self._wake(after))

    def _wake(self, held: Held[S]) -> datetime | None:
        span = self.span_s(held.words)
        due = [held.open[0].at_s + span] if held.open else []
        if held.closed_s and held.idle < IDLE_MAX and self.restless(held.state):
            due.append(held.closed_s + span)
        return moment(min(due)) if due else None


class _Run(Generic[S]):
    """One tick's buckets, in order, the empty ones among them."""

    def __init__(self, detector: Bucketed[Any, S], held: Held[S], closed_s: int) -> None:
        self.detector, self.words, self.state = detector, held.words, held.state
        self.closed_s, self.idle, self.told = closed_s, held.idle, dict(held.told)
        self.said: list[Finding] = []
        self.span_s = detector.span_s(held.words)

    def close(self, bucket: Bucket) -> None:
        self._step(bucket)
        self.idle = 0

    def silence(self, until_s: int) -> None:
        while self.closed_s < until_s and self.idle < IDLE_MAX and self.detector.restless(self.state):
            self.idle += 1
            self._step(Bucket(self.closed_s))
        self.closed_s = max(self.closed_s, until_s)

    def _step(self, bucket: Bucket) -> None:
        self.state, found = self.detector.closed(self.state, bucket, self.words)
        self.closed_s = bucket.at_s + self.span_s
        for finding in found:
            what = "|".join((finding.fingerprint, finding.severity, *finding.releases))  # another release is news
            if self.closed_s - self.told.get(what, -REPEAT_S) >= REPEAT_S:
                self.told[what] = self.closed_s
                self.said.append(finding)


def fits(names: Collection[str], most: int) -> bool:
    """Whether one more may be remembered beside these."""
    many = len(names)
    return many < FEW or (many < most and sum(map(len, names)) < CHARS_MAX)


def _at(bucket: Bucket) -> int:
    return bucket.at_s


def _bounded(buckets: list[Bucket]) -> tuple[Bucket, ...]:
    """Whatever the times. One partition may be read an hour ahead of another: its buckets become longer, all of them.

    If only the last took what comes beyond, it would look like a burst.
    """
    while len(buckets) > OPEN_MAX:
        at = min(range(len(buckets) - 1), key=lambda n: (_until(buckets, n + 2) - buckets[n].at_s, -n))
        last, extra = buckets[at : at + 2]
        sums = dict(last.sums)
        for name, value in extra.sums.items():
            sums[name] = bounded(sums.get(name, 0) + value)
        marks = tuple(dict.fromkeys(last.marks + extra.marks))[:MARKS_MAX]
        buckets[at : at + 2] = [Bucket(last.at_s, sums, marks, latest(last.samples + extra.samples))]
    return tuple(buckets)


def _until(buckets: list[Bucket], n: int) -> int:
    return buckets[n].at_s if n < len(buckets) else buckets[-1].at_s + 1


def _latest_told(told: dict[str, int]) -> dict[str, int]:
    if len(told) <= TOLD_MAX:
        return told
    return dict(sorted(told.items(), key=lambda one: (one[1], one[0]))[-TOLD_MAX:])
