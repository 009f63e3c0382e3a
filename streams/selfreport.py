"""What the pipeline says about itself, as an agent would: a heartbeat of each running role with its numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from .records import Agent, Ctx, Heartbeat, HeartbeatData
from .records.timeline import Headers, Origins, encode, pack_origins, partition_of

# Neither running nor waiting: a service is no piece of work that should get on or come to an end.
SERVING, ENDED = "serving", "idle"
SOURCE = "/tocsin/self"


class Sample(Protocol):
    """One number of a metric, as the metrics' library hands it out."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def value(self) -> float: ...


class Number(NamedTuple):
    """Which samples of a metric come to one number, and how."""

    sample: str
    how: Literal["risen", "sum", "max", "age"]  # risen: since the last beat; age: of the smallest, a Unix time
    label: str = ""
    values: tuple[str, ...] = ()  # of that label; empty: all


_ALL = {"progress_age_s": Number("tocsin_progress_age_seconds", "max")}
NUMBERS: dict[str, dict[str, Number]] = {
    "intake": {
        "events": Number("tocsin_intake_messages_total", "risen"),
        "dead_letters": Number("tocsin_intake_rejected_total", "risen"),
        "lag_messages": Number("tocsin_intake_lag_messages", "sum"),
        "lag_s": Number("tocsin_intake_lag_seconds", "max"),
        **_ALL,
    },
    "detect": {
        "records": Number("tocsin_detect_records_total", "risen", "stage", ("timeline",)),
        "findings": Number("tocsin_detect_findings_total", "risen"),
        "isolated": Number("tocsin_detect_isolated_total", "risen"),
        "undecodable": Number("tocsin_detect_undecodable_total", "risen"),
        "clock_age_s": Number("tocsin_detect_clock_seconds", "age", "stage", ("timeline",)),
        **_ALL,
    },
    "respond": {
        "settled": Number("tocsin_settled_total", "risen"),
        "dead_letters": Number("tocsin_book_deadletters_total", "risen"),
        "obligations_waiting": Number("tocsin_obligations", "sum", "state", ("owed", "attempting")),
        "oldest_waiting_s": Number("tocsin_obligations_age_seconds", "max"),
        "refused": Number("tocsin_obligations", "sum", "state", ("refused",)),
        "unknown": Number("tocsin_answers_total", "risen", "answer", ("unknown",)),
        "receivers_missing": Number("tocsin_receiver_missing", "sum"),
        **_ALL,
    },
    "learn": {
        "records": Number("tocsin_learn_records_total", "risen"),
        "dead_letters": Number("tocsin_learn_refused_total", "risen"),
        "outcomes": Number("tocsin_outcomes_total", "risen"),
        "tickets_stale_s": Number("tocsin_tickets_stale_seconds", "max"),
        **_ALL,
    },
    "web": {"gate_inputs_age_s": Number("tocsin_gate_inputs_age_seconds", "max"), **_ALL},
}


class Beat(NamedTuple):
    """One message of the timeline."""

    partition: int
    value: bytes
    headers: Headers


class SelfReport:
    """Of one running copy of a role. Remembers what counters said at its last beat."""

    def __init__(self, role: str, replica: str, version: str, interval_s: float) -> None:
        self.role, self.interval_s = role, interval_s
        self._session = f"tocsin:{role}:{replica}"[:256]
        self._copy = f"{role}-{replica}".replace("/", "-")
        self._agent = Agent(f"tocsin-{role}", version)
        self._counted: dict[str, float] = {}

    @property
    def samples(self) -> list[str]:
        """The names of everything that is looked at."""
        return sorted({number.sample for number in NUMBERS[self.role].values()})

    def beat(self, samples: Iterable[Sample], at: datetime, partitions: int, *, ended: bool = False) -> Beat:
        """Written to the timeline itself: it moves no clock of agents' events, and no rule about sources stops it."""
        event = self.heartbeat(samples, at, ended=ended)
        place = Origins((f"tocsin.self/1/{self._copy}",), (0,), (int(at.timestamp()),))
        return Beat(partition_of(self._session, partitions), *pack_origins([encode(event)], place))

    def heartbeat(self, samples: Iterable[Sample], at: datetime, *, ended: bool = False) -> Heartbeat:
        """Its id is the second: it is about the wall clock, so the same second is the same statement."""
        data = HeartbeatData(
            ctx=Ctx(session_id=self._session, run_id="serving", agent=self._agent),
            state=ENDED if ended else SERVING,
            interval_s=self.interval_s,
            numbers=self._numbers(list(samples), at),
        )
        identity = f"{self._session}:{int(at.timestamp())}"
        return Heartbeat(specversion="1.0", id=identity, source=SOURCE, time=at, recordedtime=at, data=data)

    def _numbers(self, samples: list[Sample], at: datetime) -> dict[str, float]:
        found = {}
        for name, number in NUMBERS[self.role].items():
            values = [sample.value for sample in samples if _meant(sample, number)]
            if number.how == "risen":
                before, now = self._counted.get(name, 0.0), sum(values)
                self._counted[name] = now
                found[name] = max(0.0, now - before)
            elif values:
                found[name] = _one(number.how, values, at)
        return found


def _meant(sample: Any, number: Number) -> bool:
    return sample.name == number.sample and (not number.values or sample.labels.get(number.label) in number.values)


def _one(how: str, values: list[float], at: datetime) -> float:
    if how == "age":
        return round(at.timestamp() - min(values), 3)
    return round(sum(values) if how == "sum" else max(values), 3)
