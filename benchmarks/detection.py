"""How well detection detects: one command, one table per section, everything seeded.

    python -m benchmarks.detection [--json FILE] [--only nab,cost,evaluator,loops,fingerprints]

A section is a file in benchmarks/detecting/ with `measure(progress) -> dict` and `table(result) -> str`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SECTIONS = {
    "nab": "Numenta Anomaly Benchmark: realAdExchange and realAWSCloudwatch",
    "cost": "Cost rate of an agent, simulated",
    "evaluator": "Failure rate of an evaluator, simulated",
    "scopes": "Evaluators, feedback, objectives, releases and habits, healthy and not, simulated",
    "loops": "Loops injected into real sessions",
    "fingerprints": "Error fingerprints on generated messages",
}


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    asked.add_argument("--only", default=",".join(SECTIONS), metavar="SECTIONS", help="some of %(default)s")
    given = asked.parse_args()
    wanted = given.only.split(",")
    if unknown := [name for name in wanted if name not in SECTIONS]:
        asked.error(f"there is no section {', '.join(unknown)}: choose from {', '.join(SECTIONS)}")
    results = {name: measured(name) for name in wanted}
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def measured(name: str) -> dict[str, Any]:
    print(f"### {SECTIONS[name]}\n", flush=True)
    where = f"benchmarks.detecting.{name}"
    if find_spec(where) is None:
        print("There is no such section yet.\n")
        return {"absent": "section"}
    section = importlib.import_module(where)
    begun = time.perf_counter()
    result: dict[str, Any] = section.measure(told(name))
    result["seconds"] = round(time.perf_counter() - begun, 1)
    print(section.table(result), end="\n\n", flush=True)
    print(f"({result['seconds']} s)\n", file=sys.stderr)
    return result


def told(name: str) -> Callable[[str], None]:
    """Where it is, for whoever waits: on one line of a terminal, on many of a log."""

    def progress(where: str) -> None:
        line = where if where.startswith(f"{name}: ") else f"{name}: {where}"
        print(
            f"\r{line:<79}\r" if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n", file=sys.stderr
        )

    return progress


if __name__ == "__main__":
    main()
