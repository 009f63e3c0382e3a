"""The numbers of the rules, and a switch for each correction, so that a test can show what it is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

Rule = Literal[
    "prompt fetch",
    "prompt resume",
    "idempotent",
    "bulk recovery",
    "seek before resume",
    "fence",
    "contiguous",
    "finish",
    "leave",
    "own watch",
]
COLLECT = (20_000, 20, 50)  # garbage: Python's own numbers cost as much as the whole fold, at 10⁵ sessions
Step = Literal["folded", "said", "fenced", "remembered", "committed"]


def nothing(_: Step) -> None:
    """Tests kill, stop or raise here."""


class Limits(Struct, frozen=True, kw_only=True):
    session_s: float = 15.0  # how long Kafka waits before it gives a silent worker's partitions away
    heartbeat_s: float = 3.0
    ack_s: float = 10.0  # a send unacknowledged that long ends the process
    gap_s: float = 10.0  # so does a gap in its own clock
    end_s: float = 10.0  # and an end that takes that long
    commit_s: float = 1.0
    group: int = 64  # messages
    within_s: float = 0.005
    fetch_wait_ms: int = 20
    without: frozenset[Rule] = frozenset()
    reached: Callable[[Step], None] = nothing

    def has(self, rule: Rule) -> bool:
        return rule not in self.without
