"""The failure rate of one evaluator: how many evaluations until a rise is found, at how many false alarms."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from benchmarks.detecting.tables import table as lines
from benchmarks.detecting.tables import targets
from streams.detect.methods import cusum
from streams.detect.methods.cusum import BATCH, LIMIT, ZERO, Bank

MONTH = 43_200  # evaluations: one a minute for 30 days
KEYS = {0.01: 500, 0.05: 500, 0.10: 250, 0.20: 150}  # fewer where they take longer
SHIFTS = ((0.05, 0.10), (0.05, 0.15), (0.05, 0.30), (0.05, 1.0), (0.10, 0.30), (0.01, 0.10))
TRIALS, PATIENCE = 600, 4000
BASELINE = 1000
BASELINES = (500, BASELINE, 2000)  # evaluations before the shift
BUCKETS = (2, 10, 50)  # evaluations in one closed bucket


def measure(progress: Callable[[str], None]) -> dict[str, Any]:
    false = {}
    for rate, keys in KEYS.items():
        progress(f"false alarms at {rate:.0%}: {keys} keys of {MONTH} evaluations")
        false[f"{rate:g}"] = round(
            sum(_false_alarms(rate, random.Random(f"{rate}/{key}")) for key in range(keys)) / keys, 2
        )
    rows = []
    for baseline in BASELINES:
        progress(f"delays after {baseline} evaluations")
        rows.append({"after": baseline, "bucket": 1, "shifts": _delays(1, baseline)})
    progress("delays of a new release")
    rows.append({"after": BASELINE, "bucket": 1, "new_release": True, "shifts": _delays(1, BASELINE, successor=True)})
    for size in BUCKETS:
        progress(f"delays and false alarms, {size} to a bucket")
        rows.append(
            {"after": BASELINE, "bucket": size, "false": _bucketed_false(size), "shifts": _delays(size, BASELINE)}
        )
    progress("new releases that are like the old one")
    return {"limit": LIMIT, "false_alarms": false, "rows": rows, "released_false": _released_false()}


def _false_alarms(rate: float, chance: random.Random) -> int:
    """From a cold start. Passes are stepped together up to the next failure: scores only fall meanwhile, so the result
    is that of one by one."""
    bank, alarms = Bank(), 0
    while bank.evaluations < MONTH:
        gap = int(math.log(1 - chance.random()) / math.log(1 - rate))
        while gap > 0:
            some = min(gap, BATCH - bank.batch)
            bank, gap = cusum.step(bank, some, 0), gap - some
        bank = cusum.step(bank, 0, 1)
        if cusum.score(bank) >= LIMIT:
            alarms, bank = alarms + 1, replace(bank, scores=ZERO)
    return alarms


def _bucketed_false(size: int, rate: float = 0.05, keys: int = 40) -> float:
    alarms = 0
    for key in range(keys):
        for bank in _stepped(Bank(), rate, (size, MONTH), random.Random(f"{size}/{key}")):
            alarms += cusum.score(bank) >= LIMIT
    return round(alarms / keys, 2)


def _released_false(rate: float = 0.05, keys: int = 400) -> float:
    """Share of unchanged releases that alarm while they are compared with the one before."""
    alarmed = 0
    for key in range(keys):
        chance = random.Random(f"released/{key}")
        *_, bank = _stepped(Bank(), rate, (1, BASELINE), chance)
        after = _stepped(cusum.successor(bank), rate, (1, cusum.COMPARED), chance)
        alarmed += any(cusum.score(one) >= LIMIT for one in after)
    return round(alarmed / keys, 3)


def _stepped(bank: Bank, rate: float, run: tuple[int, int], chance: random.Random) -> Iterator[Bank]:
    """Buckets of outcomes, and a fresh score after each alarm."""
    size, evaluations = run
    for _ in range(evaluations // size):
        failed = sum([chance.random() < rate for _ in range(size)])
        bank = cusum.step(bank, size - failed, failed)
        yield bank
        if cusum.score(bank) >= LIMIT:
            bank = replace(bank, scores=ZERO)


def _delays(size: int, baseline: int, *, successor: bool = False) -> dict[str, dict[str, float | None]]:
    found: dict[str, list[float]] = {f"{before:g}->{after:g}": [] for before, after in SHIFTS}
    for before in {before for before, _ in SHIFTS}:
        for trial in range(TRIALS):
            chance = random.Random(f"{before}/{trial}")
            *_, bank = _stepped(Bank(), before, (size, baseline), chance)
            if successor:
                bank = cusum.successor(bank)
            elif cusum.score(bank) >= LIMIT:
                bank = replace(bank, scores=ZERO)
            for rate in (after for each, after in SHIFTS if each == before):
                found[f"{before:g}->{rate:g}"].append(_delay(bank, rate, size, chance))
    return {shift: _summary(delays) for shift, delays in found.items()}


def _delay(bank: Bank, rate: float, size: int, chance: random.Random) -> float:
    for number, after in enumerate(_stepped(bank, rate, (size, PATIENCE), chance), 1):
        if cusum.score(after) >= LIMIT:
            return number * size
    return math.inf


def _summary(delays: list[float]) -> dict[str, float | None]:
    delays.sort()
    missed = sum(delay == math.inf for delay in delays) / len(delays)
    median, late = delays[len(delays) // 2], delays[len(delays) * 9 // 10]
    return {
        "median": None if median == math.inf else median,
        "p90": None if late == math.inf else late,
        "missed": round(missed, 3),
    }


def table(result: dict[str, Any]) -> str:
    false = result["false_alarms"]
    shifts = [f"{before:.0%} to {after:.0%}" for before, after in SHIFTS]
    rows = [[_where(row), *map(_cell, row["shifts"].values())] for row in result["rows"]]
    note = f"Limit {result['limit']:g}, learned baseline. Median / 90th percentile of evaluations to detection, {TRIALS} trials."
    return "\n\n".join(
        (
            note,
            lines(("evaluations before the shift", *shifts), rows),
            lines(
                (
                    f"failure rate: false alarms per {MONTH:,} evaluations, cold start",
                    *(f"{rate:.0%}" for rate in KEYS),
                ),
                [["one by one", *false.values()]]
                + [
                    [f"buckets of {row['bucket']}", "", row["false"], "", ""]
                    for row in result["rows"]
                    if "false" in row
                ],
            ),
            f"Unchanged new releases (5 %) with a false alarm in their first {cusum.COMPARED:,}: {result['released_false']:.1%}",
            targets(_targets(result)),
        )
    )


def _where(row: dict[str, Any]) -> str:
    size = f", buckets of {row['bucket']}" if row["bucket"] > 1 else ""
    return f"{row['after']:,}{size}{', then a new release' if row.get('new_release') else ''}"


def _cell(shift: dict[str, Any]) -> str:
    late = f"{shift['p90']:g}" if shift["p90"] else "-"
    missed = f", {shift['missed']:.0%} missed" if shift["missed"] else ""
    return f"{shift['median']:g}/{late}{missed}" if shift["median"] else f"-{missed}"


def _targets(result: dict[str, Any]) -> list[tuple[str, bool]]:
    row = next(row for row in result["rows"] if row["after"] == BASELINE)
    triple, collapse = row["shifts"]["0.05->0.15"]["median"], row["shifts"]["0.05->1"]["median"]
    false = result["false_alarms"]["0.05"]
    return [
        (f"5 to 15 % after {BASELINE:,} evaluations: median {triple:g}; wanted 130", triple <= 130),
        (f"5 to 100 %: median {collapse:g}; wanted 5", collapse <= 5),
        (f"false alarms per {MONTH:,} at 5 %: {false}; wanted 0.5", false <= 0.5),
    ]
