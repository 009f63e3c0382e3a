"""The cost rate of one agent: how soon a rise is found, at how many false alarms, on simulated weeks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.detecting.tables import table as lines
from benchmarks.detecting.tables import targets
from streams.detect.methods import seasonal
from streams.detect.methods.seasonal import Limits, Seasonal

STREAMS, WARM_DAYS, DAYS = 12, 14, 28
BUCKET_S, DAY, WEEK = 300, 288, 2016  # buckets
MONDAY_S = 4 * 86400.0
MEDIAN, SIGMA = 0.05, 1.0  # dollars a session costs
RATES = (0.2, 2.0, 20.0)  # sessions a minute
INJECTIONS, HOURS_4 = 24, 48
KINDS = {"x1.5": 1.5, "x2": 2.0, "x3": 3.0, "x10": 10.0, "runaway": 0.0}
RUNAWAY = 20 * MEDIAN * 5  # dollars a bucket: one session that adds 20 median sessions every minute
MONTHS = STREAMS * DAYS / 30
REST = 120  # quiet buckets until another alarm is another episode
EWMA = 0.003


class Watched(NamedTuple):
    """One detector over one clean stream."""

    scores: list[float]
    memories: list[Any]


Judge = Callable[[Any, float, float], tuple[Any, float]]  # memory, amount, at: a score, alarm from some limit on


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    return {"rates": {f"{rate:g}": _rate(rate, progress) for rate in RATES}}


def _rate(rate: float, progress: Callable[[str], None]) -> dict[str, Any]:
    progress(f"{rate:g} sessions a minute: {STREAMS} agents, {WARM_DAYS + DAYS} days each")
    streams = [stream(rate, f"{rate}/{number}") for number in range(STREAMS)]
    result = {}
    for name, judge, usual in (("seasonal", judged, Limits().limit), ("EWMA z", deviated, None)):
        progress(f"{rate:g} sessions a minute: {name}")
        watched = [watch(judge, costs) for costs in streams]
        limit = _limit([one.scores for one in watched])
        result[name] = {"matched": _found(judge, streams, watched, limit)}
        if usual is not None:
            result[name]["default"] = _found(judge, streams, watched, usual)
    return result


def stream(rate: float, seed: str) -> list[float]:
    """Dollars per bucket: Poisson sessions, three times as many at noon as at night, half at weekends."""
    chance, costs = random.Random(seed), []
    mean = sum(cycle(at) for at in range(WEEK)) / WEEK
    for at in range((WARM_DAYS + DAYS) * DAY):
        sessions = poisson(chance, rate * 5 * cycle(at) / mean)
        costs.append(sum([chance.lognormvariate(math.log(MEDIAN), SIGMA) for _ in range(sessions)]))
    return costs


def cycle(at: int) -> float:
    daily = 1 + 0.5 * math.cos(2 * math.pi * (at % DAY / DAY - 14 / 24))
    return daily * (0.5 if at // DAY % 7 >= 5 else 1)


def poisson(chance: random.Random, mean: float) -> int:
    """By the gaps between arrivals."""
    count, left = -1, mean
    while left > 0:
        count, left = count + 1, left - chance.expovariate(1)
    return count


def watch(judge: Judge, costs: Sequence[float]) -> Watched:
    memory, watched = None, Watched([], [])
    for at, amount in enumerate(costs):
        watched.memories.append(memory)  # before the bucket: an injection begins from here
        memory, score = judge(memory, amount, MONDAY_S + at * BUCKET_S)
        watched.scores.append(score)
    return watched


def judged(memory: Seasonal | None, amount: float, at_s: float) -> tuple[Seasonal, float]:
    """The product's rule. A record counts like any score; below the floor of money there is none."""
    limits = Limits()
    after, reading = seasonal.step(memory, amount, at_s, limits)
    record = after.n > limits.warm_up and reading.record >= limits.record
    enough = reading.excess >= seasonal.least(after, limits)
    return after, (math.inf if record else reading.score) if enough else 0.0


def deviated(memory: tuple[float, float, int] | None, amount: float, _at_s: float) -> tuple[Any, float]:
    """What is usual elsewhere: the distance from an exponential mean, in deviations."""
    mean, variance, n = memory or (amount, 0.0, 0)
    away = amount - mean
    rate = max(EWMA, 1 / (n + 1))
    after = (mean + rate * away, (1 - rate) * (variance + rate * away * away), n + 1)
    return after, away / math.sqrt(variance) if variance > 0 else 0.0


def _limit(scores: Sequence[Sequence[float]]) -> float:
    """The smallest limit that gives at most one episode in 30 days."""
    low, high = 0.0, 50.0
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (low, middle) if _false_alarms(scores, middle) <= 1 else (middle, high)
    return high


def _false_alarms(scores: Sequence[Sequence[float]], limit: float) -> float:
    return sum(episodes(one[WARM_DAYS * DAY :], limit) for one in scores) / MONTHS


def episodes(scores: Sequence[float], limit: float) -> int:
    count, last = 0, -REST - 1
    for at, score in enumerate(scores):
        if score >= limit:
            count += at - last > REST
            last = at
    return count


def _found(
    judge: Judge, streams: Sequence[Sequence[float]], watched: Sequence[Watched], limit: float
) -> dict[str, Any]:
    chance = random.Random("injections")
    places = [(n % STREAMS, chance.randrange(WARM_DAYS * DAY, len(streams[0]) - HOURS_4)) for n in range(INJECTIONS)]
    kinds = {}
    for kind, factor in KINDS.items():
        delays = []
        for number, begin in places:
            costs = [cost * factor if factor else cost + RUNAWAY for cost in streams[number][begin : begin + HOURS_4]]
            delays.append(_delay(judge, watched[number].memories[begin], costs, (begin, limit)))
        found = sorted(delay for delay in delays if delay)
        minutes = found[len(found) // 2] if found else None
        kinds[kind] = {"found": round(len(found) / INJECTIONS, 3), "minutes": minutes}
    false = round(_false_alarms([one.scores for one in watched], limit), 2)
    return {"limit": round(limit, 2), "false_per_30_days": false, "kinds": kinds}


def _delay(judge: Judge, memory: Any, costs: Sequence[float], given: tuple[int, float]) -> int:
    begin, limit = given
    for bucket, amount in enumerate(costs):
        memory, score = judge(memory, amount, MONDAY_S + (begin + bucket) * BUCKET_S)
        if score >= limit:
            return (bucket + 1) * BUCKET_S // 60
    return 0


def table(result: dict[str, Any]) -> str:
    rows = [
        [rate, name, f"{one['limit']:g} ({which})", one["false_per_30_days"], *map(_cell, one["kinds"].values())]
        for rate, detectors in result["rates"].items()
        for name, by in detectors.items()
        for which, one in by.items()
    ]
    head = ("sessions/min", "detector", "limit", "false alarms / 30 days", *KINDS)
    note = f"Found within 4 h, median minutes. {STREAMS} agents x {DAYS} days; {INJECTIONS} injections of each kind."
    return "\n\n".join((note, lines(head, rows), targets(_targets(result["rates"]["2"]["seasonal"]["default"]))))


def _cell(kind: dict[str, Any]) -> str:
    return f"{kind['found']:.0%}" + (f", {kind['minutes']}" if kind["minutes"] else "")


def _targets(one: dict[str, Any]) -> list[tuple[str, bool]]:
    double, triple, false = one["kinds"]["x2"]["found"], one["kinds"]["x3"]["found"], one["false_per_30_days"]
    return [
        (f"2 sessions/min, default limit: x2 found in {double:.0%}; wanted 90 %", double >= 0.9),
        (f"2 sessions/min, default limit: x3 found in {triple:.0%}; wanted 100 %", triple >= 1),
        (f"2 sessions/min, default limit: {false} false alarms in 30 days; wanted at most 1", false <= 1),
    ]
