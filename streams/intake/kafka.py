"""Intake's two ends: a consumer group on the input topic, an idempotent producer for everything said."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError

from ..records.timeline import Headers

log = logging.getLogger(__name__)

ACK_S = 10.0  # a send unacknowledged for longer ends the role: whoever takes over reads the same messages again
END_S = 4.0  # a broker that is gone is not waited for longer; the process ends next
SESSION_MS = 10_000
FETCH_BYTES = 4 * 1024 * 1024
REQUEST_BYTES = 2 * 1024 * 1024
PENDING_BYTES = 512 * 1024
MOVES_MAX, MOVES_S = 6, 60.0  # more assignments in that time mean that somebody else has our name


class InputMismatch(Exception):
    """The input topic is not the one that the committed positions are about."""


class MemberTwice(Exception):
    """Another process has the same name in the group: the two take the partitions from each other for ever."""


class Unacknowledged(Exception):
    """Kafka did not confirm what was said. Nothing of it has been committed."""


class Said(NamedTuple):
    """One message on its way out."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers


class Input(ConsumerRebalanceListener):  # type: ignore[misc]
    """What a consumer group gives this process to read. Sources are named `topic/epoch/partition`."""

    def __init__(self, bootstrap: str, topic: str, *, group: str, epoch: int, member: str | None = None) -> None:
        self._topic, self._epoch = topic, epoch
        self._names: dict[str, TopicPartition] = {}
        self._ends: dict[str, int] = {}  # as of the assignment, until the first fetch knows better
        self._broken: Exception | None = None
        self._working = asyncio.Lock()  # held from the poll to the commit: a rebalance waits for it
        self._member = member
        self._moves: deque[float] = deque(maxlen=MOVES_MAX)
        self._moved: Callable[[], Awaitable[None]] | None = None
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=member,
            enable_auto_commit=False,
            auto_offset_reset="none",  # a position that does not exist is explained, never quietly replaced
            isolation_level="read_committed",
            max_partition_fetch_bytes=FETCH_BYTES,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=SESSION_MS // 4,
            metadata_max_age_ms=30_000,
        )

    @property
    def working(self) -> asyncio.Lock:
        return self._working

    @property
    def sources(self) -> list[str]:
        return list(self._names)

    async def start(self, moved: Callable[[], Awaitable[None]]) -> None:
        """`moved` is awaited after every assignment, when the sources are known."""
        self._moved = moved
        await self._consumer.start()
        self._consumer.subscribe([self._topic], listener=self)

    async def stop(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), END_S)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - the client's name
        async with self._working:  # what is in flight is finished and committed, or has failed
            self._names = {}

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The client only logs what a listener raises, so the next poll raises it again."""
        tps = list(assigned)
        try:
            self._count_move()
            starts = await self._starts(tps)
            # From here to the names without an await: what was handed out before is read again, and nothing after is lost.
            for tp, start in starts.items():
                self._consumer.seek(tp, start)
            self._names = {f"{tp.topic}/{self._epoch}/{tp.partition}": tp for tp in tps}
            if self._moved:
                await self._moved()
        except IllegalStateError as error:  # moved on before we had looked; the next assignment is on its way
            log.info("an assignment was overtaken by the next: %s", error)
        except Exception as error:
            self._broken = error

    def _count_move(self) -> None:
        """The client never says that another took its name: it joins again, and takes it back."""
        self._moves.append(time.monotonic())
        if self._member and len(self._moves) == MOVES_MAX and self._moves[-1] - self._moves[0] < MOVES_S:
            raise MemberTwice(
                f"the partitions moved {MOVES_MAX} times within {MOVES_S:.0f} s: is there another copy running as "
                f"{self._member}? Give every copy its own TOCSIN_REPLICA."
            )

    async def _starts(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Every partition's committed position, after a look at whether that position can be."""
        if not tps:
            return {}
        starts = {}
        begins, ends = await self._consumer.beginning_offsets(tps), await self._consumer.end_offsets(tps)
        for tp in tps:
            committed = await self._consumer.committed(tp)
            if committed is not None and committed > ends[tp]:
                raise InputMismatch(self._beyond(tp, committed, ends[tp]))
            if committed is not None and committed < begins[tp]:
                lost = begins[tp] - committed
                log.error("%s/%s: %s messages were deleted by retention before intake read them", *tp, lost)
            starts[tp] = begins[tp] if committed is None else max(committed, begins[tp])
            self._ends[f"{tp.topic}/{self._epoch}/{tp.partition}"] = ends[tp]
        return starts

    def _beyond(self, tp: TopicPartition, position: int, end: int) -> str:
        return (
            f"{tp.topic}, partition {tp.partition}: intake has read up to offset {position}, but the partition ends at "
            f"{end}. The topic was recreated or lost data. Positions of the old and the new messages must not be "
            f"mistaken for each other: set TOCSIN_EPOCH to {self._epoch + 1} (it is {self._epoch}) and start again; "
            "intake then reads the topic from its beginning."
        )

    async def poll(self, messages_max: int, wait_s: float) -> dict[str, Sequence[Any]]:
        """Messages by source, possibly none. Raises InputMismatch."""
        if self._broken:
            raise self._broken
        asked = list(self._names.values())
        if not asked:
            await asyncio.sleep(wait_s)
            return {}
        try:
            found = await self._consumer.getmany(*asked, timeout_ms=int(wait_s * 1000), max_records=messages_max)
        except NoOffsetForPartitionError:  # the client looked before the assignment was complete
            return {}
        except OffsetOutOfRangeError as error:
            await self._explain(error.args[0])
            return {}
        names = {tp: name for name, tp in self._names.items()}
        return {names[tp]: records for tp, records in found.items() if tp in names}

    async def _explain(self, positions: Mapping[TopicPartition, int]) -> None:
        """The log was cut on one side of where we read: deleted by retention, or no longer the same log."""
        for tp, position in positions.items():
            ends, begins = await self._consumer.end_offsets([tp]), await self._consumer.beginning_offsets([tp])
            if position > ends[tp]:
                raise InputMismatch(self._beyond(tp, position, ends[tp]))
            lost = begins[tp] - position
            log.error("%s/%s: %s messages were deleted by retention before intake read them", *tp, lost)
            self._consumer.seek(tp, begins[tp])

    async def left(self) -> dict[str, int | None]:
        """How much of what there was at the last fetch `poll` has not handed out; None where that is not known."""
        answers: dict[str, int | None] = {}
        for name, tp in self._names.items():
            end = self._consumer.last_stable_offset(tp)
            end = self._ends.get(name) if end is None else end
            try:
                answers[name] = None if end is None else max(0, end - await self._consumer.position(tp))
            except IllegalStateError:  # moved to another copy this very moment
                answers[name] = None
        return answers

    async def at_ends(self) -> dict[str, bool]:
        """Whether everything there was at the last fetch has been handed out by `poll`."""
        return {name: left == 0 for name, left in (await self.left()).items()}

    def partitions(self) -> int:
        return len(self._consumer.partitions_for_topic(self._topic) or ())

    async def commit(self, nexts: Mapping[str, int]) -> None:
        """Only after everything before these offsets was acknowledged."""
        mine = {self._names[name]: offset for name, offset in nexts.items() if name in self._names}
        if not mine:
            return
        try:
            await self._consumer.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:  # the partitions moved: their new owner reads again
            log.info("positions not committed, the partitions moved: %s", error)


class Output:
    """Says things and waits for their acknowledgement. In order per partition, no doubles by retries."""

    def __init__(self, bootstrap: str, *, compression: str | None = "zstd", ack_s: float = ACK_S) -> None:
        self._ack_s = ack_s
        self._pending: list[asyncio.Future[Any]] = []
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            acks="all",
            compression_type=compression,
            max_request_size=REQUEST_BYTES,
            max_batch_size=PENDING_BYTES,
        )

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        """Does not wait longer for a broker that is gone than for one that answers."""
        try:
            await asyncio.wait_for(self._producer.stop(), min(self._ack_s, END_S))
        except TimeoutError:
            log.warning("Kafka did not answer while intake ended")
            await self._producer.client.close()

    async def partitions(self, topic: str) -> int:
        return len(await self._producer.partitions_for(topic))

    async def say(self, messages: Iterable[Said]) -> None:
        """Hands them to the producer, in this order. Waits while it is full."""
        try:
            async with asyncio.timeout(self._ack_s):
                for topic, partition, key, value, headers in messages:
                    send = self._producer.send(topic, value, key, partition, headers=headers)
                    self._pending.append(await send)
        except TimeoutError:
            raise Unacknowledged(f"Kafka took nothing more within {self._ack_s:g} s") from None

    async def acknowledged(self) -> None:
        """Everything said so far is stored. Raises Unacknowledged, or what Kafka refused."""
        waiting, self._pending = self._pending, []
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=self._ack_s)
        if late:
            raise Unacknowledged(f"Kafka did not acknowledge {len(late)} messages within {self._ack_s:g} s")
        for future in waiting:
            future.result()
