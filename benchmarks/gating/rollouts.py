"""Simulated rollouts, judged each minute by the product's own statistics and, beside them, by naive rules.

A minute has so many sessions; each is the candidate's by chance, at the share of the step the rollout is in, and bad by
chance, at the rate of its arm. What is judged is the counts of the minutes, as the product has them.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from random import Random
from statistics import median
from typing import Any, NamedTuple

from msgspec.structs import replace

from streams.learn.gates import rules as gates
from streams.learn.gates import statistics
from streams.learn.gates.pairing import BEGIN, MINUTE, Counts, Pair, Window, Windowing, compared
from streams.records import GateCell, GateInputs, GateValues

RAMP = ((0.01, 1000), (0.05, 1500), (0.10, 2000), (0.25, 2500), (0.50, 3000))
EQUAL = ((0.01, 2000), (0.05, 2000), (0.10, 2000), (0.25, 2000), (0.50, 2000))
BLOCK = 20.0
Z_MAX = 1.645  # one-sided 5 %, as if one looked once


class Minute(NamedTuple):
    candidate: int
    bad: int
    baseline: int
    baseline_bad: int


class World(NamedTuple):
    base: float = 0.02  # share of bad sessions of the baseline
    ratio: float = 1.0  # of the candidate's to it
    steps: tuple[tuple[float, int], ...] = RAMP  # share of the candidate, sessions
    per_minute: int = 50
    outage: tuple[float, float, float] = (
        1.0,
        1.0,
        1.0,
    )  # from and until which part of the rollout, times the rate of both
    burst: float = 1.0  # sessions that one broken user has, on average


@cache
def _chances(count: int, chance: float) -> list[float]:
    """The distribution of how many of so many."""
    sums, total = [], 0.0
    for k in range(count + 1):
        total += math.comb(count, k) * chance**k * (1 - chance) ** (count - k)
        sums.append(total)
    return sums


def drawn(draw: Random, count: int, chance: float) -> int:
    return min(count, bisect(_chances(count, chance), draw.random())) if count else 0


def minutes(world: World, draw: Random) -> Iterator[Minute]:
    whole, done = sum(sessions for _, sessions in world.steps), 0
    begins, ends, times = world.outage
    for share, sessions in world.steps:
        for _ in range(sessions // world.per_minute):
            rate = world.base * (times if begins <= done / whole < ends else 1.0)
            mine = drawn(draw, world.per_minute, share)
            theirs = world.per_minute - mine
            bad, their_bad = drawn(draw, mine, min(0.95, rate * world.ratio)), drawn(draw, theirs, min(0.95, rate))
            yield Minute(mine, bad, theirs, their_bad)
            done += world.per_minute


Judge = Callable[[Iterator[Minute]], tuple[int, int] | None]


def always_valid(found: Iterator[Minute]) -> tuple[int, int] | None:
    """Sessions of both, and of the candidate, until the gate blocks; None: it never did."""
    bet = statistics.worse(0.0)
    logs: list[float] = [0.0] * len(bet.ratios)
    windowing = Windowing()
    sessions = mine = 0
    for n, one in enumerate(found):
        sessions, mine = sessions + one.candidate + one.baseline, mine + one.candidate
        candidate, baseline = Counts(one.candidate, one.bad), Counts(one.baseline, one.baseline_bad)
        ended = windowing.add(BEGIN + n * MINUTE, candidate, baseline)
        if ended and ended.bad + ended.baseline_bad:
            logs = statistics.grown(logs, bet, _cell(ended))
        if one.bad and statistics.e_value(statistics.grown(logs, bet, _cell(windowing.now))) >= BLOCK:
            return sessions, mine
    return None


def _cell(window: Window) -> GateCell:
    share = window.sessions / max(1, window.sessions + window.baseline_sessions)
    return GateCell(share, window.bad, window.baseline_bad)


def z_test(found: Iterator[Minute]) -> tuple[int, int] | None:
    """Two shares compared at every look, as if it were the only one."""
    mine = bad = theirs = their_bad = 0
    for one in found:
        mine, bad = mine + one.candidate, bad + one.bad
        theirs, their_bad = theirs + one.baseline, their_bad + one.baseline_bad
        pooled = (bad + their_bad) / (mine + theirs)
        error = math.sqrt(pooled * (1 - pooled) * (1 / mine + 1 / theirs)) if mine and theirs and 0 < pooled < 1 else 0
        if error and (bad / mine - their_bad / theirs) / error > Z_MAX:
            return mine + theirs, mine
    return None


def three_sigma(base: float) -> Judge:
    """Against what the baseline's share was before the rollout."""

    def judge(found: Iterator[Minute]) -> tuple[int, int] | None:
        mine = bad = sessions = 0
        for one in found:
            mine, bad, sessions = mine + one.candidate, bad + one.bad, sessions + one.candidate + one.baseline
            if mine >= 30 and bad / mine > base + 3 * math.sqrt(base * (1 - base) / mine):
                return sessions, mine
        return None

    return judge


def bursting(found: Iterator[Minute], draw: Random, mean: float) -> Iterator[Minute]:
    """Each broken user comes back: what counts every session sees a burst of bad ones of the same arm."""
    chance = 1 / mean
    for one in found:
        bad = sum(_geometric(draw, chance) for _ in range(one.bad))
        their_bad = sum(_geometric(draw, chance) for _ in range(one.baseline_bad))
        yield Minute(max(one.candidate, bad), bad, max(one.baseline, their_bad), their_bad)


def _geometric(draw: Random, chance: float) -> int:
    return 1 + int(math.log(1.0 - draw.random()) / math.log(1.0 - chance)) if chance < 1 else 1


def share_blocked(world: World, judge: Judge, runs: int, seed: int) -> float:
    draw = Random(seed)
    blocked = 0
    for _ in range(runs):
        found = minutes(world, draw)
        blocked += judge(bursting(found, draw, world.burst) if world.burst > 1 else found) is not None
    return blocked / runs


def found_after(world: World, runs: int, seed: int, *, candidate: bool = False) -> dict[str, Any]:
    """Median sessions until the block, of those rollouts that were blocked, and their share."""
    draw = Random(seed)
    blocks = [block for _ in range(runs) if (block := always_valid(minutes(world, draw)))]
    return {
        "sessions": median(block[candidate] for block in blocks) if blocks else None,
        "share": round(len(blocks) / runs, 4),
    }


def agreeing(values: GateValues, inputs: GateInputs, runs: int, seed: int) -> int:
    """Rollouts in which the whole gate, asked each minute, blocks in the very minute in which the statistics do."""
    agreed = 0
    for run in range(runs):
        world = World(0.05, 1.0 + run % 4)
        known = list(minutes(world, Random(seed + run)))
        judged = always_valid(iter(known))
        agreed += (judged[0] if judged else None) == _asked(values, inputs, known)
    return agreed


def _asked(values: GateValues, inputs: GateInputs, known: list[Minute]) -> int | None:
    candidate: dict[datetime, Counts] = {}
    baseline: dict[datetime, Counts] = {}
    pair = Pair("agent", "2", "prod", "1")
    sums = [0, 0, 0, 0]
    for n, one in enumerate(known):
        sums = [a + b for a, b in zip(sums, one, strict=True)]
        at = BEGIN + n * MINUTE
        candidate |= {at: Counts(one.candidate, one.bad)} if one.candidate else {}
        baseline |= {at: Counts(one.baseline, one.baseline_bad)} if one.baseline else {}
        if not one.bad:
            continue
        beside = compared(pair, candidate, baseline)
        counted = {"baseline_sessions": beside.baseline_sessions, "baseline_bad": beside.baseline_bad}
        now = replace(inputs, sessions=sums[0], bad=sums[1], cells=beside.cells, **counted)
        if gates.decide(values, now, now.read_at).block:
            return sums[0] + sums[2]
    return None
