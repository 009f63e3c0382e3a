"""The settle loop of learn: what people decided, asked and granted becomes rows, all or nothing, by one writer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
import psycopg

from ..database import Connection
from ..intake.secrets import bytes_without_secrets, without_secrets
from ..records import DeadLetter, Decided, Incident, Outcome, Position
from ..records.deadletters import pack
from ..respond.book_rows import due, wake
from ..respond.inputs import UNSTORABLE
from ..respond.shelf import Address, Shelf
from ..settle import TURN, Saying, advance, positions, publish_all

log = logging.getLogger(__name__)

READER = "learning"
INPUTS_MAX = 200
WHY_MAX = 1000
UNSTORABLE_ERRORS = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, OverflowError)  # or too long for an index

Write = Callable[[Connection, Sequence[Any]], Awaitable[None]]


class Learners(Protocol):
    """The deciders, their fold and what they read, as the worker hands them in."""

    @property
    def deciders(self) -> Sequence[Any]: ...

    @property
    def told(self) -> Any:
        """The union of the records that the inbox holds."""
        ...

    def fold(self, memories: Mapping[Address, Any], inputs: Sequence[Any]) -> Any | set[Address]:
        """Folded (memories, said, wakes, isolated), or the addresses of memories that are missing."""
        ...

    def woken(self, decider: str, key: str, at: datetime) -> Any: ...


class Input(NamedTuple):
    record: Any  # None: it cannot be read
    number: int | None = None  # in the inbox
    wake: Address | None = None
    raw: bytes = b""
    why: str = ""  # it cannot be read, or written down
    reason: str = "undecodable"


def nothing(_step: str) -> None:
    pass


class Settling:
    """`turn` settles what waits. Each kind of record that deciders say is written by its writer, in their order."""

    def __init__(
        self,
        learners: Learners,
        writers: Mapping[type, Write],
        deadletters: str,
        *,
        reached: Callable[[str], None] = nothing,
    ) -> None:
        self._learners, self._writers, self._letters = learners, writers, deadletters
        self._reached = reached
        self._shelf = Shelf(learners.deciders)
        self._names = [decider.name for decider in learners.deciders]
        self._told: msgspec.json.Decoder[Any] = msgspec.json.Decoder(learners.told)

    async def turn(self, conn: Connection) -> int:
        """How many inputs were settled. Raises NotTheWriter when somebody else has settled meanwhile."""
        now = datetime.now(UTC)
        inputs = [self._read(number, raw) for number, raw in await _inbox(conn)]
        woken = await due(conn, self._names, now, INPUTS_MAX - len(inputs))
        inputs += [Input(self._learners.woken(*address, now), wake=address) for address in woken]
        if inputs:
            await self._settle(conn, inputs)
        return len(inputs)

    def _read(self, number: int, raw: str) -> Input:
        try:
            return Input(self._told.decode(raw), number, raw=raw.encode())
        except msgspec.DecodeError as error:
            return Input(None, number, raw=raw.encode(), why=f"{type(error).__name__}: {error}")

    async def _settle(self, conn: Connection, inputs: list[Input]) -> None:
        try:
            await self._transaction(conn, inputs)
        except UNSTORABLE_ERRORS as error:
            if len(inputs) == 1:
                why = f"{type(error).__name__}: {error}"
                await self._transaction(conn, [inputs[0]._replace(record=None, why=why, reason=UNSTORABLE)])
                return
            for one in inputs:  # whichever it is, the others go on
                await self._settle(conn, [one])

    async def _transaction(self, conn: Connection, inputs: list[Input]) -> None:
        turn = (await positions(conn, READER)).get(TURN, 0)
        self._reached("learning:begun")
        async with conn.transaction():
            await advance(conn, READER, {TURN: (turn, turn + 1)})
            inputs = [one._replace(record=await _whole(conn, one.record)) for one in inputs]
            folded = await self._fold(conn, [one.record for one in inputs if one.record is not None])
            await self._shelf.write(conn, folded.memories)
            await self._write(conn, folded.said)
            await self._bury(conn, inputs, folded)
            await conn.execute("DELETE FROM learn_inbox WHERE id = ANY(%s)", [[one.number for one in inputs]])
            slept = {one.wake: None for one in inputs if one.wake is not None}
            await wake(conn, {**slept, **folded.wakes})
            self._reached("learning:written")
        self._reached("learning:committed")
        self._shelf.keep(folded.memories)

    async def _fold(self, conn: Connection, records: list[Any]) -> Any:
        folded = self._learners.fold(self._shelf.kept, records)
        while isinstance(folded, set):
            await self._shelf.load(conn, folded)
            folded = self._learners.fold(self._shelf.kept, records)
        return folded

    async def _write(self, conn: Connection, said: Sequence[Any]) -> None:
        for kind, write in self._writers.items():
            if records := [one for one in said if type(one) is kind]:
                await write(conn, records)

    async def _bury(self, conn: Connection, inputs: Iterable[Input], folded: Any) -> None:
        letters = [_letter(one, one.reason, one.why) for one in inputs if one.why]
        by_record = {id(one.record): one for one in inputs}
        for isolated in folded.isolated:
            log.error("decider %s could not digest an input: %s", isolated.decider, isolated.why)
            letters.append(_letter(by_record[id(isolated.record)], f"decider:{isolated.decider}", isolated.why))
        await publish_all(conn, [_saying(self._letters, letter) for letter in letters])


async def settle_for_ever(settling: Settling, conn: Connection, hint: Any, progress: Callable[[], None]) -> None:
    """Until cancelled; at once when something was written, otherwise each second."""
    while True:
        settled = await settling.turn(conn)
        progress()
        if settled < INPUTS_MAX:
            await hint.wait(1.0)
        await asyncio.sleep(0)


async def _inbox(conn: Connection) -> list[tuple[int, str]]:
    cursor = await conn.execute("SELECT id, record::text FROM learn_inbox ORDER BY id LIMIT %s", [INPUTS_MAX])
    return [(int(number), str(raw)) for number, raw in await cursor.fetchall()]


async def _whole(conn: Connection, record: Any) -> Any:
    """An outcome comes together with its incident; one of an incident that nobody knows says nothing to learn from."""
    if not isinstance(record, Outcome):
        return record
    row = await (await conn.execute("SELECT body::text FROM incidents WHERE id = %s", [record.incident])).fetchone()
    return Decided(record, msgspec.json.decode(row[0], type=Incident)) if row else None


def _letter(one: Input, reason: str, why: str) -> DeadLetter:
    place = Position("learn_inbox/0/0", one.number or 0)
    return DeadLetter(reason, (without_secrets(f": {why}", [])[:WHY_MAX],), place, bytes_without_secrets(one.raw, []))


def _saying(topic: str, letter: DeadLetter) -> Saying:
    key, value, headers = pack(letter)
    return Saying(topic, key.decode(), value, tuple(headers))
