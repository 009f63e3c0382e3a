"""Events to Kafka: idempotent, acknowledged by all replicas, keyed by root session. Needs `tocsin[sdk]`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .sinks import Away, Refusal
from .spool import Item

log = logging.getLogger(__name__)

TOPIC = "agent.events"
SEND_S = 10.0
POLL_S = 0.05
REFUSED = frozenset(("MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD"))


class KafkaSink:
    """`more`: further settings of librdkafka, among them those of TLS, client certificates and SASL."""

    lasting = True

    def __init__(self, bootstrap: str, topic: str = TOPIC, more: Mapping[str, Any] | None = None) -> None:
        from confluent_kafka import Producer  # noqa: PLC0415 - whoever uses another sink need not have it

        self._make, self._topic = Producer, topic
        self._given: dict[str, Any] = {
            "linger.ms": 5,
            "compression.type": "lz4",
            "message.timeout.ms": int(1000 * SEND_S),
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "message.max.bytes": 1_048_576,
            "log_level": 2,  # that it is away is said once, not with each attempt
            **(more or {}),
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
        }
        self._producer: Any = None

    def send(self, batch: Sequence[Item]) -> list[Refusal]:
        """Made here, by the thread that uses it: a process that was forked has its own."""
        if self._producer is None:
            self._producer = self._make(self._given, logger=log)
        failed: dict[int, Any] = {}
        arrived: set[int] = set()

        def told(place: int, error: Any) -> None:
            if error is None:
                arrived.add(place)
            else:
                failed[place] = error

        try:
            for place, item in enumerate(batch):
                self._producer.produce(
                    self._topic, item.event, item.key, on_delivery=lambda error, _, place=place: told(place, error)
                )
        except BufferError:
            self._over("its queue is full")
        except Exception as error:  # a fatal error of the producer is raised here too
            self._over(type(error).__name__)
        self._wait(len(batch), arrived, failed)
        wanted = {place: error for place, error in failed.items() if error.name() not in REFUSED}
        if wanted or len(arrived) + len(failed) < len(batch):
            why = next(iter(wanted.values())).name() if wanted else "no answer"
            if any(error.fatal() for error in wanted.values()):
                self._over(why)
            raise Away(why)
        return [Refusal(place, error.name()) for place, error in sorted(failed.items())]

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = None

    def _wait(self, many: int, arrived: set[int], failed: dict[int, Any]) -> None:
        until = time.monotonic() + SEND_S + 5.0
        while len(arrived) + len(failed) < many and time.monotonic() < until:
            self._producer.poll(POLL_S)

    def _over(self, why: str) -> None:
        """Nothing of it is waited for any more; the next attempt begins with a new one."""
        producer, self._producer = self._producer, None
        producer.purge()
        producer.poll(0)
        raise Away(why)
