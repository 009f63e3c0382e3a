"""Values at their limits in any field, and memories that nothing can hold: the pipeline goes on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import builders as b
import pytest
from contract.running import history
from detect import troubles
from detect.delivered import digested, intact, told_and_seen
from detect.delivery import Line, Way
from msgspec.structs import replace

from streams import policy
from streams import records as r
from streams.detect.catalogue import scope_deciders, session_detectors
from streams.detect.facts import SUM_MAX
from streams.detect.fold import Fold
from streams.records.timeline import encode
from streams.step import Step

RULED = """
[[agents]]
match = ["*"]
objective = 0.99
budget_session = 5.0
budget_day = 0.01
tools = ["a"]
paths = ["/x"]
hosts = ["h"]
effects = ["e"]
pollers = ["s*"]
"""
INTEGERS, NUMBERS = (0, 1, 2**31, 2**53), (0.0, 1e300, -1e300, 5e-324, 10.0)
TEXTS = ("", "\x00", "\x1f\x1e", "é" * 256, "*", "[", "a/b/../../c://[", "file:///" + "../" * 50, "NaN", "y" * 1024)
HOURS = (-24 * 400, -1, 1, 23)
AMOUNTS = {"nano", "input", "output", "cached", "reasoning", "score", "square", "micro", "ms", "tokens", "retry_nano"}


def spoilt(value: Any, chance: Random, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: spoilt(one, chance, key) for key, one in value.items()}
    if isinstance(value, list):
        return [spoilt(one, chance, name) for one in value]
    if name in ("type", "specversion") or chance.random() > 0.05:
        return value
    if name == "time":
        return (datetime.fromisoformat(value) + timedelta(hours=chance.choice(HOURS))).isoformat()
    if isinstance(value, bool):
        return not value
    choices = {int: INTEGERS, float: NUMBERS, str: TEXTS}.get(type(value), (value,))
    return chance.choice(choices)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_values_intake_lets_through_are_digested(seed: int) -> None:
    rules, chance, lines = policy.parse(RULED, "policy.toml"), Random(seed), []
    for n, detector in enumerate(session_detectors(rules.detectors, rules.given)):
        for event in history(detector, 100, seed=seed, session=f"s{n % 7}"):
            if isinstance(event, r.IntakeRejected):
                continue
            at, event.position = event.time, None
            told = spoilt(json.loads(encode(event)), chance)
            lines.append(Line(at, f"s{n % 7}", json.dumps(told).encode(), at + timedelta(seconds=0.2)))
    found = digested(lines, rules, Way(seed, disorder_s=29.9, twice=0.05, again=0.2, crashes=0.05))
    assert found.rejected["invalid"] > 0
    assert found.findings


def test_sums_near_the_limit_of_what_can_be_stored_are_stored() -> None:
    rules, chance = policy.parse(troubles.POLICY, "policy.toml"), Random(1)
    facts = []
    for decider in scope_deciders(rules.detectors, rules.given):
        for fact in history(decider, 150, session=f"x-{decider.name}"):
            sums = {name: chance.choice((SUM_MAX, n)) if name in AMOUNTS else n for name, n in fact.sums.items()}
            facts.append(replace(fact, sums={**sums, **({"square": 10**21} if "square" in sums else {})}))
    intact(told_and_seen(sorted(facts, key=lambda one: one.bucket), rules))


# -- when limits are not enough ------------------------------------------------------------------------------------


class Greedy:
    """Remembers too much, or a number that nothing can hold."""

    name, version, memory, reads, order = "greedy", 1, list[int], (r.ToolCalled,), "free"

    def __init__(self, memory: list[int]) -> None:
        self.kept = memory

    def key(self, record: Any) -> str:
        return str(record.data.ctx.session_id)

    def step(self, memory: Any, _record: Any) -> Step[Any]:
        return Step(memory or self.kept)


@pytest.mark.parametrize("memory", [[2**40] * 200_000, [2**70]])
def test_a_memory_that_cannot_be_stored_is_forgotten_counted_and_harms_nobody_else(
    memory: list[int],
) -> None:
    rules = policy.load()
    others = session_detectors(rules.detectors, rules.given)
    fold = Fold([*others, Greedy(memory)], {}.get)
    fold.event(b.tool_failed(0), 0)
    [(_, value)] = fold.remembered()[0]
    assert value is not None
    assert len(value) < 4096
    [isolated] = fold.isolated
    assert isolated.decider == "greedy"
    assert "stored" in isolated.why or "forgotten" in isolated.why
