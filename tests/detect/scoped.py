"""Runs one scope detector over facts, as the loop would: memories by key, woken when it asked to be."""

from __future__ import annotations

from typing import Any

import builders as b

from streams.records import Finding


class Scoped:
    """`fact` feeds one, `until` lets the clock go on and answers what was found meanwhile."""

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.memories: dict[str, Any] = {}
        self.wakes: dict[str, Any] = {}

    def fact(self, seconds: float, kind: str, subject: tuple[str, ...], sums: dict[str, int], **given: Any) -> None:
        fact = b.fact(seconds, kind=kind, subject=subject, sums=sums, **given)
        key = self.detector.key(fact)
        if key is not None:
            self._step(key, fact)

    def until(self, seconds: float) -> list[Finding]:
        said: list[Finding] = []
        while due := [(wake, key) for key, wake in self.wakes.items() if wake is not None and wake <= b.at(seconds)]:
            wake, key = min(due)
            said += self._step(key, b.r.Tick(wake))
        return said

    def _step(self, key: str, record: Any) -> tuple[Any, ...]:
        step = self.detector.step(self.memories.get(key), record)
        self.memories[key], self.wakes[key] = step.remember, step.wake
        return step.say

    @property
    def state(self) -> Any:
        """Of the only memory there is."""
        (held,) = self.memories.values()
        return held.state
