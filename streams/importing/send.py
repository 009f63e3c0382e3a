"""Puts events on the input topic, keyed by root session so that a session stays in one partition and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from msgspec import Struct

from ..records.timeline import encode
from ..topics import EVENTS, INPUT_BYTES_MAX

WINDOW = 500  # unanswered sends at a time: the broker's pace is ours
HEADERS = [("content-type", b"application/cloudevents+json")]


class _Ctx(Struct):
    session_id: str
    root_session_id: str | None = None


class _Data(Struct):
    ctx: _Ctx


class _Line(Struct):
    data: _Data


_line = msgspec.json.Decoder(_Line)


def keyed(event: Any) -> tuple[bytes, bytes]:
    """Key and value of one event."""
    return str(event.data.ctx.root).encode(), encode(event)


def keyed_line(line: bytes) -> tuple[bytes | None, bytes]:
    """Key and value of one NDJSON line, sent as it is: what is wrong with it is intake's to say."""
    try:
        ctx = _line.decode(line).data.ctx
    except msgspec.DecodeError:
        return None, line
    return (ctx.root_session_id or ctx.session_id).encode(), line


async def send(
    bootstrap: str,
    messages: Iterable[tuple[bytes | None, bytes]],
    progress: Callable[[int], None] | None = None,
    topic: str = EVENTS.name,
) -> int:
    """Sends everything in order and answers how many the broker confirmed. Raises what the broker refuses."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        compression_type="zstd",
        max_request_size=INPUT_BYTES_MAX,
    )
    try:
        await producer.start()
        return await _all(producer, topic, messages, progress)
    finally:
        await producer.stop()


async def _all(
    producer: AIOKafkaProducer,
    topic: str,
    messages: Iterable[tuple[bytes | None, bytes]],
    progress: Callable[[int], None] | None,
) -> int:
    sent, waiting = 0, []
    for key, value in messages:
        waiting.append(await producer.send(topic, value, key=key, headers=HEADERS))
        if len(waiting) >= WINDOW:
            sent += await _confirmed(waiting, progress, sent)
            waiting = []
    return sent + await _confirmed(waiting, progress, sent)


async def _confirmed(waiting: list[Any], progress: Callable[[int], None] | None, before: int) -> int:
    await asyncio.gather(*waiting)
    if progress is not None:
        progress(before + len(waiting))
    return len(waiting)
