"""`tocsin replay`: what the pipeline would have found, opened, told and decided, from a file and without a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from .detect.fold import Isolated
from .detect.shelf import moment
from .intake.cloudevents import EARLIEST
from .intake.reasons import Rejection
from .policy import Policy
from .prices import Prices
from .records import (
    Acknowledgement,
    DeadLetter,
    DeliveryEvent,
    Event,
    Exposure,
    Finding,
    Incident,
    Outcome,
    Position,
    Silence,
)
from .records.timeline import encode
from .replaying.book import Book
from .replaying.comparison import Side
from .replaying.detection import Detection
from .replaying.gates import Gates
from .replaying.reading import SOURCE, Reading, rules_of, trusted
from .replaying.summary import Summary
from .replaying.tally import Counted
from .respond import book

UNPLACED_MAX = 10_000  # refused lines before the first event wait for its time


def run(
    lines: Iterable[bytes], policy: Policy, until: datetime | None = None, prices: Prices | None = None
) -> Iterator[Any]:
    """Every record the file comes to, as it comes; incidents in their final state and a summary at the end.

    The clock is the newest event's time less the allowed lateness. It ends with the last event, or at `until`.
    """
    replay = Replay(policy, prices)
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if stripped:
            yield from replay.line(stripped, number)
    yield from replay.end(until)


def compare(
    lines: Iterable[bytes],
    now: Policy,
    candidate: Policy,
    until: datetime | None = None,
    prices: Prices | None = None,
) -> Iterator[tuple[Side, Any]]:
    """The same over one reading of the lines for two policies, each record with the side it is from."""
    replays: dict[Side, Replay] = {"now": Replay(now, prices), "candidate": Replay(candidate, prices)}
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        for side, replay in replays.items():
            for record in replay.line(stripped, number) if stripped else ():
                yield side, record
    for side, replay in replays.items():
        for record in replay.end(until):
            yield side, record


class Replay:
    """One pass over one file. Memory depends on what is open, not on how long the file is."""

    def __init__(self, policy: Policy, prices: Prices | None = None) -> None:
        self.lateness_s = policy.time.lateness_s
        self.reading = Reading(rules_of(policy.sources), prices=prices)
        self.detection = Detection(policy)
        self.book = Book(policy)
        self.gates = Gates(policy)
        self.summary = Summary(policy=policy.digest)
        self._newest: datetime | None = None  # of the events
        self._clock: datetime | None = None
        self._wall: datetime | None = None  # the newest time of all, deliveries and decisions included
        self._unplaced: list[tuple[Rejection, bytes, int]] = []

    def line(self, line: bytes, number: int) -> Iterator[Any]:
        self.summary.lines += 1
        read = self.reading.read(line, number)
        if isinstance(read, Rejection):
            yield from self._refused(read, line, number)
        elif isinstance(read, Outcome | Acknowledgement | Silence):
            yield from self._decided(read)
        elif isinstance(read, DeliveryEvent):
            self.gates.delivery(read)
            yield from self._to(read.time)
        else:
            yield from self._event(read)

    def end(self, until: datetime | None) -> Iterator[Any]:
        """Time goes on to the last event, or to `until`; then what is left."""
        yield from self._placed()
        last = max((at for at in (self._newest, until) if at is not None), default=None)
        if last is not None:
            self._clock = last
            yield from self._to(last)
        for decision in self.gates.final(self._wall or EARLIEST, self._clock):
            yield self._noted(decision)
        for incident in self.book.incidents.values():
            yield self._noted(incident)
        self.summary.last = last
        self.summary.echoes = self.detection.echoes
        self.summary.redacted = len(self.reading.redacted)
        yield self.summary

    def _event(self, event: Any) -> Iterator[Any]:
        self.summary.events += 1
        self.summary.first = min(self.summary.first or event.time, event.time)
        if trusted(event):
            self._newest = max(self._newest or event.time, event.time)
            self._clock = moment(self._newest.timestamp() - self.lateness_s)
        yield from self._placed()
        yield from self._told(self.detection.event(event))
        yield from self._to(self._newest or event.time)

    def _decided(self, said: Outcome | Acknowledgement | Silence) -> Iterator[Any]:
        yield from self._owed(self.book.wake(said.at))
        if isinstance(said, Outcome):
            self.summary.outcomes += 1
            yield said
        yield from self._owed(self.book.take(said))
        yield from self._to(said.at)

    def _refused(self, rejection: Rejection, line: bytes, number: int) -> Iterator[Any]:
        if self._newest is None and len(self._unplaced) < UNPLACED_MAX:
            self._unplaced.append((rejection, line, number))
            return
        refused = self.reading.refusal(rejection, line, number, self._newest)
        yield self._noted(refused.letter)
        yield from self._told(self.detection.event(refused.event))

    def _placed(self) -> Iterator[Any]:
        """The lines that were refused before there was a time."""
        waiting, self._unplaced = self._unplaced, []
        for rejection, line, number in waiting:
            refused = self.reading.refusal(rejection, line, number, self._newest)
            yield self._noted(refused.letter)
            yield from self._told(self.detection.event(refused.event))

    def _to(self, wall: datetime) -> Iterator[Any]:
        """Ticks until the clock, what the book waits for until `wall`, and what gates make of it all."""
        self._wall = max(self._wall or wall, wall)
        if self._clock is not None:
            yield from self._told(self.detection.tick(self._clock.timestamp()))
        yield from self._owed(self.book.wake(self._wall))
        for decision in self.gates.decisions(self._wall, self._clock):
            yield self._noted(decision)

    def _told(self, said: Iterable[Any]) -> Iterator[Any]:
        for saying in said:
            if isinstance(saying, Counted):
                self.summary.add(saying.name, saying.amount)
                continue
            yield self._noted(saying)
            if isinstance(saying, Finding):
                yield from self._owed(self.book.sighted(saying))
            elif isinstance(saying, Exposure):
                self.gates.exposure(saying)
                yield from self._owed(self.book.exposure(saying))
        for isolated in self.detection.isolated():
            yield self._noted(_letter(isolated))

    def _owed(self, said: Iterable[Any]) -> Iterator[Any]:
        """Incidents change often: gates see every state, people the last one."""
        for saying in said:
            if isinstance(saying, Incident):
                self.gates.incident(saying)
            else:
                yield self._noted(saying)
        for isolated in self.book.isolated:
            yield self._noted(_letter(isolated))
        self.book.isolated.clear()

    def _noted(self, record: Any) -> Any:
        self.summary.note(record)
        return record


def _letter(isolated: Isolated | book.Isolated) -> DeadLetter:
    """What a decider could not digest. The others went on."""
    record = isolated.record
    position = record.position if isinstance(record, Event) else None
    return DeadLetter(
        reason=f"decider:{isolated.decider}",
        errors=(f": {isolated.why}"[:1000],),
        position=position or Position(SOURCE, 0),
        value=encode(record),
        at=record.at,
    )
