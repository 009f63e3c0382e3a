"""Whether every message has been delivered: a position guard makes a hole permanent."""

from __future__ import annotations

from collections.abc import Mapping


class Gap(Exception):
    """Kafka's next message is not the one that follows: something was dropped on the way here."""


class Gaps:
    """Per partition of the current assignment, the offset that must come next."""

    def __init__(self) -> None:
        self.next: dict[tuple[str, int], int] = {}

    def begin(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """A new assignment: where each partition is read from."""
        self.next = dict(offsets)

    def check(self, topic: str, partition: int, offset: int) -> None:
        """Raises Gap. An earlier offset than expected is a repetition, and the guard in the shelves knows those."""
        expected = self.next.get((topic, partition))
        if expected is None:
            raise Gap(f"{topic}/{partition} is delivered but not assigned")
        if offset > expected:
            raise Gap(f"{topic}/{partition} delivers offset {offset} where {expected} was next")
        self.next[topic, partition] = max(expected, offset + 1)
