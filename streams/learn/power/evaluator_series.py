"""Prometheus series about evaluators: how often they are right, with bounds, and what they may cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...database import Connection
from ...records import POWERS, Power
from .evaluators import Evaluator, evaluators

READ_EACH_S = 15.0
SERIES_MAX = 500
FEW = 1  # without a decision there is no precision, only a prior


class EvaluatorSeries(Collector):
    """What was read last. Read beside learn's other work, never while Prometheus waits."""

    def __init__(
        self,
        start: Mapping[str, Power],
        registry: CollectorRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start, self._clock = start, clock
        self._known: tuple[Evaluator, ...] = ()
        self._read_s: float | None = None
        registry.register(self)

    async def read(self, conn: Connection) -> None:
        """At most once in fifteen seconds."""
        now_s = self._clock()
        if self._read_s is None or now_s - self._read_s >= READ_EACH_S:
            self._known, self._read_s = await evaluators(conn, self._start, SERIES_MAX), now_s

    def collect(self) -> Iterator[Metric]:
        precision = GaugeMetricFamily(
            "agent_evaluator_precision",
            "How often an evaluator is right: the mean, and the bounds of its 90 % interval",
            labels=("evaluator", "bound"),
        )
        power = GaugeMetricFamily(
            "tocsin_evaluator_power",
            "What an evaluator may cause: 0 nothing, 1 tickets, 2 pages, 3 blocks",
            labels=("evaluator",),
        )
        for one in self._known:
            power.add_metric((one.id,), POWERS.index(one.power))
            worth = one.worth
            if worth is None or worth.decisions + worth.labels < FEW:
                continue
            for bound in ("low", "mean", "high"):
                precision.add_metric((one.id, bound), float(getattr(worth, bound) or 0.0))
        yield precision
        yield power
