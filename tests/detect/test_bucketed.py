"""The frame of detectors over facts: what it comes to depends on the facts, not on when somebody looked."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import builders as b
import msgspec
import pytest
from detect.scoped import Scoped
from msgspec import Struct

from streams.detect.fold import Fold
from streams.detect.scope.bucketed import IDLE_MAX, OPEN_MAX, REPEAT_S, Bucket, Bucketed
from streams.records import Fact, Facts, Finding, Position

SPAN_S = 10
END_S = 3000


class NoLimits(Struct, frozen=True):
    pass


class Seen(Struct, frozen=True, array_like=True):
    """Every bucket that was closed, in order, the empty ones among them."""

    buckets: tuple[tuple[int, dict[str, int], tuple[str, ...]], ...] = ()
    patience: int = 0


class Watching(Bucketed[NoLimits, Seen]):
    """Says which buckets it saw; after each with `busy` it looks at as many empty ones."""

    name, state = "test.watching", Seen
    kinds = ("tool",)
    severity = "low"
    runbook = "-\n-\n-"
    limits = NoLimits

    def restless(self, state: Seen) -> bool:
        return state.patience > 0

    def closed(self, state: Seen, bucket: Bucket, words: Any) -> tuple[Seen, tuple[Finding, ...]]:
        patience = max(state.patience - 1, bucket.sums.get("busy", 0))
        one = (bucket.at_s, dict(sorted(bucket.sums.items())), tuple(sorted(bucket.marks)))
        finding = self.found(
            {"agent": words[1]}, "seen", at=self.when(bucket, words), count=bucket.sums.get("calls", 0)
        )
        return Seen((*state.buckets, one), patience), (finding,) if bucket.at_s % 40 == 0 else ()


class Windowed(Watching):
    def stale_s(self, words: Any) -> float:
        return 60.0 if words[0] == "agent" else 0.0


def fact(at_s: float, *, calls: int = 1, busy: int = 0, mark: str = "m") -> Fact:
    sums = {"calls": calls, "busy": busy} if busy else {"calls": calls}
    return b.fact(at_s, kind="tool", subject=("billing", "7", "prod", "search", ""), sums=sums, marks=(mark,))


def story(chance: Random) -> list[Fact]:
    """Bursts and long silences."""
    found, at = [], 0.0
    while at < END_S:
        at += chance.choice((0.0, 3.0, 11.0, 60.0, 600.0))
        busy = chance.choice((0, 0, 2, 30, 10 * IDLE_MAX))
        found.append(fact(at // SPAN_S * SPAN_S, calls=chance.randrange(1, 5), busy=busy, mark=f"m{len(found)}"))
    return found


def looked(chance: Random, facts: list[Fact], looks: int, *, restarts: bool = False) -> tuple[Any, list[Finding]]:
    """Facts in any order, ticks anywhere, as long as no fact comes after its bucket was closed."""
    detector, memory, said = Watching(), None, []
    last_s = max(one.bucket for one in facts).timestamp() + SPAN_S
    start_s = b.at(0).timestamp()
    ticks = sorted(chance.uniform(start_s, last_s) for _ in range(looks))
    waiting = list(facts)
    for at_s in [*ticks, last_s]:
        due = [one for one in waiting if one.bucket.timestamp() < at_s]
        early = [one for one in waiting if one not in due and chance.random() < 0.1]
        waiting = [one for one in waiting if one not in due and one not in early]
        for one in chance.sample([*due, *early], len(due) + len(early)):
            memory = detector.step(memory, one).remember
        step = detector.step(memory, b.r.Tick(b.at(at_s - start_s)))
        memory, said = step.remember, [*said, *step.say]
        if restarts and memory is not None:
            memory = msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=Watching.memory)
    return memory, said


@pytest.mark.parametrize("seed", range(40))
def test_one_long_look_and_many_short_ones_see_the_same(seed: int) -> None:
    chance = Random(seed)
    facts = story(chance)[:OPEN_MAX]
    once, said = looked(chance, facts, 0)
    assert said
    assert sum(sums.get("calls", 0) for _, sums, _ in once.state.buckets) == sum(one.sums["calls"] for one in facts)
    for looks in (3, 40, 400):
        memory, found = looked(chance, facts, looks, restarts=looks == 40)
        assert memory.state == once.state
        assert found == said


def folded(chance: Random, facts: list[Fact], looks: int) -> list[Any]:
    """As the stage does it, a new process after each tick; every batch is delivered twice."""
    stored: dict[str, bytes] = {}
    start_s, last_s = b.at(0).timestamp(), max(one.bucket for one in facts).timestamp() + SPAN_S
    waiting, said = list(facts), []
    for offset, at_s in enumerate([*sorted(chance.uniform(start_s, last_s) for _ in range(looks)), last_s]):
        fold = Fold([Watching()], stored.get)
        fold.rebuild(stored.items())
        due = [one for one in waiting if one.bucket.timestamp() < at_s]
        waiting = [one for one in waiting if one not in due]
        batch = Facts(Position("tocsin.timeline/0", offset), tuple(chance.sample(due, len(due))))
        said += [*fold.facts(batch, 0), *fold.facts(batch, 0), *fold.tick(0, at_s)]
        stored |= {key: value for items in fold.remembered().values() for key, value in items if value is not None}
    return sorted((one.id, one.at, one.count) for one in said)


@pytest.mark.parametrize("seed", range(10))
def test_in_the_stage_too_ids_included_with_batches_twice_and_a_new_process_each_time(seed: int) -> None:
    chance = Random(seed)
    facts = story(chance)[:OPEN_MAX]
    once = folded(chance, facts, 0)
    assert once
    assert len({one[0] for one in once}) == len(once)
    assert folded(chance, facts, 5) == folded(chance, facts, 60) == once


def test_what_holds_is_said_again_every_five_minutes() -> None:
    scoped = Scoped(Watching())
    said: list[Finding] = []
    for n in range(200):
        said += scoped.until(n * SPAN_S)
        scoped.fact(n * SPAN_S, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
    at = [one.at.timestamp() for one in said]
    assert len(at) > 3
    assert all(later - earlier >= REPEAT_S for earlier, later in pairwise(at))


def test_a_late_fact_counts_in_the_oldest_open_bucket() -> None:
    scoped = Scoped(Watching())
    scoped.fact(1000, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
    scoped.until(1100)
    scoped.fact(500, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
    scoped.until(1200)
    start_s = b.at(0).timestamp()
    assert [(at_s - start_s, sums) for at_s, sums, _ in scoped.state.buckets] == [
        (1000, {"calls": 1}),
        (1010, {"calls": 1}),
    ]


def test_a_window_leaves_out_what_had_left_it_before_it_arrived() -> None:
    scoped = Scoped(Windowed())
    scoped.fact(1000, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
    scoped.until(1100)
    for at_s in (500, 940, 960):
        scoped.fact(at_s, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
    scoped.until(1200)
    assert [sums for _, sums, _ in scoped.state.buckets] == [{"calls": 1}, {"calls": 1}]


def test_a_partition_that_is_read_two_hours_ahead_is_spread_over_them() -> None:
    scoped = Scoped(Watching())
    for n in range(720):
        scoped.fact(n * SPAN_S, "tool", ("billing", "7", "prod", "search", ""), {"calls": 1})
        assert len(next(iter(scoped.memories.values())).open) <= OPEN_MAX
    scoped.until(7200)
    calls = [sums["calls"] for _, sums, _ in scoped.state.buckets]
    assert sum(calls) == 720
    assert max(calls) <= 4 * 720 / OPEN_MAX
