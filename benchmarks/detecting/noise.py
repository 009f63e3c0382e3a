"""False records of record novelty on series in which nothing happens: two months of 5-minute buckets."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from streams.detect.methods import novelty
from streams.detect.methods.novelty import Novelty

STREAMS, MONTH, DAY = 5, 8640, 288
MARGINS = (novelty.USUAL.margin, 0.1, novelty.CALM)
Series = Callable[[int], float]


def false_records() -> dict[str, dict[str, list[float]]]:
    """Per kind of series and margin: false records a series in its first and its second 30 days."""
    return {kind: _of(kind) for kind in series(random.Random())}


def series(chance: random.Random) -> dict[str, Series]:
    def drifting(state: list[float]) -> Series:
        def value(_at: int) -> float:
            state[0] = 0.9 * state[0] + chance.gauss(0, 1)
            return 100 + 5 * state[0]

        return value

    return {
        "normal": lambda _at: chance.gauss(100, 5),
        "lognormal, sigma 0.5": lambda _at: chance.lognormvariate(0, 0.5),
        "lognormal, sigma 1": lambda _at: chance.lognormvariate(0, 1),
        "autocorrelated": drifting([0.0]),
        "days and weeks": lambda at: rhythm(at) * chance.lognormvariate(0, 0.4),
        "small counts": lambda _at: float(sum([chance.random() < 0.02 for _ in range(100)])),
    }


def rhythm(at: int) -> float:
    return (1 + 0.5 * math.cos(2 * math.pi * at / DAY)) * (0.5 if at // DAY % 7 >= 5 else 1)


def _of(kind: str) -> dict[str, list[float]]:
    counts: dict[str, list[float]] = {f"{margin:g}": [0.0, 0.0] for margin in MARGINS}
    for seed in range(STREAMS):
        for margin, month in _records(series(random.Random(f"{kind}/{seed}"))[kind]):
            counts[f"{margin:g}"][month] += 1
    return {margin: [round(count / STREAMS, 1) for count in months] for margin, months in counts.items()}


def _records(value: Series) -> list[tuple[float, int]]:
    memory, resting, records = None, {margin: Novelty() for margin in MARGINS}, []
    for at in range(2 * MONTH):
        memory, reading = novelty.step(memory, value(at), at // 12 % novelty.HOURS)
        for margin in MARGINS if reading.score >= MARGINS[0] else ():
            before = resting[margin]
            now = Novelty(n=at, told_n=before.told_n, told=before.told)
            resting[margin], said = novelty.tell(now, reading.score, margin)
            records += [(margin, at // MONTH)] * said
    return records


def rows(result: dict[str, Any]) -> list[list[object]]:
    return [[kind, *(f"{one[0]:g}, {one[1]:g}" for one in by.values())] for kind, by in result.items()]
