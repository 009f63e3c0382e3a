"""What intake counts: once per poll, never per event."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"tocsin_intake_{name}", what, labels, registry=registry)

        self._messages = counter("messages", "Messages read from agent.events")
        self._rejected = counter("rejected", "Messages refused, by reason; each is a dead letter", "reason")
        self._redacted = counter("redacted", "Secrets replaced before anything was stored, by kind", "kind")
        self._batches = counter("batches", "Messages written to the timeline")
        self._bytes = counter("batch_bytes", "Bytes written to the timeline, before compression")
        self._ticks = counter("ticks", "Watermark records written, one per timeline partition and tick")
        self._lag = Gauge(
            "tocsin_intake_lag_seconds", "Age of the last message read; 0 when everything is read", registry=registry
        )
        self._behind = Gauge(
            "tocsin_intake_lag_messages", "Messages in agent.events that are not read yet", registry=registry
        )

    def polled(self, messages: int, rejected: Mapping[str, int], redacted: Mapping[str, int]) -> None:
        self._messages.inc(messages)
        for reason, count in rejected.items():
            self._rejected.labels(reason).inc(count)
        for kind, count in redacted.items():
            self._redacted.labels(kind).inc(count)

    def said(self, batches: int, size: int) -> None:
        self._batches.inc(batches)
        self._bytes.inc(size)

    def ticked(self, partitions: int, lag_s: float, behind: int) -> None:
        self._ticks.inc(partitions)
        self._lag.set(lag_s)
        self._behind.set(behind)
