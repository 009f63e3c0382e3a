"""What a stage takes and gives: the seam between what decides and what does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, Protocol

from ..records.timeline import Headers

To = Literal["facts", "findings", "exposure", "deadletters"]
Items = list[tuple[str, bytes | None]]  # key and value, None to forget; written in this order
Writes = dict[int, Items]  # by partition; each key once


class Message(NamedTuple):
    """One message of the timeline or of the facts."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Saying(NamedTuple):
    to: To
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Measured(NamedTuple):
    """The sums of one fact about an agent, for the metrics only."""

    kind: str
    subject: tuple[str, ...]
    sums: Mapping[str, int]


class Folded(NamedTuple):
    """What one group of messages comes to. Say first, remember then."""

    said: list[Saying]
    writes: Writes


class Counts:
    """Of this process, for the metrics."""

    def __init__(self) -> None:
        self.records = self.echoes = self.facts = self.undecodable = 0
        self.findings: dict[str, int] = {}
        self.isolated: dict[str, int] = {}


class Stage(Protocol):
    topic: str
    counts: Counts
    clock_s: dict[int, float]  # partition -> event time
    measured: list[Measured]  # since somebody took them

    def group(self, messages: Iterable[Message]) -> Folded:
        """Fold a group in memory, each key once."""
        ...

    def check(self) -> None:
        """Raises when too much was isolated. Call it after the group has been said."""
        ...

    def rebuild(self, stored: Mapping[str, bytes]) -> None:
        """Who is due when, and the clocks, from the store after an assignment."""
        ...

    def stale(self, key: str, value: bytes, other: bytes) -> bool:
        """Whether `value`, though later in the log, knows less than `other`."""
        ...
