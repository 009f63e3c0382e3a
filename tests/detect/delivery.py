"""How a story is delivered: in order, late, twice, again. The timeline as intake writes it, facts as sessions say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from streams.detect import facts as wire
from streams.detect.facts import BUCKET_S
from streams.detect.ports import Message
from streams.detect.sessions import TIMELINE
from streams.detect.shelf import moment
from streams.intake.batches import Batcher
from streams.intake.cloudevents import Reader
from streams.intake.redact import Redactor
from streams.intake.watermarks import Progress
from streams.records import ClockForwarded, Fact, Facts, Position
from streams.records.timeline import encode, pack_watermarks, partition_of

PARTITIONS = 3
LATENESS_S, IDLE_S = 30.0, 60.0
RETRY_S = 15.0  # how long an agent waits before it sends something again
SHORT_S = 0.2  # on the way to Kafka
QUIET_S = 600.0  # between two ticks while nothing arrives
END_S = 7200.0  # after the last event


class Way(NamedTuple):
    """How a story is delivered: `twice` by agents under a new position, `again` by intake under the same."""

    seed: int = 1
    disorder_s: float = 0.0
    twice: float = 0.0
    again: float = 0.0
    crashes: float = 0.0


IN_ORDER = Way()


class Sent(NamedTuple):
    """A Kafka record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes


class Line(NamedTuple):
    """An event on its way. `recorded` is Kafka's clock: the same for the same event, whenever it is delivered here."""

    at: datetime  # when it comes
    root: str
    value: bytes
    recorded: datetime


def line(event: Any) -> Line:
    recorded = event.recordedtime or event.time + timedelta(seconds=SHORT_S)
    event.position = event.recordedtime = None
    known = abs((recorded - event.time).total_seconds()) < LATENESS_S  # otherwise its clock is off
    return Line(event.time if known else recorded, event.data.ctx.root, encode(event), recorded)


# -- intake -----------------------------------------------------------------------------------------------------------


class Intake:
    """The timeline as intake writes it: a poll and a tick each second in which something arrives."""

    def __init__(self, way: Way) -> None:
        self.chance = Random(way.seed)
        self.way = way
        self.batcher = Batcher(Reader(), Redactor(), PARTITIONS)
        self.progress = Progress("intake-0", LATENESS_S, IDLE_S)
        self.sources: dict[str, list[Sent]] = {f"agent.events/1/{n}": [] for n in range(PARTITIONS)}
        self.progress.own(self.sources, 0.0)
        self.messages: list[Message] = []
        self.rejected: Counter[str] = Counter()
        self._offsets = [0] * PARTITIONS

    def take(self, lines: Sequence[Line]) -> list[Message]:
        arrivals = sorted(self._arrivals(lines), key=lambda one: one[0])
        first, second = arrivals[0][0], -1
        polled: list[Line] = []
        for at, one in arrivals:
            now = int((at - first).total_seconds())
            if now != second and polled and (now > second + 5 or self.chance.random() >= self.way.again):
                self._poll(polled, second)
                self._ticks(first, second, now)
                polled = []
            second = now
            polled.append(one)
        self._poll(polled, second)
        self._ticks(first, second, second + END_S)
        return self.messages

    def _arrivals(self, lines: Iterable[Line]) -> Iterator[tuple[datetime, Line]]:
        for one in lines:
            at = one.at + timedelta(seconds=self.chance.uniform(0, self.way.disorder_s) if self.way.disorder_s else 0)
            yield at, one
            if self.chance.random() < self.way.twice:
                yield at + timedelta(seconds=self.chance.uniform(0.1, RETRY_S)), one

    def _poll(self, lines: list[Line], second: float) -> None:
        polled: dict[str, list[Sent]] = {}
        for one in lines:
            source = f"agent.events/1/{partition_of(one.root, PARTITIONS)}"
            log = self.sources[source]
            log.append(Sent(len(log), round(one.recorded.timestamp() * 1000), None, one.value))
            polled.setdefault(source, []).append(log[-1])
        self._take(polled, second)
        if self.chance.random() < self.way.again:  # not committed: the last ones once more, with other boundaries
            self._take({source: sent[self.chance.randrange(len(sent)) :] for source, sent in polled.items()}, second)

    def _take(self, polled: dict[str, list[Sent]], second: float) -> None:
        for source, sent in polled.items():
            self.batcher.take(source, sent)
        taken = self.batcher.done()
        self.rejected += taken.rejected
        for batch in taken.batches:
            self._say(batch.partition, batch.value, batch.headers)
        self.progress.heard(taken.newest, second)

    def _ticks(self, first: datetime, after: float, until: float) -> None:
        now = after
        while now < until:
            self.progress.ends(dict.fromkeys(self.sources, True))
            told = self.progress.watermarks(first + timedelta(seconds=now), now, {"agent.events/1": len(self.sources)})
            assert told is not None
            for partition in range(PARTITIONS):
                self._say(partition, *pack_watermarks(told))
            now = now + 30.0 if now < after + 120 else min(now + QUIET_S, max(until - 1, now + 1))

    def _say(self, partition: int, value: bytes, headers: Any) -> None:
        self.messages.append(Message(partition, self._offsets[partition], None, value, tuple(headers), 0))
        self._offsets[partition] += 1


# -- facts, as if sessions had said them ------------------------------------------------------------------------------


def told(facts: Sequence[Fact], way: Way) -> list[Message]:
    """The topic of facts: those of a second and a timeline partition in one record, then the clock of each partition."""
    chance = Random(way.seed)
    seconds: dict[int, list[tuple[int, Fact]]] = {}
    for n, fact in enumerate(facts):
        at = fact.bucket.timestamp() + n % BUCKET_S + (chance.uniform(0, way.disorder_s) if way.disorder_s else 0)
        seconds.setdefault(int(at), []).append((n % PARTITIONS, fact))
    lines: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    log = _Log()
    for offset, second in enumerate(sorted(seconds)):
        for source in range(PARTITIONS):
            _record(lines, Position(f"{TIMELINE}/{source}", offset), [one for n, one in seconds[second] if n == source])
        if chance.random() < way.again:
            lines = [some + some[-4:] for some in lines]
        _clock(lines, second - LATENESS_S)
        log.flush(lines)
    _clock(lines, max(seconds) + END_S)
    log.flush(lines)
    return log.messages


class _Log:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._offsets = [0] * PARTITIONS

    def flush(self, lines: list[list[bytes]]) -> None:
        for partition, some in enumerate(lines):
            self.messages.append(Message(partition, self._offsets[partition], None, b"\n".join(some), (), 0))
            self._offsets[partition] += 1
            some.clear()


def _record(lines: list[list[bytes]], position: Position, facts: list[Fact]) -> None:
    of: dict[int, list[Fact]] = {}
    for fact in wire.aggregate(facts):
        of.setdefault(partition_of(fact.subject[0], PARTITIONS), []).append(fact)
    for partition, some in of.items():
        lines[partition].append(wire.pack(Facts(position, tuple(some))))


def _clock(lines: list[list[bytes]], at_s: float) -> None:
    for some in lines:
        some += [wire.pack(ClockForwarded(f"{TIMELINE}/{n}", PARTITIONS, moment(at_s))) for n in range(PARTITIONS)]
