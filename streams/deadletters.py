"""Dead letters: list them, show one, send one again. Reads without a group, so looking changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from . import topics
from .records import DeadLetter, Position
from .records.deadletters import RESENT_OF, unpack

WAIT_S = 10.0
WINDOW = 500  # how many messages are read at a time, from the newest back


class Found(NamedTuple):
    """A dead letter and where it stands itself: `partition/offset`."""

    position: str
    letter: DeadLetter


class NoSuchLetter(Exception):
    """There is none at that position; the message says what there is."""


class NotResendable(Exception):
    """Why this letter can't be sent again as it is, and what would help."""


async def listed(
    bootstrap: str, *, limit: int = 50, reason: str | None = None, agent: str | None = None
) -> list[Found]:
    """The newest first, at most `limit`, of this reason and agent where given."""

    def wanted(letter: DeadLetter) -> bool:
        return reason in (None, letter.reason) and agent in (None, letter.agent)

    async with _consumer(bootstrap) as consumer:
        tps = _partitions(consumer)
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        found: list[Found] = []
        for tp in tps:
            found += await _newest(consumer, tp, (begins[tp], ends[tp]), limit, wanted)
    found.sort(key=lambda each: (each.letter.at is not None, each.letter.at, each.position), reverse=True)
    return found[:limit]


async def shown(bootstrap: str, position: str) -> Found:
    """The letter at `partition/offset`, or just `offset`. Raises NoSuchLetter."""
    async with _consumer(bootstrap) as consumer:
        return await _at(consumer, position)


async def resend(bootstrap: str, position: str, value: bytes | None = None) -> str:
    """Send it, or its repaired `value`, to the topic it came from, with its key. Answers where it stands now.

    Secrets in the original were replaced when it became a dead letter, and are not sent again.
    """
    found = (await shown(bootstrap, position)).letter
    topic = found.position.source.split("/")[0]
    _check(found, topic, value)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_request_size=topics.INPUT_BYTES_MAX)
    try:
        await producer.start()
        body = found.value if value is None else value
        headers = [(RESENT_OF, str(found.position).encode())]
        sent = await asyncio.wait_for(producer.send_and_wait(topic, body, found.key, headers=headers), WAIT_S)
    finally:
        await producer.stop()
    return f"{sent.topic}/{sent.partition}/{sent.offset}"


def how_to_resend(found: Found) -> str:
    """What a person can do about this letter."""
    if found.letter.reason.startswith("decider:"):
        return "The event itself was used; start a new generation to let the repaired detector see it."
    repaired = f"tocsin deadletters resend {found.position} --value repaired.json"
    if found.letter.truncated:
        return f"It was cut, so only a repaired one can be sent: {repaired}"
    return f"Repaired: {repaired}    As it is: tocsin deadletters resend {found.position}"


def _check(found: DeadLetter, topic: str, value: bytes | None) -> None:
    if found.reason.startswith("decider:"):
        raise NotResendable(f"the event at {found.position} was used by everybody else: a second one would count twice")
    if topic not in (topics.EVENTS.name, topics.DELIVERY.name):
        raise NotResendable(f"{found.position} is not on an input topic")
    if value is None and found.truncated:
        raise NotResendable(f"of its {found.truncated} bytes only the beginning was kept: give the repaired value")


@asynccontextmanager
async def _consumer(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topics.DEADLETTERS.name,
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


def _partitions(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    return sorted(consumer.assignment())  # without a group: all there are


async def _newest(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    bounds: tuple[int, int],
    limit: int,
    wanted: Callable[[DeadLetter], bool],
) -> list[Found]:
    begin, end = bounds
    found: list[Found] = []
    while end > begin and len(found) < limit:
        start = max(begin, end - WINDOW)
        window = await _between(consumer, tp, start, end)
        found = [each for each in window if wanted(each.letter)] + found
        end = start
    return found[-limit:]


async def _between(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int) -> list[Found]:
    """Everything from `start` to before `end`."""
    consumer.seek(tp, start)
    found: list[Found] = []
    async with asyncio.timeout(WAIT_S):
        while await consumer.position(tp) < end:
            messages = (await consumer.getmany(tp, timeout_ms=200)).get(tp, [])
            found += [_read(message) for message in messages if message.offset < end]
    return found


def _read(message: Any) -> Found:
    position = f"{message.partition}/{message.offset}"
    try:
        return Found(position, unpack(message.value, message.headers))
    except (KeyError, ValueError, msgspec.MsgspecError) as error:  # not written by Tocsin
        here = Position(f"{message.topic}/0/{message.partition}", message.offset)
        errors = (f": is not a dead letter of Tocsin's: {error}",)
        return Found(position, DeadLetter(reason="foreign", errors=errors, position=here, value=message.value))


async def _at(consumer: AIOKafkaConsumer, position: str) -> Found:
    tps = {tp.partition: tp for tp in _partitions(consumer)}
    partition, _, offset = position.rpartition("/")
    number = partition.rpartition("/")[2] or "0"
    if not (number.isdecimal() and offset.isdecimal() and int(number) in tps):
        raise NoSuchLetter(f"{position!r} is not the position of a dead letter; it looks like 0/17")
    tp, at = tps[int(number)], int(offset)
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    if not begin <= at < end:
        raise NoSuchLetter(
            f"there is no dead letter at {number}/{at}; there are {number}/{begin} to {number}/{end - 1}"
        )
    letters = await _between(consumer, tp, at, at + 1)
    if not letters:
        raise NoSuchLetter(f"there is no dead letter at {number}/{at}")
    return letters[0]
