"""A made-up hour of many agents, as intake would write it: events, echoes with other batch boundaries, watermarks."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import builders as b

from streams import records as r
from streams.records import timeline
from streams.records.timeline import encode, partition_of

PARTITIONS = 4
AGENTS = 20
EVALUATORS = ("tone", "facts", "safety")
BATCH = 60
TICK_S = 2.0
END_S = 3600.0  # the last watermark, so far ahead that every bucket closes


@dataclass
class Line:
    value: bytes
    source: str
    offset: int


@dataclass
class Story:
    """What was written, and the truth about it, counted while writing."""

    seed: int = 1
    events: int = 20_000
    sessions: int = 600
    echoes: float = 0.15
    messages: list[tuple[int, bytes, list[tuple[str, bytes]]]] = field(default_factory=list)
    nano: Counter[str] = field(default_factory=Counter)  # session -> spent
    calls: Counter[str] = field(default_factory=Counter)  # session -> priced calls
    scored: Counter[tuple[str, ...]] = field(default_factory=Counter)  # agent, evaluator, passed|failed
    started: Counter[str] = field(default_factory=Counter)  # agent -> sessions
    written: int = 0  # lines, echoes included

    def tell(self) -> Story:
        self._random = random.Random(self.seed)
        self._lines: dict[int, list[Line]] = {p: [] for p in range(PARTITIONS)}
        self._sent = dict.fromkeys(range(PARTITIONS), 0)
        self._offsets: Counter[str] = Counter()
        self._seen: set[str] = set()
        told_s = 0.0
        for number in range(self.events):
            at_s = number * 0.01
            self._event(number, at_s)
            if at_s - told_s >= TICK_S:
                told_s = at_s
                self._flush()
                self._tick(at_s)
        self._flush()
        self._tick(END_S)
        return self

    def _event(self, number: int, at_s: float) -> None:
        chance = self._random
        session = f"s{chance.randrange(self.sessions)}"
        agent = f"agent-{partition_of(session, AGENTS)}"
        common: dict[str, Any] = {"session": session, "agent": agent, "id": f"e{number}", "position": None}
        if session not in self._seen:
            self._seen.add(session)
            self.started[agent] += 1
            self._line(session, b.session_started(at_s, **common))
            return
        kind = chance.random()
        if kind < 0.45:
            self._tool(at_s, session, agent, common)
        elif kind < 0.7:
            cost = b.money(f"{chance.randrange(1, 200) / 1000:.3f}")
            self.nano[session] += cost.nano
            self.calls[session] += 1
            self._line(session, b.llm_called(at_s, cost=cost, **common))
        elif kind < 0.98:
            self._evaluation(at_s, session, agent, common)
        else:
            self._line(session, b.heartbeat(at_s, **common))

    def _tool(self, at_s: float, session: str, agent: str, common: dict[str, Any]) -> None:
        chance = self._random
        tool = f"tool-{chance.randrange(3)}"
        if agent.endswith("7") and chance.random() < 0.3:
            self._line(
                session, b.tool_failed(at_s, tool=tool, message=f"timeout after {number_of(common)} ms", **common)
            )
        else:
            self._line(session, b.tool_called(at_s, tool=tool, **common))

    def _evaluation(self, at_s: float, session: str, agent: str, common: dict[str, Any]) -> None:
        chance = self._random
        evaluator = chance.choice(EVALUATORS)
        rate = 0.4 if agent.endswith("3") and at_s > 30 else 0.03
        passed = chance.random() >= rate
        self.scored[agent, evaluator, "passed" if passed else "failed"] += 1
        self._line(session, b.eval_scored(at_s, evaluator=evaluator, passed=passed, **common))

    def _line(self, session: str, event: Any) -> None:
        """An agent retries now and then: the same id at a new position."""
        value = encode(event)
        source = f"agent.events/1/{sum(session.encode()) % PARTITIONS}"
        for _ in range(2 if self._random.random() < 0.02 else 1):
            line = Line(value, source, self._offsets[source])
            self._offsets[source] += 1
            self._lines[partition_of(session, PARTITIONS)].append(line)

    def _flush(self) -> None:
        """Batches; now and then intake begins again some lines earlier, with other boundaries."""
        for partition, lines in self._lines.items():
            while self._sent[partition] < len(lines):
                size = self._random.randrange(BATCH // 3, BATCH)
                start = self._sent[partition]
                batch = lines[start : start + size]
                self._message(partition, batch)
                self._sent[partition] = start + len(batch)
                if self._random.random() < self.echoes:
                    again = max(0, self._sent[partition] - self._random.randrange(1, BATCH))
                    self._message(partition, lines[again : self._sent[partition]])

    def _message(self, partition: int, batch: list[Line]) -> None:
        self.written += len(batch)
        value, headers = timeline.pack([line.value for line in batch], [(line.source, line.offset) for line in batch])
        self.messages.append((partition, value, headers))

    def _tick(self, at_s: float) -> None:
        sources = {f"agent.events/1/{p}": r.Watermark(newest=b.at(at_s)) for p in range(PARTITIONS)}
        report = b.watermarks(at_s, partitions={"agent.events/1": PARTITIONS}, sources=sources, lateness_s=0.0)
        for partition in range(PARTITIONS):
            self.messages.append((partition, *timeline.pack_watermarks(report)))


def number_of(common: dict[str, Any]) -> str:
    return str(common["id"])[1:]
