"""Kill switches, freezes, and whether what a gate knows may be believed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase

from ...records import Control, Freeze, Freshness, GateInputs, GateValues, Reason
from .evidence import told
from .statistics import SAMPLE_RATIO_E, skew

NAMES_MAX = 5


def switched(inputs: GateInputs, as_of: datetime) -> Iterator[Reason]:
    """Rule 1, and as a soft finding what detection holds back by itself."""
    for control in inputs.controls:
        if not _stops(control, inputs) or _lapsed(control, as_of):
            continue
        detail = {"scope": control.scope.key, "state": control.state, "reason": control.reason[:100]}
        if control.state == "forced_open" or (control.actor and not control.automatic):
            yield Reason("kill_switch_open", "block", "kill_switch", {**detail, "actor": control.actor})
        else:
            yield Reason("breaker_open", "warn", "soft", {**detail, "incident": control.incident})


def _stops(control: Control, inputs: GateInputs) -> bool:
    """All sessions of the agent or of this release; one that only denies a tool or throttles stops no promotion."""
    asked, scope = inputs.question, control.scope
    whole = control.state == "forced_open" or (
        control.state in ("open", "half_open") and control.ratio is None and not control.limits.tool_deny
    )
    if scope.kind == "release":
        return whole and (scope.agent, scope.id) == (asked.agent, asked.release)
    return whole and (scope.kind == "global" or (scope.kind == "agent" and scope.agent == asked.agent))


def _lapsed(control: Control, as_of: datetime) -> bool:
    until = control.not_after
    return until is not None and until.tzinfo is not None and until <= as_of


def frozen(inputs: GateInputs, as_of: datetime) -> Iterator[Reason]:
    """Rule 8. Holds promotion, so it can never hide a block from whoever rolls back."""
    for one in inputs.freezes:
        if _frozen(one, inputs, as_of):
            detail = {"freeze": one.id, "until": one.ends.isoformat(), "reason": one.reason[:100], "actor": one.actor}
            yield Reason("frozen", "hold", "freeze", detail)


def _frozen(one: Freeze, inputs: GateInputs, as_of: datetime) -> bool:
    asked = inputs.question
    if one.exempt == "fixes" and inputs.fixes:
        return False
    if not _any(asked.agent, one.agents) or not _any(asked.environment, one.environments):
        return False
    if one.ended_at is not None and (one.ended_at.tzinfo is None or one.ended_at <= as_of):
        return False
    if one.begins.tzinfo is None or one.ends.tzinfo is None:
        return True  # nobody knows when it ends
    return one.begins <= as_of < one.ends


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def doubts(values: GateValues, inputs: GateInputs, as_of: datetime) -> Iterator[Reason]:
    """Rule 9."""
    yield from _identity(inputs)
    yield from _staleness(values, inputs, as_of)
    if inputs.incidents_cut:
        yield Reason("incidents_cut", "hold", "trust", {"why": "there are more incidents than a gate reads"})
    if inputs.uncompared:
        yield Reason("baseline_uncounted", "hold", "trust", {"baseline": inputs.question.baseline})
    if inputs.evaluated < values.coverage_min * inputs.ended:
        covered = {"coverage": told(inputs.evaluated / inputs.ended), "need": values.coverage_min}
        yield Reason("coverage_low", "hold", "trust", {**covered, "ended": inputs.ended})
    e = skew(inputs.shares)
    if e >= SAMPLE_RATIO_E:
        found = [[one.declared, one.candidate, one.baseline] for one in inputs.shares[:NAMES_MAX]]
        yield Reason("sample_ratio_mismatch", "hold", "trust", {"e": told(e), "need": SAMPLE_RATIO_E, "shares": found})


def _identity(inputs: GateInputs) -> Iterator[Reason]:
    release = inputs.question.release
    if inputs.ambiguous:
        names = list(inputs.ambiguous[:NAMES_MAX])
        yield Reason("release_ambiguous", "hold", "trust", {"release": release, "means": names})
    elif not inputs.known:
        yield Reason("release_unknown", "hold", "trust", {"release": release})
    if inputs.cyclic:
        yield Reason("releases_cyclic", "hold", "trust", {"release": release})


def _staleness(values: GateValues, inputs: GateInputs, as_of: datetime) -> Iterator[Reason]:
    age_s, lag_s = _age_s(inputs, as_of), _lag_s(inputs, as_of)
    if age_s > values.inputs_age_s_max:
        yield Reason("inputs_stale", "hold", "trust", {"age_s": age_s, "age_s_max": values.inputs_age_s_max})
    elif lag_s is None:
        yield Reason("inputs_stale", "hold", "trust", {"why": "no event time is known yet"})
    elif lag_s > values.lag_s_max:
        yield Reason("inputs_stale", "hold", "trust", {"lag_s": lag_s, "lag_s_max": values.lag_s_max})
    elif lag_s < -values.lag_s_max:
        yield Reason("clock_skewed", "hold", "trust", {"ahead_s": -lag_s, "lag_s_max": values.lag_s_max})
    if inputs.tickets_away:
        yield Reason(
            "outcomes_stale", "allow", "trust", {"why": "tickets cannot be read: decided on what was known last"}
        )


def freshness(values: GateValues, inputs: GateInputs, as_of: datetime) -> Freshness:
    lag_s = _lag_s(inputs, as_of)
    stale = _age_s(inputs, as_of) > values.inputs_age_s_max or lag_s is None or abs(lag_s) > values.lag_s_max
    return Freshness(inputs.watermark, None if lag_s is None else max(0.0, lag_s), stale)


def _age_s(inputs: GateInputs, as_of: datetime) -> float:
    return max(0.0, round((as_of - inputs.read_at).total_seconds(), 3))


def _lag_s(inputs: GateInputs, as_of: datetime) -> float | None:
    """Below zero: event time is ahead of the clock."""
    return None if inputs.watermark is None else round((as_of - inputs.watermark).total_seconds(), 3)
