"""How often gates are wrong and how soon they are right, by simulated rollouts; what asking them costs.

    python -m benchmarks.gates --json FILE [--only healthy found outage bursts agreement breaker reach http outcome emitter]
        [--seed 1] [--rollouts 10000] [--runs 1000]

Rollouts are judged by the product's own statistics, looked at each minute. Ratios of naive rules stand beside, over the same
rollouts. Where the design gives a number, `of_noted` is ours divided by it. About eight minutes by default.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gating.rollouts import (
    EQUAL,
    World,
    agreeing,
    always_valid,
    found_after,
    share_blocked,
    three_sigma,
    z_test,
)
from streams.records import GateInputs, GateQuestion, GateValues

# Sessions to the block as the design gives them: of both arms over a ramp, of the candidate at one share.
RAMP_NOTED = {(0.02, 2): 4738, (0.02, 3): 2850, (0.02, 5): 1675, (0.05, 2): 3275, (0.05, 3): 1825, (0.05, 5): 1150}
SHARE_NOTED = {(0.1, 3): 70, (0.1, 5): 25, (0.5, 3): 125, (0.5, 5): 50}
BASES = (0.02, 0.05)
OUTAGE = (0.4, 0.5, 10.0)  # both arms fail ten times as often for a tenth of the rollout
BURST = 3.0
PARTS = ("healthy", "found", "outage", "bursts", "agreement", "breaker", "reach", "http", "outcome", "emitter")
NAIVE_MAX = 2000  # rollouts that naive rules are judged by: theirs is no close call
NOW = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)


def healthy(given: argparse.Namespace) -> dict[str, Any]:
    """Half of the rollouts at each base rate."""
    half, few = given.rollouts // 2, min(NAIVE_MAX, given.rollouts) // 2
    found = {f"{base:.0%}": share_blocked(World(base), always_valid, half, given.seed) for base in BASES}
    naive = {
        "z_test_at_each_look": _mean(share_blocked(World(base), z_test, few, given.seed) for base in BASES),
        "three_sigma_of_history": _mean(
            share_blocked(World(base), three_sigma(base), few, given.seed) for base in BASES
        ),
    }
    return {"false_block_ratio": _mean(found.values()), "false_block_ratio_by_base": found, "naive_false_blocks": naive}


def found(given: argparse.Namespace) -> dict[str, Any]:
    ramp, equal, alone = {}, {}, {}
    for (base, ratio), noted in RAMP_NOTED.items():
        name = f"{base:.0%} x{ratio}"
        ramp[name] = _beside(found_after(World(base, ratio), given.runs, given.seed), noted)
        equal[name] = _beside(found_after(World(base, ratio, EQUAL), given.runs, given.seed), noted)
    for (share, ratio), noted in SHARE_NOTED.items():
        world = World(0.05, ratio, ((share, 8000),), per_minute=20)
        alone[f"{share:.0%} of sessions, 5% x{ratio}"] = _beside(
            found_after(world, given.runs, given.seed, candidate=True), noted
        )
    return {"found_sessions": ramp, "found_sessions_equal_steps": equal, "found_candidate_sessions": alone}


def outage(given: argparse.Namespace) -> dict[str, Any]:
    runs, few = given.rollouts // 4, min(NAIVE_MAX, given.rollouts) // 4
    worlds = [World(base, outage=OUTAGE) for base in BASES]
    return {
        "outage_in_both_arms": {
            "false_block_ratio": _mean(share_blocked(world, always_valid, runs, given.seed) for world in worlds),
            "z_test_at_each_look": _mean(share_blocked(world, z_test, few, given.seed) for world in worlds),
            "three_sigma_of_history": _mean(
                share_blocked(world, three_sigma(world.base), few, given.seed) for world in worlds
            ),
        }
    }


def bursts(given: argparse.Namespace) -> dict[str, Any]:
    """Counted once per user, failure group and day, a burst is one bad session."""
    runs = given.rollouts // 4
    once = [World(base) for base in BASES]
    each = [World(base, burst=BURST) for base in BASES]
    return {
        "bursts_of_one_user": {
            "false_block_ratio": _mean(share_blocked(world, always_valid, runs, given.seed + 1) for world in once),
            "each_session_counted": _mean(share_blocked(world, always_valid, runs // 5, given.seed) for world in each),
        }
    }


def agreement(given: argparse.Namespace) -> dict[str, Any]:
    """Whole decisions, asked each minute, against the statistics alone."""
    values = GateValues(
        gate="promotion",
        policy="default",
        version="sha256:0",
        sessions_min=20,
        severities=("critical", "high"),
        inputs_age_s_max=5.0,
        lag_s_max=300.0,
        valid_s=60.0,
        objective=0.5,
    )
    inputs = GateInputs(GateQuestion("agent", "2"), 0, 0, 0, True, (), (), NOW, NOW)
    runs = 20
    return {"agreement": {"rollouts": runs, "same_minute": agreeing(values, inputs, runs, given.seed)}}


def measured(module: str, name: str = "measure") -> Callable[[argparse.Namespace], dict[str, Any]]:
    """What another benchmark of this folder measures."""

    def measure(_given: argparse.Namespace) -> dict[str, Any]:
        found = importlib.import_module(f"benchmarks.gating.{module}")
        return dict(getattr(found, name)())

    return measure


MEASURES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "healthy": healthy,
    "found": found,
    "outage": outage,
    "bursts": bursts,
    "agreement": agreement,
    **{name: measured(name) for name in ("breaker", "http", "outcome", "emitter")},
    "reach": measured("breaker", "measure_reach"),
}


def _mean(numbers: Any) -> float:
    some = list(numbers)
    return round(sum(some) / len(some), 4)


def _beside(result: dict[str, Any], noted: int) -> dict[str, Any]:
    sessions = result["sessions"]
    return {**result, "noted": noted, "of_noted": round(sessions / noted, 2) if sessions else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the numbers go")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rollouts", type=int, default=10_000, help="of a healthy release")
    parser.add_argument("--runs", type=int, default=1_000, help="of a worse one, per ratio")
    given = parser.parse_args()
    results: dict[str, Any] = {"seed": given.seed, "rollouts": given.rollouts, "runs": given.runs}
    for part in given.only:
        begun = time.monotonic()
        print(f"{part} …", flush=True)
        result = MEASURES[part](given)
        print(f"{part} ({time.monotonic() - begun:.0f} s): {json.dumps(result, indent=2)}", flush=True)
        results |= result
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
