"""The first stage: sessions over the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ..records import ClockForwarded, Fact, Facts, Position, Watermarks, timeline
from ..records.timeline import partition_of
from . import facts as wire
from .clock import Clock, advance
from .fold import Fold, Recall
from .ports import Folded, Message, Saying
from .shelf import moment
from .stage import Folding

TIMELINE = "tocsin.timeline"  # as positions call it, whatever the generation
VALUE_BYTES_MAX = 256 * 1024
FACTS_MAX = 400  # of one record

_encoder = msgspec.msgpack.Encoder()
_clocks = msgspec.msgpack.Decoder(Clock)


class Sessions(Folding):
    """Folds the timeline: says findings, the facts of each message, and its clock to every facts partition."""

    topic = TIMELINE

    def __init__(self, fold: Fold, recall: Recall, partitions: int, facts_partitions: int) -> None:
        super().__init__(fold, recall)
        self.partitions, self.facts_partitions = partitions, facts_partitions
        self._lines: dict[int, list[bytes]] = {}

    def group(self, messages: Iterable[Message]) -> Folded:
        folded = super().group(messages)
        lines, self._lines = self._lines, {}
        for partition, of_one in lines.items():
            folded.said.extend(Saying("facts", value, partition=partition) for value in _joined(of_one))
        return folded

    def _one(self, message: Message) -> list[Saying]:
        try:
            records = timeline.unpack(message.value or b"", message.headers)
        except Exception as error:  # whatever the bytes do, they must not stop the loop
            return [self._undecodable(message, error)]
        said = self._ticked(message, records) if isinstance(records, Watermarks) else self._events(message, records)
        return said + self._isolated(message)

    def _events(self, message: Message, events: Sequence[Any]) -> list[Saying]:
        self.counts.records += len(events)
        said: list[Any] = []
        for event in events:
            said += self.fold.event(event, message.partition)
        return self._sorted(message, said) if said else []

    def _ticked(self, message: Message, report: Watermarks) -> list[Saying]:
        known = self._clock(message.partition)
        before = _clocks.decode(known) if known else Clock()
        after = advance(before, report)
        if after != before:
            self._clock_writes[message.partition] = _encoder.encode(after)
        if after.at_s is None:
            return []
        said = self._sorted(message, self.fold.tick(message.partition, after.at_s))
        if after.at_s != before.at_s:
            self.clock_s[message.partition] = after.at_s
            source = f"{TIMELINE}/{message.partition}"
            line = wire.pack(ClockForwarded(source, self.partitions, moment(after.at_s)))
            for partition in range(self.facts_partitions):  # after everything said before
                self._lines.setdefault(partition, []).append(line)
        return said

    def _sorted(self, message: Message, said: Iterable[Any]) -> list[Saying]:
        facts: list[Fact] = []
        out: list[Saying] = []
        for saying in said:
            if isinstance(saying, Fact):
                facts.append(saying)
            else:
                out.append(self._finding(saying))
        if facts:
            self._tell(Position(f"{TIMELINE}/{message.partition}", message.offset), facts)
        return out

    def _tell(self, position: Position, facts: list[Fact]) -> None:
        """All facts of one message for one facts partition are one record: its position guards against echoes."""
        of: dict[int, list[Fact]] = {}
        for fact in wire.aggregate(facts):
            of.setdefault(partition_of(fact.subject[0], self.facts_partitions), []).append(fact)
        for partition, some in of.items():
            self.counts.facts += len(some)
            lines = self._lines.setdefault(partition, [])
            lines += [wire.pack(Facts(position, part)) for part in _parts(some)]

    def _at_s(self, clock: bytes) -> float | None:
        return _clocks.decode(clock).at_s


def _parts(facts: list[Fact]) -> list[tuple[Fact, ...]]:
    """When time jumps, thousands of sessions may end in one message: more than one record holds.

    What shares the first word of its subject stays together, for whoever remembers it takes each position once.
    """
    if len(facts) <= FACTS_MAX:
        return [tuple(facts)]
    of: dict[str, list[Fact]] = {}
    for fact in facts:
        of.setdefault(fact.subject[0], []).append(fact)
    parts: list[list[Fact]] = [[]]
    for some in of.values():
        if parts[-1] and len(parts[-1]) + len(some) > FACTS_MAX:
            parts.append([])
        parts[-1] += some
    return [tuple(part) for part in parts]


def _joined(lines: list[bytes]) -> list[bytes]:
    """As few Kafka values as fit."""
    values: list[list[bytes]] = [[]]
    size = 0
    for line in lines:
        if size + len(line) > VALUE_BYTES_MAX and values[-1]:
            values.append([])
            size = 0
        values[-1].append(line)
        size += len(line) + 1
    return [b"\n".join(some) for some in values]
