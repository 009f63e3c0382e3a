"""What detect counts, per group and never per event."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..ports import Stage
from .series import AgentSeries

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Every number of the role, on the registry that was handed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter("tocsin_detect_records", "Folded, echoes included", ["stage"], registry=registry)
        self.echoes = Counter("tocsin_detect_echoes", "Records seen before", ["stage"], registry=registry)
        self.facts = Counter("tocsin_detect_facts", "Facts said", registry=registry)
        self.findings = Counter("tocsin_detect_findings", "Findings said", ["detector"], registry=registry)
        self.isolated = Counter("tocsin_detect_isolated", "Records that made it raise", ["decider"], registry=registry)
        self.undecodable = Counter("tocsin_detect_undecodable", "Messages not understood", ["stage"], registry=registry)
        self.seconds = Histogram(
            "tocsin_detect_group_seconds", "Fold, say, remember", ["stage"], registry=registry, buckets=BUCKETS
        )
        self.shelves = Gauge("tocsin_detect_shelves", "Keys remembered", ["stage"], registry=registry)
        self.clock = Gauge(
            "tocsin_detect_clock_seconds", "Event time, Unix seconds", ["stage", "partition"], registry=registry
        )
        self.recovery = Gauge("tocsin_detect_recovery_seconds", "The last read of the shelves", registry=registry)
        self.agents = AgentSeries(registry)
        self._seen: dict[tuple[str, str], float] = {}
        self._clocks: dict[str, set[int]] = {}

    def group(self, stage: Stage, shelves: int, seconds: float) -> None:
        name, counts = stage.topic.removeprefix("tocsin."), stage.counts
        self._add(self.records, name, counts.records)
        self._add(self.echoes, name, counts.echoes)
        self._add(self.undecodable, name, counts.undecodable)
        if (risen := self._risen("facts", name, counts.facts)) > 0:
            self.facts.inc(risen)
        for detector, count in counts.findings.items():
            self._add(self.findings, detector, count)
        for decider, count in counts.isolated.items():
            self._add(self.isolated, decider, count)
        for partition in self._clocks.get(name, set()) - stage.clock_s.keys():  # another process has it now
            self.clock.remove(name, str(partition))
        self._clocks[name] = set(stage.clock_s)
        for partition, at_s in stage.clock_s.items():
            self.clock.labels(name, str(partition)).set(at_s)
        self.shelves.labels(name).set(shelves)
        measured, stage.measured = stage.measured, []
        self.agents.take(measured)
        self.seconds.labels(name).observe(seconds)

    def _add(self, counter: Counter, label: str, value: float) -> None:
        if (risen := self._risen(str(counter), label, value)) > 0:
            counter.labels(label).inc(risen)

    def _risen(self, counter: str, label: str, value: float) -> float:
        before = self._seen.get((counter, label), 0.0)
        self._seen[counter, label] = value
        return value - before
