"""A decision in words: each of the thirteen rules, what it said with its numbers, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...records import GateDecision, Reason, ReasonTold, RuleTold
from .overrides import OVERRIDABLE

RULES: dict[str, str] = {
    "kill_switch": "A kill switch is open for the agent or the release",
    "never_override": "An open incident of a class that nobody may override",
    "override": "Somebody set the reasons aside, and it holds",
    "incident": "An incident of this release whose evaluator may block",
    "regression_case": "A regression case of a declared fix fails",
    "regression_vs_stable": "Sessions fail more often than in the stable release at the same time",
    "objective": "More sessions fail than the objective allows",
    "freeze": "A freeze is active",
    "trust": "What the gate knows cannot be believed",
    "fix_unverified": "A declared fix is not verified yet",
    "evidence": "Evidence of safety",
    "soft": "Worth a look",
    "insufficient": "Not enough evidence",
}
CHANGES: dict[str, str] = {
    "kill_switch": "Close the switch: tocsin control.",
    "never_override": "Only the incident's outcome: fixed in a newer release, or false_positive.",
    "incident": "An outcome of the incident (fixed, false_positive, accepted_risk, ...), or an override that names its id.",
    "regression_case": "The case has to pass in a majority of at least three runs; or an override of this rule.",
    "regression_vs_stable": "More sessions without trouble lower the evidence; otherwise a newer release, or an override.",
    "objective": "More sessions without trouble lower the evidence; otherwise a newer release, or an override.",
    "freeze": "Its end; a release that declares what it fixes, where fixes are exempt; or an override by two people.",
    "trust": "What is named has to come back: the pipeline, an evaluator, a registered release; or an override.",
    "fix_unverified": "Runs of its regression case, or clean calls of the tool in this release; or an override.",
    "insufficient": "More sessions in this release, or an override.",
    "soft": "Nothing is held by it.",
}
CODES: dict[str, str] = {
    "release_unknown": "A session in this release, or its registration: tocsin release register.",
    "inputs_stale": "The pipeline has to catch up: see the page Health.",
    "release_ambiguous": "Ask for the release by its own name.",
    "coverage_low": "More of the ended sessions have to be judged by an evaluator.",
    "nothing_to_judge_by": (
        "A baseline that serves at the same time (a release that was promoted, or `baseline` in the question), or "
        "`objective`, the share of bad sessions that is tolerable, in this gate's policy; or an override."
    ),
    "incident_fixed_elsewhere": "Promote the release with the fix, or one made from it; or an override that names its id.",
    "sample_ratio_mismatch": "Sessions have to be split as the delivery tool says.",
}


def explained(decision: GateDecision) -> tuple[RuleTold, ...]:
    """All thirteen, in the order in which they decide; one that said nothing says so."""
    decides = _deciding(decision)
    return tuple(
        RuleTold(number, rule, title, _said(rule, decision), rule in OVERRIDABLE or rule == "incident", rule == decides)
        for number, (rule, title) in enumerate(RULES.items(), 1)
    )


def _said(rule: str, decision: GateDecision) -> tuple[ReasonTold, ...]:
    told = tuple(_told(reason) for reason in decision.reasons if reason.rule == rule)
    if rule != "override":
        return told
    return (*told, *(_override(one, _uncovered(decision)) for one in decision.overrides))


def _deciding(decision: GateDecision) -> str:
    """The first rule that says what the gate says. One that is set aside decides as long as others are not."""
    if decision.state == "warn" and any("overridden_by" in one.detail for one in decision.reasons):
        return "override"
    same = [one for one in decision.reasons if one.effect == decision.state]
    first = [one.rule for one in same if "overridden_by" not in one.detail] or [one.rule for one in same]
    return next((rule for rule in RULES if rule in first), "")


def _uncovered(decision: GateDecision) -> str:
    held = [one for one in decision.reasons if one.effect in ("block", "hold") and "overridden_by" not in one.detail]
    return ", ".join(dict.fromkeys(str(one.detail.get("incident") or one.rule) for one in held))


def _told(reason: Reason) -> ReasonTold:
    by = reason.detail.get("overridden_by")
    change = (
        CHANGES.get(reason.rule, "") if reason.rule == "soft" else CODES.get(reason.code, CHANGES.get(reason.rule, ""))
    )
    change = f"Set aside by override {by}." if by else change
    return ReasonTold(reason.code, reason.effect, reason.detail, _numbers(reason.detail), change)


def _override(one: Mapping[str, Any], uncovered: str) -> ReasonTold:
    valid = bool(one.get("valid"))
    who = f"{one.get('requested_by')}, approved by {one.get('approved_by') or 'nobody yet'}"
    words = (
        f"{one.get('id')} of {who}, until {one.get('expires_at')}; covers {', '.join(map(str, one.get('reasons', ())))}"
    )
    code = "override" if valid else "override_not_valid"
    change = "It ends, or new evidence voids it." if valid else f"{one.get('why', '')}."
    if valid and uncovered:
        change = f"It does not cover {uncovered}. An override counts once all that blocks or holds is covered."
    return ReasonTold(code, "warn", dict(one), words, change)


def _numbers(detail: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {_value(value)}" for name, value in detail.items() if value not in ("", None)
    )


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_value(one) for one in value)
    return str(value)
