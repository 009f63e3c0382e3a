"""What both stages of detect are, pure: messages of a topic in, what is said and what is remembered out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..records import (
    DeadLetter,
    Event,
    Fact,
    Finding,
    Position,
    Tick,
    deadletters,
)
from ..records.timeline import encode
from .fold import Fold, Isolated, Recall
from .ports import Counts, Folded, Items, Measured, Message, Saying
from .shelf import behind

CLOCK = "\0clock/"
READ = "\0read/"  # up to which offset messages are skipped after a crash
LETTER_BYTES_MAX = 512 * 1024
LETTER_HEAD = 64 * 1024
ISOLATED_SHARE_MAX = 0.01
ISOLATED_OF_MIN = 1000


class TooManyIsolated(Exception):
    """More than one record in a hundred made a decider raise: our bug, not the data's."""


class Folding:
    """What both stages share: clocks in shelves of their own, dead letters, isolation with a limit."""

    topic: str

    def __init__(self, fold: Fold, recall: Recall) -> None:
        self.fold, self.recall = fold, recall
        self.counts = Counts()
        self.clock_s: dict[int, float] = {}  # partition -> event time
        self.measured: list[Measured] = []
        self._clock_writes: dict[int, bytes] = {}
        self._read: dict[int, int] = {}

    def group(self, messages: Iterable[Message]) -> Folded:
        said: list[Saying] = []
        last: dict[int, int] = {}
        for message in messages:
            if message.offset > self._read.get(message.partition, -1):
                last[message.partition] = message.offset
                said += self._one(message)
        writes = self.fold.remembered()
        for partition, value in self._clock_writes.items():
            writes.setdefault(partition, []).append((f"{CLOCK}{partition}", value))
        self._clock_writes = {}
        self.counts.echoes = self.fold.echoes
        return Folded(
            said, {partition: self._forgetting(partition, items, last) for partition, items in writes.items()}
        )

    def _forgetting(self, partition: int, items: Items, last: Mapping[int, int]) -> Items:
        """What is forgotten comes last, after how far the log has been read.

        After a crash messages come again. Shelves know theirs, but a session whose shelf is gone would begin anew, and
        be counted twice, when its last messages come again after event time has gone on by more than an hour.
        """
        gone = [item for item in items if item[1] is None]
        if not gone or partition not in last:
            return items
        self._read[partition] = last[partition]
        kept = [item for item in items if item[1] is not None]
        return [*kept, (f"{READ}{partition}", b"%d" % last[partition]), *gone]

    def check(self) -> None:
        isolated = sum(self.counts.isolated.values())
        if self.counts.records >= ISOLATED_OF_MIN and isolated > ISOLATED_SHARE_MAX * self.counts.records:
            names = ", ".join(f"{name} {count} times" for name, count in self.counts.isolated.items())
            raise TooManyIsolated(f"{names}, of {self.counts.records} records")

    def rebuild(self, stored: Mapping[str, bytes]) -> None:
        self.fold.rebuild((key, value) for key, value in stored.items() if not key.startswith((CLOCK, READ)))
        self._clock_writes = {}
        self.clock_s, self._read = {}, {}
        for key, value in stored.items():
            if key.startswith(READ):
                self._read[int(key.removeprefix(READ))] = int(value)
            elif key.startswith(CLOCK) and (at_s := self._at_s(value)) is not None:
                self.clock_s[int(key.removeprefix(CLOCK))] = at_s

    def stale(self, key: str, value: bytes, other: bytes) -> bool:
        if key.startswith(CLOCK):
            return (self._at_s(value) or 0.0) < (self._at_s(other) or 0.0)
        if key.startswith(READ):
            return int(value) < int(other)
        return behind(value, other)

    def _one(self, message: Message) -> list[Saying]:
        raise NotImplementedError

    def _at_s(self, clock: bytes) -> float | None:
        raise NotImplementedError

    def _clock(self, partition: int) -> bytes | None:
        return self._clock_writes.get(partition) or self.recall(f"{CLOCK}{partition}")

    def _undecodable(self, message: Message, error: Exception) -> Saying:
        self.counts.undecodable += 1
        value = message.value or b""
        cut = len(value) > LETTER_BYTES_MAX
        letter = DeadLetter(
            reason="undecodable",
            errors=(f": {type(error).__name__}: {error}"[:1000],),
            position=Position(f"{self.topic}/{message.partition}", message.offset),
            value=value[:LETTER_HEAD] if cut else message.value,
            key=message.key,
            at=deadletters.appended(message.timestamp_ms),
            truncated=len(value) if cut else 0,
        )
        return _letter(letter)

    def _isolated(self, message: Message) -> list[Saying]:
        """What deciders could not digest, as dead letters; the pipeline goes on without them."""
        found, self.fold.isolated = self.fold.isolated, []
        return [self._isolation(message, isolated) for isolated in found]

    def _isolation(self, message: Message, isolated: Isolated) -> Saying:
        self.counts.isolated[isolated.decider] = self.counts.isolated.get(isolated.decider, 0) + 1
        record = isolated.record
        position = Position(f"{self.topic}/{message.partition}", message.offset)
        letter = DeadLetter(
            reason=f"decider:{isolated.decider}",
            errors=(f": {isolated.why}"[:1000],),
            position=record.position if isinstance(record, Event) and record.position else position,
            value=encode(record),
            at=deadletters.appended(message.timestamp_ms),
            agent=_agent(record),
        )
        return _letter(letter)

    def _finding(self, finding: Finding) -> Saying:
        self.counts.findings[finding.detector] = self.counts.findings.get(finding.detector, 0) + 1
        return Saying("findings", encode(finding), finding.fingerprint.encode())


def _letter(letter: DeadLetter) -> Saying:
    key, value, headers = deadletters.pack(letter)
    return Saying("deadletters", value, key, headers=tuple(headers))


def _agent(record: Any) -> str | None:
    if isinstance(record, Tick):
        return None
    return record.about.agent if isinstance(record, Fact) else record.data.ctx.agent.id
