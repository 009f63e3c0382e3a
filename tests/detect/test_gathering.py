"""Facts wait on their shelf for the end of their bucket, and are one then."""

from __future__ import annotations

from copy import copy
from random import Random
from typing import Any

import builders as b
import pytest
from contract.running import history
from contract.test_deciders import POLICY
from msgspec import Struct
from msgspec.structs import replace

from streams import policy
from streams.detect.catalogue import scope_deciders
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.gathering import PARTS_MAX
from streams.detect.scope.series import Series
from streams.records import Fact, Facts, Finding, Position, Tick
from streams.step import Order, Step

RULES = policy.parse(POLICY, "policy.toml")
SCOPES = (*scope_deciders(RULES.detectors, RULES.given), Series())
TOOL = {"kind": "tool", "subject": ("billing", "7", "prod", "search", "")}


class Nothing(Struct, array_like=True):
    pass


class Hearing:
    """Says what it is told."""

    name, version, memory = "hearing", 1, Nothing
    reads: tuple[type, ...] = (Fact,)
    order: Order = "bucketed"
    gathered = True

    def key(self, record: Any) -> str | None:
        return str(record.subject[0])

    def step(self, memory: Any, record: Any) -> Step[Any]:
        return Step(memory, () if isinstance(record, Tick) else (record,))


class Bench:
    """A fold over what it has written; `again` is another process."""

    def __init__(self, *deciders: Any) -> None:
        self.deciders, self.stored = deciders or (Hearing(),), dict[str, bytes]()
        self.offset = 0
        self.again()

    def again(self) -> None:
        self.fold = Fold(self.deciders, self.stored.get, idle_s=SCOPE_IDLE_S)
        self.fold.rebuild(self.stored.items())

    def take(self, *facts: Fact, offset: int | None = None) -> list[Any]:
        self.offset += 1
        position = Position("tocsin.timeline/0", self.offset if offset is None else offset)
        return self._written(self.fold.facts(Facts(position, facts), 0))

    def until(self, seconds: float) -> list[Any]:
        return self._written(self.fold.tick(0, b.at(seconds).timestamp()))

    def _written(self, said: list[Any]) -> list[Any]:
        for items in self.fold.remembered().values():
            for key, value in items:
                if value is None:
                    self.stored.pop(key, None)
                else:
                    self.stored[key] = value
        return said


def calls(seconds: float, count: int = 1, **given: Any) -> Fact:
    return b.fact(seconds, **{**TOOL, "sums": {"calls": count, f"ms#{count}": 1}, **given})


def test_a_bucket_of_facts_is_one_fact_at_its_end() -> None:
    bench = Bench()
    for n in range(10):
        assert bench.take(calls(n, marks=(f"m{n % 3}",)), calls(n, 2)) == []
    assert bench.until(9) == []
    [fact] = bench.until(10)
    assert (fact.sums, fact.marks) == ({"calls": 30, "ms#1": 10, "ms#2": 10}, ("m0", "m1", "m2"))
    assert bench.until(100) == []


def test_an_echo_is_not_gathered_nor_lost_in_another_process() -> None:
    bench = Bench()
    bench.take(calls(0), offset=5)
    bench.again()
    bench.take(calls(0), offset=5)
    bench.take(calls(1), offset=6)
    bench.again()
    assert [one.sums["calls"] for one in bench.until(10)] == [2]
    bench.again()
    bench.take(calls(1), offset=6)
    assert bench.until(100) == []


def test_buckets_come_in_their_order_each_at_its_end() -> None:
    bench = Bench()
    for at in (25, 3, 14, 7):
        bench.take(calls(at, at))
    assert [(one.bucket, one.sums["calls"]) for one in bench.until(60)] == [
        (b.at(0), 10),
        (b.at(10), 14),
        (b.at(20), 25),
    ]


def test_what_comes_late_is_handed_on_at_the_next_tick() -> None:
    bench = Bench()
    bench.take(calls(100))
    assert len(bench.until(120)) == 1
    bench.take(calls(5))
    assert [one.bucket for one in bench.until(121)] == [b.at(0)]


def test_people_and_evaluators_of_one_name_are_not_mixed() -> None:
    bench = Bench()
    bench.take(b.fact(0), b.fact(0, sums={"failed": 1, "human": 1}))
    assert sorted(sorted(one.sums) for one in bench.until(10)) == [["failed", "human"], ["passed"]]


def test_a_hundred_thousand_subjects_do_not_wait_on_one_shelf() -> None:
    bench = Bench()
    said = bench.take(*(calls(0, subject=("billing", "7", "prod", f"tool-{n}", "")) for n in range(3 * PARTS_MAX)))
    assert len(said) > PARTS_MAX
    assert len(said) + len(bench.until(10)) == 3 * PARTS_MAX
    assert len(bench.stored["billing"]) < 100 * PARTS_MAX


def test_a_hundred_thousand_names_are_bounded_and_none_is_lost() -> None:
    bench = Bench()
    said = [
        one
        for n in range(0, 20_000, 50)
        for one in bench.take(
            b.fact(0, **TOOL, sums={f"a name of a sum that is long, number {n + more}": 1 for more in range(50)})
        )
    ]
    said += bench.until(10)
    assert sum(value for one in said for value in one.sums.values()) == 20_000
    assert all(len(one.sums) <= 2001 for one in said)


@pytest.mark.parametrize("decider", SCOPES, ids=lambda one: one.name)
def test_whose_memory_it_is_depends_on_nothing_but_what_is_declared(decider: Any) -> None:
    """The fold asks once for each kind and subject."""
    assert decider.gathered
    names = getattr(decider, "by_sums", ())
    for fact in history(decider, 200):
        known = {name: value for name, value in fact.sums.items() if name in names}
        assert decider.key(fact) == decider.key(replace(fact, sums=known))
        assert decider.key(fact) == decider.key(replace(fact, sums={name: min(1, n) for name, n in fact.sums.items()}))


@pytest.mark.parametrize("seed", range(3))
def test_every_detector_finds_the_same_whether_its_facts_were_gathered_or_not(seed: int) -> None:
    chance = Random(seed)
    at_once = [copy(decider) for decider in SCOPES]
    for decider in at_once:
        decider.gathered = False
    facts = sorted((one for decider in SCOPES for one in history(decider, 150, seed=seed)), key=lambda one: one.bucket)
    told = []
    for deciders in (SCOPES, at_once):
        bench, said, at_s = Bench(*deciders), [], 0.0
        for first in range(0, len(facts), 20):
            some = facts[first : first + 20]
            said += bench.take(*chance.sample(some, len(some)))
            at_s = max(one.bucket for one in some).timestamp() - b.at(0).timestamp() - 30
            said += bench.until(at_s)
        said += bench.until(at_s + 86_400)
        told.append(sorted((one.id, one.at, one.count) for one in said if isinstance(one, Finding)))
    assert told[0] == told[1]
    assert told[0]
