"""An agent that works in another way than it used to."""

from __future__ import annotations

import random

import msgspec
from detect.scoped import Scoped

from streams.detect.methods.sketch import index
from streams.detect.scope.behaviour import BehaviourDrift

HOUR = 3600
MIX = {"search": 6, "read": 3, "refund": 1}


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(BehaviourDrift())
        self.chance, self.hour = random.Random(1), 0

    def hours(self, n: int, mix: dict[str, int], tokens: float = 3000, sessions: int = 30) -> list[str]:
        """What was observed in each hour that said something."""
        said = []
        for _ in range(n):
            for at in range(sessions):
                self._session(self.hour * HOUR + at * 60, mix, tokens)
            self.hour += 1
            said += [one.observed or "" for one in self.until(self.hour * HOUR)]
        return said

    def _session(self, seconds: float, mix: dict[str, int], tokens: float) -> None:
        for tool in self.chance.choices(list(mix), list(mix.values()), k=5):
            self.fact(seconds, "tool", ("billing", "7", "prod", tool, ""), {"calls": 1})
        spent = index(self.chance.lognormvariate(0, 0.7) * tokens)
        self.fact(seconds, "session", ("billing", "7", "prod", ""), {"ended": 1, f"tokens#{spent}": 1})


def test_the_same_mix_is_nothing() -> None:
    bench = Bench()
    assert bench.hours(60, MIX) == []


def test_other_tools_are_told_when_they_stay() -> None:
    bench = Bench()
    assert bench.hours(20, MIX) == []
    said = bench.hours(6, {"search": 1, "shell": 6, "read": 3})
    assert said
    assert said[0].startswith("other tools: shell 0% to")


def test_one_odd_window_is_nothing() -> None:
    bench = Bench()
    bench.hours(20, MIX)
    assert bench.hours(2, {"shell": 1}) == []
    assert bench.hours(20, MIX) == []


def test_five_times_the_tokens_are_told() -> None:
    bench = Bench()
    bench.hours(20, MIX)
    said = bench.hours(6, MIX, tokens=20_000)
    assert said
    assert said[0].startswith("other amounts of tokens: about ")


def test_what_stays_becomes_usual() -> None:
    bench = Bench()
    bench.hours(20, MIX)
    assert bench.hours(16, {"shell": 1}) != []
    assert bench.hours(20, {"shell": 1}) == []


def test_too_few_sessions_are_not_judged() -> None:
    bench = Bench()
    bench.hours(20, MIX)
    assert bench.hours(9, {"shell": 1}, sessions=5) == []


def test_many_tools_and_few_sessions_are_no_drift_by_chance() -> None:
    bench = Bench()
    assert bench.hours(60, {f"tool-{n}": 1 for n in range(60)}, sessions=26) == []


def test_a_hundred_thousand_tools_do_not_fill_the_memory() -> None:
    bench = Bench()
    for number in range(100):
        at = number * HOUR / 2
        for n in range(1000):
            self_made = f"tool-{number * 1000 + n}"
            bench.fact(at, "tool", ("billing", "7", "prod", self_made, ""), {"calls": 1})
        bench.fact(at, "session", ("billing", "7", "prod", ""), {"ended": 30})
        assert bench.until(at) == []
    assert len(msgspec.msgpack.encode(bench.state)) < 4000
