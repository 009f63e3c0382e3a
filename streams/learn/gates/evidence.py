"""What sessions say about a release: beside the baseline of the same time, against an objective, and whether it is enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...records import GateInputs, GateState, GateValues, Reason
from . import statistics

MINUTES_TOLD_MAX = 14 * 24 * 60  # an estimate beyond two weeks is none


class Evidence(NamedTuple):
    """Computed once for all rules. `compared`: there was a baseline at the same time, worth comparing with."""

    block: float
    passed: float
    need_block: float
    need_pass: float
    compared: bool


def weighed(values: GateValues, inputs: GateInputs) -> Evidence:
    measures = 1 + len(values.measures)
    need_block, need_pass = statistics.threshold(values.alpha, measures), 1 / values.beta
    compared = inputs.baseline_sessions >= values.sessions_min
    block = statistics.evidence(statistics.worse(values.tolerance), inputs.cells)
    if compared:
        passed = statistics.evidence(statistics.safe(values.margin), inputs.cells)
    else:
        passed = statistics.below(values.objective, *_counted(inputs)) if values.objective else 0.0
    return Evidence(block, passed, need_block, need_pass, compared)


def regression(values: GateValues, inputs: GateInputs, found: Evidence) -> Iterator[Reason]:
    """Rule 6. Whatever hits both arms cancels out."""
    if found.block >= found.need_block:
        detail = {"e_block": told(found.block), "need": told(found.need_block), **_arms(inputs)}
        yield Reason("worse_than_stable", "block", "regression_vs_stable", detail)
    alpha = values.alpha / (1 + len(values.measures))
    for name, ratio in values.measures.items():
        pair = inputs.measures.get(name)
        interval = statistics.difference(*pair, alpha) if pair else None
        if interval and interval.low > math.log(ratio):
            ratios = {"ratio": told(math.exp(interval.mean)), "at_least": told(math.exp(interval.low)), "limit": ratio}
            yield Reason("measure_worse_than_stable", "block", "regression_vs_stable", {"measure": name, **ratios})


def objective(values: GateValues, inputs: GateInputs, found: Evidence) -> Iterator[Reason]:
    """Rule 7. What the baseline suffers at the same time as well is for rule 6 to weigh: an outage blocks no release."""
    if not values.objective:
        return
    bad, sessions = _counted(inputs)
    e = statistics.above(values.objective, bad, sessions)
    if e < 1 / values.alpha:
        return
    detail = {
        "e": told(e),
        "need": told(1 / values.alpha),
        "objective": values.objective,
        "sessions": sessions,
        "bad": bad,
    }
    if found.compared:
        yield Reason("objective_broken_beside_stable", "warn", "soft", detail)
    else:
        yield Reason("objective_broken", "block", "objective", detail)


def safety(values: GateValues, inputs: GateInputs, found: Evidence) -> Reason | None:
    """Rule 11: the only one that says a plain allow."""
    bad, sessions = _counted(inputs)
    if sessions < values.sessions_min:
        return _by_cases(values, inputs)
    detail = {"sessions": sessions, "bad": bad}
    if bad == 0 and sessions >= values.clean_min:
        return Reason("no_bad_session", "allow", "evidence", {**detail, "need": values.clean_min})
    if found.passed >= found.need_pass:
        code = "no_worse_than_stable" if found.compared else "objective_met"
        weights = {"e_pass": told(found.passed), "need": told(found.need_pass)}
        return Reason(code, "allow", "evidence", {**detail, **weights, **(_arms(inputs) if found.compared else {})})
    return None


def insufficient(values: GateValues, inputs: GateInputs, found: Evidence) -> Reason:
    """Rule 13."""
    detail: dict[str, Any] = {
        "e_block": told(found.block),
        "e_pass": told(found.passed),
        "need": told(found.need_pass),
        "candidate_sessions": inputs.sessions,
        "baseline_sessions": inputs.baseline_sessions,
    }
    effect: GateState = values.on_insufficient
    if unjudged(values, inputs, found):
        return Reason("nothing_to_judge_by", effect, "insufficient", {**detail, "candidate_bad": inputs.bad})
    return Reason("insufficient_evidence", effect, "insufficient", detail)


def unjudged(values: GateValues, inputs: GateInputs, found: Evidence) -> bool:
    """Bad sessions, and nothing that says how many are too many: no number of further ones is evidence."""
    return inputs.bad > 0 and not found.compared and not values.objective


def needed(values: GateValues, inputs: GateInputs, found: Evidence) -> int | None:
    """About how many sessions of the candidate are evidence enough, if it is as good as the baseline."""
    bad, sessions = _counted(inputs)
    if bad == 0:
        return max(values.sessions_min, values.clean_min)
    both, both_bad = inputs.sessions + inputs.baseline_sessions, bad + inputs.baseline_bad
    if not found.compared:
        growth = math.log(found.passed) if found.passed > 1 else 0.0
        return max(values.sessions_min, round(sessions * math.log(found.need_pass) / growth)) if growth else None
    bet, share = statistics.safe(values.margin), inputs.sessions / both
    left = statistics.bad_needed(bet, share, found.need_pass / max(found.passed, 1 / found.need_pass))
    about = sessions + left / (both_bad / both) * share
    return max(values.sessions_min, round(about)) if math.isfinite(about) else None


def minutes_left(inputs: GateInputs, need: int | None) -> float | None:
    """At the pace of now. None: nobody knows, or it is too far away to say."""
    if need is None or inputs.per_minute <= 0 or need <= inputs.sessions:
        return None
    left = (need - inputs.sessions) / inputs.per_minute
    return left if left <= MINUTES_TOLD_MAX else None


def told(number: float) -> float:
    """Three digits: what people read, and what fits a document."""
    return float(f"{number:.3g}")


def _by_cases(values: GateValues, inputs: GateInputs) -> Reason | None:
    """A first step with hardly any traffic may go on by what CI ran."""
    enough = 0 < values.cases_min <= inputs.cases_passed and not inputs.cases_failed and not inputs.bad
    detail = {"cases": inputs.cases_passed, "need": values.cases_min, "sessions": inputs.sessions}
    return Reason("regression_cases_passed", "allow", "evidence", detail) if enough else None


def _counted(inputs: GateInputs) -> tuple[int, int]:
    """Bad sessions and sessions. One that is bad has run, whichever of the two was counted first."""
    bad = max(0, inputs.bad)
    return bad, max(inputs.sessions, bad)


def _arms(inputs: GateInputs) -> dict[str, int]:
    return {
        "candidate_sessions": inputs.sessions,
        "candidate_bad": inputs.bad,
        "baseline_sessions": inputs.baseline_sessions,
        "baseline_bad": inputs.baseline_bad,
    }
