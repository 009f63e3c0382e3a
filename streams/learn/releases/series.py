"""Prometheus series about releases, for delivery tools that measure rather than ask: zeros for what is known, bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...database import Connection

READ_EACH_S = 5.0
RELEASES_MAX = 20  # of an agent: its newest ones
SERIES_MAX = 2_000  # agents, releases and environments together
STATES = ("allow", "warn", "hold", "block")
EVERYWHERE = "prod"  # of a release that is registered and waits for its first session
# The newest releases first; sessions of several generations are the same sessions counted again.
KNOWN = """
WITH known AS (
    SELECT agent, release, environment, max(sessions) AS sessions, max(bad) AS bad FROM exposed GROUP BY 1, 2, 3
    UNION ALL
    SELECT r.agent, r.release, %(environment)s, 0, 0 FROM releases r
    WHERE NOT EXISTS (SELECT 1 FROM exposed e WHERE (e.agent, e.release) = (r.agent, r.release))
), ranked AS (
    SELECT k.*, dense_rank() OVER (PARTITION BY k.agent ORDER BY r.first_seen DESC NULLS LAST, k.release DESC) AS age
    FROM known k LEFT JOIN releases r USING (agent, release)
)
SELECT agent, release, environment, sessions, bad FROM ranked WHERE age <= %(releases)s
ORDER BY age, agent, release, environment LIMIT %(series)s
"""
SAID = """
SELECT agent, release, environment, gate, state FROM gate_states
WHERE gate = ANY(%(gates)s) AND (agent, release) IN (SELECT * FROM unnest(%(agents)s::text[], %(names)s::text[]))
"""


class Release(NamedTuple):
    agent: str
    release: str
    environment: str
    sessions: int
    bad: int

    @property
    def address(self) -> tuple[str, str, str]:
        return self[:3]


class Series(Collector):
    """What was read last, as series. Read beside learn's other work, never while Prometheus waits."""

    def __init__(
        self, gates: Iterable[str], registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gates, self._clock = sorted(gates), clock
        self._releases: list[Release] = []
        self._states: dict[tuple[tuple[str, str, str], str], str] = {}
        self._began_s = clock()
        self._read_s: float | None = None
        registry.register(self)

    async def read(self, conn: Connection) -> None:
        """At most once in five seconds."""
        now_s = self._clock()
        if self._read_s is not None and now_s - self._read_s < READ_EACH_S:
            return
        given = {"environment": EVERYWHERE, "releases": RELEASES_MAX, "series": SERIES_MAX}
        rows = await (await conn.execute(KNOWN, given)).fetchall()
        found = [Release(*row) for row in rows]
        wanted = {"gates": self._gates, "agents": [one.agent for one in found], "names": [one.release for one in found]}
        said = await (await conn.execute(SAID, wanted)).fetchall()
        self._states = {
            ((agent, release, environment), gate): state for agent, release, environment, gate, state in said
        }
        self._releases, self._read_s = found, now_s

    def collect(self) -> Iterator[Metric]:
        labels = ("agent", "release", "environment")
        sessions = CounterMetricFamily("agent_sessions", "Sessions of a release", labels=labels)
        bad = CounterMetricFamily(
            "agent_bad_sessions", "Bad sessions, by whoever said so", labels=(*labels, "evaluator")
        )
        state = GaugeMetricFamily(
            "agent_gate_state", "1 for the state that a gate answers", labels=(*labels, "gate", "state")
        )
        for one in self._releases:
            sessions.add_metric(one.address, one.sessions)
            bad.add_metric((*one.address, "any"), one.bad)
            for gate, name in ((gate, name) for gate in self._gates for name in STATES):
                said = self._states.get((one.address, gate))
                state.add_metric((*one.address, gate, name), float(said == name))
        age = GaugeMetricFamily("agent_gate_decision_age_seconds", "Since what gates answer was looked at last")
        age.add_metric((), self._clock() - (self._began_s if self._read_s is None else self._read_s))
        yield from (sessions, bad, state, age)
