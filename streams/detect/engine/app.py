"""The Faust app: two agents, two tables, under the corrections."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faust
from msgspec import Struct
from yarl import URL

from ..ports import To
from .changelog import Changelogs, Store
from .gaps import Gaps
from .group import Groups
from .leaving import Watchdog, leave
from .limits import COLLECT
from .metrics import Metrics
from .recovery import Tables
from .remember import Sends
from .shims import Transport, guard, speak_up

log = logging.getLogger(__name__)

LOOKS_S = 0.2


class Address(Struct, frozen=True, kw_only=True):
    """Where this app lives: every name already that of its generation."""

    kafka: str
    app: str
    replica: str
    datadir: Path
    timeline: str
    facts: str
    topics: Mapping[To, str]


class Engine:
    """Runs the groups of sessions and scopes in one Faust app, inside the running loop."""

    def __init__(
        self, address: Address, sessions: Groups, scopes: Groups, metrics: Metrics, progress: Callable[[], None]
    ) -> None:
        guard()
        speak_up()
        self.address, self.limits = address, sessions.limits
        self.metrics, self.progress = metrics, progress
        self.gaps = Gaps()
        self.groups = {address.timeline: sessions, address.facts: scopes}
        address.datadir.mkdir(parents=True, exist_ok=True)
        self.app = self._app()
        self._transport()
        stores = {groups.changelog: Store(groups.store, groups.stage.stale) for groups in (sessions, scopes)}
        self.changelogs = Changelogs(address.kafka, stores, progress)
        tables: Any = self.app.tables
        tables.changelogs, tables.gaps, tables.limits = self.changelogs, self.gaps, self.limits
        for name, (topic, groups) in zip(("sessions", "scopes"), self.groups.items(), strict=True):
            self._agent(name, topic, groups)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Raises what made the app crash."""
        watchdog = Watchdog(self.limits.gap_s)
        watchdog.start()
        gc.set_threshold(*COLLECT)
        starting = asyncio.ensure_future(self.app.start())
        try:
            while not stop.is_set():
                self._look(starting)
                await _within(stop, LOOKS_S)
        finally:
            ending = asyncio.ensure_future(self.app.stop())
            if (await asyncio.wait([ending], timeout=self.limits.end_s))[1]:  # Faust may swallow a cancellation
                leave("it cannot be stopped in time")
            ending.result()
            starting.cancel()
            watchdog.stop()

    def _look(self, starting: asyncio.Future[Any]) -> None:
        if starting.done():
            starting.result()
        if self.app.crashed:
            reason = self.app.crash_reason
            leave("Faust has crashed", reason if isinstance(reason, BaseException) else None)
        if self._at_rest():
            self.progress()

    def _at_rest(self) -> bool:
        """Nothing to do is progress: every message that is known of has been delivered."""
        app: Any = self.app
        if not app.started or app.rebalancing:
            return False
        try:
            tps = [tp for tp in app.consumer.assignment() if tp.topic in self.groups]
            ends = {(tp.topic, tp.partition): app.consumer.highwater(tp) or 0 for tp in tps}
        except Exception:  # the consumer's thread is about to start, stop or change its assignment
            return False
        return all(self.gaps.next.get(tp, 0) >= end for tp, end in ends.items())

    def _app(self) -> Any:
        limits, address = self.limits, self.address
        return faust.App(
            address.app,
            broker=[URL(f"kafka://{one.strip()}") for one in address.kafka.split(",")],
            datadir=str(address.datadir),
            store="memory://",
            TableManager=Tables,
            processing_guarantee="at_least_once",
            broker_session_timeout=limits.session_s,
            broker_heartbeat_interval=limits.heartbeat_s,
            broker_request_timeout=max(90.0, limits.session_s),
            broker_max_poll_interval=300.0,
            broker_max_poll_records=500,
            broker_commit_interval=limits.commit_s,
            broker_commit_every=500,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=4 * 1024 * 1024,
            consumer_group_instance_id=f"{address.app}-{address.replica}",
            producer_acks=-1,
            producer_linger=0.0,
            producer_max_batch_size=128 * 1024,
            producer_max_request_size=2 * 1024 * 1024,
            producer_request_timeout=60.0,
            stream_buffer_maxsize=256,
            stream_wait_empty=True,
            stream_publish_on_commit=False,
            stream_recovery_delay=0.0,
            table_standby_replicas=0,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )

    def _transport(self) -> None:
        app = self.app
        app.transport = Transport(app.conf.broker_consumer, app)
        app.producer_transport = Transport(app.conf.broker_producer, app)
        app.transport.limits = app.producer_transport.limits = self.limits

    def _agent(self, name: str, topic: str, groups: Groups) -> None:
        app, limits = self.app, self.limits
        changelog = app.topic(groups.changelog, key_serializer="raw", value_serializer="raw", compacting=True)
        table = app.Table(name, changelog_topic=changelog, partitions=None, key_type=bytes, value_type=bytes)
        groups.gaps, groups.metrics = self.gaps, self.metrics
        groups.generation = lambda: int(app.consumer_generation_id)
        groups.done = self.progress

        async def recovered() -> None:
            groups.sends = Sends(app.producer._producer, self.address.topics, limits.ack_s)  # noqa: SLF001
            groups.stage.rebuild(groups.store)
            self.metrics.recovery.set(self.changelogs.seconds)
            log.info("%s recovered: %d shelves in %.1f s", name, len(groups.store), self.changelogs.seconds)
            gc.freeze()  # what was there before the first event stays: no use in looking through it again

        async def body(stream: Any) -> None:
            async for events in stream.take_events(limits.group, within=limits.within_s):
                await groups.process(events)

        table.on_recover(recovered)
        source = app.topic(topic, key_serializer="raw", value_serializer="raw")
        app.agent(source, name=name, concurrency=1)(body)


async def _within(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
