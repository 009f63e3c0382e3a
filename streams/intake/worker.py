"""The intake role: poll, read, say, await every acknowledgement, commit; once a second a tick."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from .. import pricefile, topics
from ..policy import Policy
from ..records.deadletters import pack as pack_letter
from ..records.timeline import pack_watermarks
from ..settings import Settings
from .batches import Batcher, Taken
from .cloudevents import Reader
from .kafka import Input, Output, Said
from .metrics import Metrics
from .redact import Redactor
from .watermarks import Progress

MESSAGES_MAX = 2_000
WAIT_S = 0.2


def unwatched(_step: str) -> None:
    """Outside of tests nobody is told which step was reached."""


class Intake:
    """One running copy of the role. `reached` is told after each step, for tests that end the process there."""

    def __init__(
        self, settings: Settings, policy: Policy, metrics: Metrics, reached: Callable[[str], None] = unwatched
    ) -> None:
        self._topic = topics.EVENTS.name
        self._timeline = topics.named(topics.TIMELINE, settings.generation)
        self._epoch = settings.epoch
        self._tick_s = policy.time.tick_s
        self._metrics, self._reached = metrics, reached
        group = f"tocsin.intake.g{settings.generation}" + (f".e{settings.epoch}" if settings.epoch > 1 else "")
        member = f"intake-{settings.replica}"
        self._input = Input(settings.kafka, self._topic, group=group, epoch=settings.epoch, member=member)
        self._output = Output(settings.kafka)
        self._reader = Reader([(source.source, source.agents) for source in policy.sources])
        self._prices = pricefile.load(settings)
        self._progress = Progress(member, policy.time.lateness_s, policy.time.idle_s)
        self._partitions = 0
        self._batcher: Batcher | None = None
        self._newest_append_ms = 0
        self._next_tick = 0.0

    async def start(self) -> None:
        await self._output.start()
        self._partitions = await self._output.partitions(self._timeline)
        self._batcher = Batcher(self._reader, Redactor(), self._partitions, self._prices)
        await self._input.start(self._moved)

    async def stop(self) -> None:
        await self._input.stop()
        await self._output.stop()

    async def _moved(self) -> None:
        self._progress.own(self._input.sources, time.monotonic())
        self._progress.ends(await self._input.at_ends())

    async def turn(self) -> None:
        """One poll and, when it is time, one tick."""
        wait = min(WAIT_S, max(0.0, self._next_tick - time.monotonic()))
        found = await self._input.poll(MESSAGES_MAX, wait)
        async with self._input.working:
            if found:
                await self._take(found)
            if time.monotonic() >= self._next_tick:
                await self._tick()

    async def _take(self, found: Mapping[str, Sequence[Any]]) -> None:
        self._reached("polled")
        assert self._batcher is not None
        for source, messages in found.items():
            self._batcher.take(source, messages)
            await asyncio.sleep(0)  # heartbeats go out even while refused messages cost milliseconds
        taken = self._batcher.done()
        await self._output.say(self._messages(taken))
        self._reached("sending")
        await self._output.acknowledged()
        self._reached("said")
        self._progress.heard(taken.newest, time.monotonic())
        await self._input.commit({source: messages[-1].offset + 1 for source, messages in found.items()})
        self._reached("committed")
        self._newest_append_ms = max(messages[-1].timestamp for messages in found.values())
        self._metrics.polled(taken.messages, taken.rejected, taken.redacted)
        self._metrics.said(len(taken.batches), sum(len(batch.value) for batch in taken.batches))

    def _messages(self, taken: Taken) -> list[Said]:
        said = [Said(self._timeline, batch.partition, None, batch.value, batch.headers) for batch in taken.batches]
        for letter in taken.letters:
            key, value, headers = pack_letter(letter)
            said.append(Said(topics.DEADLETTERS.name, None, key, value, headers))
        return said

    async def _tick(self) -> None:
        """Everything the watermarks speak of has been acknowledged: they are told between two polls."""
        now = time.monotonic()
        left = await self._input.left()
        self._progress.ends({source: many == 0 for source, many in left.items()})
        all_partitions = {f"{self._topic}/{self._epoch}": self._input.partitions()}
        watermarks = self._progress.watermarks(datetime.now(UTC), now, all_partitions)
        self._next_tick = max(self._next_tick + self._tick_s, now)
        if watermarks is None:
            return
        value, headers = pack_watermarks(watermarks)
        await self._output.say(Said(self._timeline, n, None, value, headers) for n in range(self._partitions))
        await self._output.acknowledged()
        self._reached("ticked")
        behind = any(many != 0 for many in left.values())
        lag_s = max(0.0, time.time() - self._newest_append_ms / 1000) if behind else 0.0
        self._metrics.ticked(self._partitions, lag_s, sum(many or 0 for many in left.values()))


async def run(
    settings: Settings,
    policy: Policy,
    registry: CollectorRegistry,
    progress: Callable[[], None],
    stop: asyncio.Event,
    *,
    reached: Callable[[str], None] = unwatched,
) -> None:
    """Until `stop` is set. Whatever else ends it is raised, with nothing committed that was not acknowledged."""
    await topics.ensure(settings.kafka, settings.generation, settings.replication)
    intake = Intake(settings, policy, Metrics(registry), reached)
    try:
        await intake.start()
        while not stop.is_set():
            await intake.turn()
            progress()
    finally:
        await intake.stop()
