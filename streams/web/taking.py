"""Events over HTTP, for agents that cannot reach Kafka: each is checked, written to Kafka, and answered for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from litestar import Request, post
from msgspec import Struct

from ..records import AgentEvent
from .answers import Refused
from .described import OF_AGENTS

BODY_BYTES_MAX = 1024 * 1024
EVENT_BYTES_MAX = 128 * 1024
EVENTS_MAX = 5000
WHY_MAX = 300
SEND_S = 10.0
_event: msgspec.json.Decoder[Any] = msgspec.json.Decoder(AgentEvent)


class RefusedLine(Struct, frozen=True):
    line: int  # of the body, from 1
    why: str


class Taken(Struct, frozen=True):
    """`accepted` are in Kafka, acknowledged by all replicas; those refused never will be."""

    accepted: int
    refused: tuple[RefusedLine, ...] = ()


class Read(NamedTuple):
    key: bytes
    value: bytes


class Intake:
    """One producer per process, made when the first event comes."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._bootstrap, self._topic = bootstrap, topic
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(self, events: Sequence[Read]) -> None:
        """All, in their order. Raises KafkaError, TimeoutError."""
        async with asyncio.timeout(SEND_S):
            producer = await self._started()
            sent = [await producer.send(self._topic, one.value, one.key) for one in events]
            await asyncio.gather(*sent)

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap, enable_idempotence=True, max_request_size=2 * EVENT_BYTES_MAX
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer


@post("/v1/events", tags=["events"], request_max_body_size=BODY_BYTES_MAX, **{**OF_AGENTS, "status_code": 200})
async def take(request: Request[Any, Any, Any]) -> Taken:
    """NDJSON, one event a line. Send what was not answered for again: an event's id says that it came twice."""
    intake: Intake | None = request.app.state.taking
    if intake is None:
        raise Refused(404, "Events over HTTP are off: no Kafka is set (TOCSIN_KAFKA).")
    events, refused = read(await request.body())
    try:
        await intake.send(events)
    except (KafkaError, TimeoutError, OSError) as error:
        raise Refused(503, f"Kafka did not take them ({type(error).__name__}); send all of them again.") from None
    return Taken(len(events), tuple(refused))


def read(body: bytes) -> tuple[list[Read], list[RefusedLine]]:
    """Raises Refused when there are more than will be taken at once."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if len(lines) > EVENTS_MAX:
        raise Refused(413, f"At most {EVENTS_MAX} events at once.")
    events: list[Read] = []
    refused: list[RefusedLine] = []
    for number, line in lines:
        try:
            event = _event.decode(line) if len(line) <= EVENT_BYTES_MAX else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            refused.append(RefusedLine(number, f"{error}"[:WHY_MAX]))
            continue
        if event is None:
            refused.append(RefusedLine(number, f"An event has at most {EVENT_BYTES_MAX} bytes."))
        else:
            events.append(Read(event.data.ctx.root.encode(errors="replace"), line))
    return events, refused


HANDLERS = [take]
