"""Corrections to faust-streaming, each for a reason and with a test, valid for exactly these versions."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from faust.transport.drivers import aiokafka as driver

from .limits import Limits

VERSIONS = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
PAUSED_S = 0.01


class WrongVersion(Exception):
    """Another version than the one the corrections were made and tested for."""


def guard(installed: Callable[[str], str] = version) -> None:
    """Refuse to start on other versions: a correction of code that has changed is a new bug."""
    wrong = [
        f"{name} is {found}, Tocsin's detection is exact on {wanted} alone"
        for name, wanted in VERSIONS.items()
        if (found := installed(name)) != wanted
    ]
    if wrong:
        raise WrongVersion("; ".join(wrong))


def speak_up() -> None:
    """Faust's failed starts and recoveries are only logged: let them reach the real stderr, and nothing below."""
    for name in ("faust", "mode", "aiokafka"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        if not logger.handlers:
            handler = logging.StreamHandler(sys.__stderr__)
            handler.setFormatter(logging.Formatter("detect %(levelname)s %(name)s: %(message)s"))
            logger.addHandler(handler)
    logging.getLogger("faust.transport.drivers.aiokafka").setLevel(logging.ERROR)  # "topic creation disabled": it is
    for name in ("shims", "recovery"):  # what these classes inherit speaks in the name of its module
        logging.getLogger(f"{__package__}.{name}").setLevel(logging.WARNING)


class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust lets each fetch wait 1.5 s, and one fetch at a time is in flight per broker."""
        consumer = super()._create_worker_consumer(transport)
        limits: Limits = transport.limits
        if limits.has("prompt fetch"):
            consumer._fetch_max_wait_ms = limits.fetch_wait_ms  # noqa: SLF001 - hard-coded in Faust
        return consumer


class Consumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        """Faust sleeps 1 s whenever all partitions are paused, which back-pressure does all the time.

        It also hands the fetcher the very set that it empties while the fetch is on its way: then all are fetched.
        """
        limits: Limits = self.transport.limits
        if not limits.has("prompt resume"):
            return await super()._wait_next_records(timeout)  # type: ignore[no-any-return]
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = self._get_active_partitions()
        if active:
            return await self._getmany(active_partitions=set(active), timeout=timeout), active
        await self.sleep(PAUSED_S)
        return {}, active

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Faust reports every partition without a stream as stuck, five minutes after the start and every 2.4 s.

        The changelogs have none, by design. Whether detection is alive is said by its progress, gaps by the fold.
        """
        if not self.transport.limits.has("own watch"):
            super().verify_event_path(now, tp)

    async def _commit_offsets(self, offsets: Mapping[Any, int], start_new_transaction: bool = True) -> bool:
        committed: bool = await super()._commit_offsets(offsets, start_new_transaction)
        if committed:
            self.transport.limits.reached("committed")
        return committed


class Producer(driver.Producer):  # type: ignore[misc]
    def _settings_extra(self) -> Mapping[str, Any]:
        """Faust makes its producer idempotent in transactions alone; a retry would double what was said."""
        if self.app.transport.limits.has("idempotent"):
            return {"acks": "all", "enable_idempotence": True}
        return {"acks": "all"}


class Transport(driver.Transport):  # type: ignore[misc]
    Consumer = Consumer
    Producer = Producer
    limits = Limits()
