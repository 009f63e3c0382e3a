"""How much each detector remembers of one session or scope: writes streams/detect/sizes.toml, or checks it.

From the repository: `PYTHONPATH=tests:. python -m contract.sizes [--check]`.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from contract.running import LATENESS, Runner, history, moment

from streams import policy
from streams.detect.catalogue import DETECTORS, delivery_deciders, scope_deciders, session_detectors

FILE = Path(__file__).resolve().parents[2] / "streams/detect/sizes.toml"
POLICY = '[detectors."eval.critical"]\ncritical = ["safety"]\n[[agents]]\nmatch = ["*"]\nobjective = 0.99\nbudget_month = 50.0\n'
TYPICAL = 200
WEEK, FAR_S = 500, 1200.0
TOLERANCE = 0.25
SMALL = 64  # bytes; below that nothing depends on it
HEAD = f"""\
# Bytes of what a detector remembers of one session or scope, packed as on its shelf. Measured over the contract suite's
# samples by `make sizes`. typical: the median after {TYPICAL} records that it reads, as far apart as is usual for it;
# large: the most, also within a week of {WEEK}.
"""


def sizes() -> dict[str, dict[str, int]]:
    rules = policy.parse(POLICY, "policy.toml")
    given = (rules.detectors, rules.given)
    names = {one.name for one in DETECTORS}
    deciders = [
        one
        for one in (*session_detectors(*given), *scope_deciders(*given), *delivery_deciders(*given))
        if one.name in names
    ]
    return {one.name: _size(one) for one in sorted(deciders, key=lambda one: one.name)}


def _size(decider: Any) -> dict[str, int]:
    typical = _grown(decider, TYPICAL)[-1]
    large = max(size for snapshot in _grown(decider, WEEK, FAR_S) for size in snapshot)
    return {"typical": int(median(typical)), "large": max(large, *typical)}


def _grown(decider: Any, count: int, apart_s: float | None = None) -> list[list[int]]:
    """The sizes of all its memories, ten times on the way."""
    runner, snapshots = Runner(decider), []
    for number, record in enumerate(history(decider, count, step_s=apart_s), 1):
        runner.wake(moment(record) - LATENESS)
        runner.take(record)
        if number % (count // 10) == 0:
            kept = (one for one in runner.memories.values() if one is not None)
            snapshots.append([len(msgspec.msgpack.encode(one)) for one in kept] or [0])
    return snapshots


def wrong(measured: dict[str, dict[str, int]], kept: dict[str, dict[str, int]]) -> list[str]:
    """What the file does not say, or says otherwise than it is."""
    found = [f"{name}: is not in it" for name in measured if name not in kept]
    found += [f"{name}: there is no such detector" for name in kept if name not in measured]
    for name in measured.keys() & kept.keys():
        for what, size in measured[name].items():
            said = kept[name][what]
            if abs(size - said) > max(SMALL, TOLERANCE * said):
                found.append(f"{name}: {what} is {size} bytes, it says {said}")
    return sorted(found)


def text(measured: dict[str, dict[str, int]]) -> str:
    rows = (f'"{name}" = {{ typical = {one["typical"]}, large = {one["large"]} }}\n' for name, one in measured.items())
    return HEAD + "".join(rows)


def main(arguments: list[str]) -> int:
    measured = sizes()
    if arguments == ["--check"]:
        found = wrong(measured, tomllib.loads(FILE.read_text(encoding="utf-8")))
        sys.stderr.write("".join(f"{FILE.name}: {line}\n" for line in found))
        return 1 if found else 0
    FILE.write_text(text(measured), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
