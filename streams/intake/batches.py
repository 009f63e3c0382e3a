"""Many messages in, few out: events grouped by timeline partition, with their positions. The hot loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

import msgspec

from ..prices import Prices
from ..records import DeadLetter, LlmCalled
from ..records.deadletters import appended
from ..records.timeline import Headers, Origins, encode, pack_origins
from .cloudevents import AHEAD_TRUSTED, EARLIEST, EVENT_BYTES_MAX, Reader, decoder
from .reasons import Rejection
from .redact import PLANS, Redactor
from .refusals import Message, refusal

BATCH_EVENTS_MAX = 100
BATCH_BYTES_MAX = 256 * 1024
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Batch(NamedTuple):
    """One timeline message."""

    partition: int
    value: bytes
    headers: Headers


class Taken(NamedTuple):
    """What became of the messages of one poll."""

    batches: list[Batch]
    letters: list[DeadLetter]
    newest: dict[str, datetime | None]  # per source; an event too far ahead of Kafka's clock moves nothing
    messages: int
    rejected: Counter[str]
    redacted: Counter[str]


class Batcher:
    """Takes the messages of one poll, source by source; `done` hands out what they became and starts afresh."""

    def __init__(self, reader: Reader, redactor: Redactor, partitions: int, prices: Prices | None = None) -> None:
        self._reader = reader
        self._prices = prices
        self._redactor = redactor
        self._partitions = partitions
        self._reset()

    def _reset(self) -> None:
        # Per partition, side by side: the lines, which source each came from, and its offset there.
        self._lines: list[list[bytes]] = [[] for _ in range(self._partitions)]
        self._of: list[list[int]] = [[] for _ in range(self._partitions)]
        self._offsets: list[list[int]] = [[] for _ in range(self._partitions)]
        self._sources: list[str] = []
        self._letters: list[DeadLetter] = []
        self._newest: dict[str, datetime | None] = {}
        self._taken = 0
        self._rejected: Counter[str] = Counter()
        self._found: list[str] = []

    def take(self, source: str, messages: Sequence[Message]) -> None:
        """Read, redact and group. Answers nothing: whatever the bytes are, something becomes of them."""
        # Local names: this loop runs for every event there is.
        decode, dump, crc, plans, partitions = decoder.decode, encode, crc32, PLANS, self._partitions
        redact, found, lines, offsets = self._redactor.event, self._found, self._lines, self._offsets
        rules, allowed, slowly = self._reader.rules, self._reader.allowed, self._slowly
        price = self._prices.event if self._prices else None
        newest, trusted, stamp, arrived = EARLIEST, _trusted_until(messages), -1, EARLIEST
        for message in messages:
            value = message.value
            if value is None or len(value) > EVENT_BYTES_MAX:
                slowly(source, message)
                continue
            try:
                event = decode(value)
            except _UNREADABLE:
                slowly(source, message)
                continue
            time = event.time
            data = event.data
            ctx = data.ctx
            if time > trusted or time < EARLIEST or (rules and not allowed(event.source, ctx.agent.id)):
                slowly(source, message)
                continue
            if time > newest:  # noqa: PLR1730 - max() costs a call per event
                newest = time
            if price is not None and type(event) is LlmCalled and event.data.cost is None:
                price(event)
            plan = plans[type(event)]
            if plan.get is not None and plan.get(data) != plan.nothing:
                event = redact(event, found)
            if message.timestamp != stamp:  # messages that were appended together have one stamp
                stamp = message.timestamp
                arrived = appended(stamp)
            event.position, event.recordedtime = None, arrived
            partition = crc((ctx.root_session_id or ctx.session_id).encode()) % partitions
            lines[partition].append(dump(event))
            offsets[partition].append(message.offset)
        self._taken += len(messages)
        self._moved(source, newest)
        self._came_from(source)

    def _came_from(self, source: str) -> None:
        """Everything not yet attributed."""
        self._sources.append(source)
        for of, offsets in zip(self._of, self._offsets, strict=True):
            of.extend([len(self._sources) - 1] * (len(offsets) - len(of)))

    def _slowly(self, source: str, message: Message) -> None:
        """One message on its own: refused, or with a time that needs its own look at Kafka's clock."""
        appended_at = appended(message.timestamp)
        event = self._reader.read(message.value, appended_at)
        if isinstance(event, Rejection):
            letter, said = refusal(event, message, source, self._redactor, self._found)
            self._letters.append(letter)
            self._rejected[letter.reason] += 1
            self._put(said.data.ctx.root, encode(said), message.offset)
            return
        event.recordedtime = appended_at
        if self._prices and isinstance(event, LlmCalled) and event.data.cost is None:
            self._prices.event(event)
        if event.time - appended_at <= AHEAD_TRUSTED:
            self._moved(source, event.time)
        self._put(event.data.ctx.root, encode(self._redactor.event(event, self._found)), message.offset)

    def _put(self, root: str, line: bytes, offset: int) -> None:
        partition = crc32(root.encode()) % self._partitions
        self._lines[partition].append(line)
        self._offsets[partition].append(offset)

    def _moved(self, source: str, to: datetime) -> None:
        """Further, or not at all."""
        known = self._newest.get(source)
        if to > EARLIEST and (known is None or to > known):
            self._newest[source] = to
        else:
            self._newest.setdefault(source, known)

    def done(self) -> Taken:
        sources = tuple(self._sources)
        batches = [
            Batch(
                n, *pack_origins(lines[part], Origins(sources, tuple(self._of[n][part]), tuple(self._offsets[n][part])))
            )
            for n, lines in enumerate(self._lines)
            for part in _parts(lines)
        ]
        taken = Taken(batches, self._letters, self._newest, self._taken, self._rejected, Counter(self._found))
        self._reset()
        return taken


def _trusted_until(messages: Sequence[Message]) -> datetime:
    """A time that is fine for all these messages; a later one is looked at on its own."""
    first = min((message.timestamp for message in messages), default=0)
    return appended(first) + AHEAD_TRUSTED if first > 0 else EARLIEST


def _parts(lines: list[bytes]) -> Iterable[slice]:
    """At most 100 events or 256 KiB each; a single event is never divided."""
    for start in range(0, len(lines), BATCH_EVENTS_MAX):
        part = lines[start : start + BATCH_EVENTS_MAX]
        if sum(map(len, part)) + len(part) <= BATCH_BYTES_MAX:
            yield slice(start, start + len(part))
        else:
            yield from _smaller(part, start)


def _smaller(lines: list[bytes], start: int) -> Iterable[slice]:
    begun, size = start, 0
    for at, line in enumerate(lines, start):
        size += len(line) + 1
        if size > BATCH_BYTES_MAX and at > begun:
            yield slice(begun, at)
            begun, size = at, len(line) + 1
    yield slice(begun, start + len(lines))
