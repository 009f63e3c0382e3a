"""Exposure and deliveries, counted once: the position moves in the same transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec
import psycopg

from ..database import Connection
from ..records import DeadLetter, DeliveryEvent, Exposure
from ..records.deadletters import appended, pack
from ..settle import Read, Saying, advance, publish_all
from . import delivering
from .exposing import Exposing, Look

READER = "learn"

_exposure = msgspec.json.Decoder(Exposure)
_delivery: msgspec.json.Decoder[DeliveryEvent] = msgspec.json.Decoder(DeliveryEvent)


class Names(NamedTuple):
    """What the topics are called in this generation."""

    exposure: str
    deadletters: str
    generation: int = 1


class Decides(NamedTuple):
    """What decides: handed in."""

    merged: delivering.Merge
    appended: Callable[[datetime, datetime | None], datetime]
    looked: Look | None = None
    sampled: Callable[[Connection, Exposure], Awaitable[None]] | None = None


class Counting:
    """Applies batches of both topics. What cannot be used becomes the dead letter that `bury` makes of it."""

    def __init__(self, names: Names, bury: Callable[[Read, str, str], DeadLetter], rules: Decides) -> None:
        self._names, self._bury, self._rules = names, bury, rules
        self._exposing = Exposing(names.generation, rules.looked)
        self.buried = 0

    async def apply(self, conn: Connection, batch: Iterable[Read], positions: dict[str, int]) -> dict[str, int]:
        """One transaction; answers the new positions. Raises NotTheWriter when somebody else has moved them."""
        reads = list(batch)
        moved: dict[str, tuple[int, int]] = {}
        for read in reads:
            old = moved.get(read.part, (positions.get(read.part, 0), 0))[0]
            moved[read.part] = (old, read.offset + 1)
        letters = []
        async with conn.transaction():
            await advance(conn, READER, moved)
            for read in reads:
                letter = await self._one(conn, read)
                letters += [letter] if letter else []
            await publish_all(conn, [_saying(self._names.deadletters, letter) for letter in letters])
        self.buried += len(letters)
        return {**positions, **{part: new for part, (_, new) in moved.items()}}

    async def _one(self, conn: Connection, read: Read) -> DeadLetter | None:
        try:
            record = self._record(read)
        except (msgspec.DecodeError, ValueError) as error:
            return self._bury(read, "undecodable", str(error))
        try:
            async with conn.transaction():  # a value that PostgreSQL refuses must not take the others with it
                await self._written(conn, read, record)
        except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:  # or too long for an index
            return self._bury(read, "unstorable", type(error).__name__)
        return None

    async def _written(self, conn: Connection, read: Read, record: Exposure | DeliveryEvent) -> None:
        if isinstance(record, Exposure):
            await self._exposing.write(conn, record)
            return
        logged_at = appended(read.timestamp_ms) if read.timestamp_ms > 0 else None
        await delivering.write(conn, record, self._rules.appended(record.time, logged_at), self._rules.merged)

    def _record(self, read: Read) -> Exposure | DeliveryEvent:
        if read.part.rpartition("/")[0] == self._names.exposure:
            return _exposure.decode(read.value or b"")
        return _delivery.decode(read.value or b"")


def _saying(topic: str, letter: DeadLetter) -> Saying:
    key, value, headers = pack(letter)
    return Saying(topic, key.decode(), value, tuple(headers))
