"""How a decision is told: few enough reasons for delivery tools to keep, a sentence for people, how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from ...records import GateInputs, GateLinks, GateState, GateValues, Reason
from .evidence import Evidence, minutes_left, needed, unjudged

OF_A_RULE_MAX = 4
BYTES_MAX = 2_600  # of the reasons: the document stays below about 4 KB
TITLE_MAX = 120
HOLD_RETRY_S, HOLD_RETRY_S_MAX = 15, 60
WORST: tuple[GateState, ...] = ("block", "hold", "warn", "allow")
HOLDS = {
    "release_unknown": "nobody registered this release and no session ran in it",
    "release_ambiguous": "several releases go by this name",
    "releases_cyclic": "the graph of releases turns in a circle",
    "insufficient_evidence": "not enough evidence yet",
    "nothing_to_judge_by": "some sessions were bad, and there is no baseline of the same time and no objective to judge them by",
    "inputs_stale": "what the gate knows is too old",
    "clock_skewed": "event time is ahead of the clock",
    "incidents_cut": "there are more incidents than a gate reads",
    "baseline_uncounted": "the baseline is being counted",
    "coverage_low": "too few sessions were judged",
    "sample_ratio_mismatch": "sessions are not split as declared",
    "frozen": "there is a freeze",
    "fix_unverified": "a fix is not verified yet",
    "duplicate_of_unknown": "an incident is a duplicate of something unknown",
}


def bounded(reasons: Sequence[Reason], bytes_max: int = BYTES_MAX) -> tuple[Reason, ...]:
    """The first of each rule, and for each rule how many more there are. The worst of a rule come first."""
    kept = _kept(reasons, OF_A_RULE_MAX)
    for most in range(OF_A_RULE_MAX - 1, 0, -1):
        if len(msgspec.json.encode(kept)) <= bytes_max:
            break
        kept = _kept(reasons, most)
    return tuple(kept)


def _kept(reasons: Sequence[Reason], most: int) -> list[Reason]:
    kept: list[Reason] = []
    for rule in dict.fromkeys(reason.rule for reason in reasons):
        some = sorted((one for one in reasons if one.rule == rule), key=lambda one: WORST.index(one.effect))
        kept += some[:most]
        if len(some) > most:
            kept.append(Reason("more", some[most].effect, rule, {"more": len(some) - most}))
    return kept


def progress(values: GateValues, inputs: GateInputs, found: Evidence, *, enough: bool) -> str:
    if enough:
        return f"{inputs.sessions} candidate sessions, which is enough"
    if unjudged(values, inputs, found):
        return f"{inputs.bad} bad of {inputs.sessions} candidate sessions, nothing to judge them by"
    need = needed(values, inputs, found)
    if need is None or need <= inputs.sessions:
        return f"{inputs.sessions} candidate sessions, more are needed"
    left = minutes_left(inputs, need)
    return f"{inputs.sessions} of about {need} candidate sessions" + (f", about {_span(left)} to go" if left else "")


def retry_after_s(values: GateValues, inputs: GateInputs, found: Evidence, state: GateState) -> int:
    if state != "hold":
        return max(1, round(values.valid_s))
    left = minutes_left(inputs, needed(values, inputs, found))
    return HOLD_RETRY_S if left is None else round(min(max(left * 60, HOLD_RETRY_S), HOLD_RETRY_S_MAX))


def _span(minutes: float) -> str:
    if minutes < 1.5:
        return "1 min"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def summary(state: GateState, reasons: Sequence[Reason], inputs: GateInputs) -> str:
    """`reasons` as all rules gave them."""
    same = [one for one in reasons if one.effect == state]
    deciding = [one for one in same if "overridden_by" not in one.detail] or same
    if state == "block":
        return _blocked(deciding)
    if state == "hold":
        codes = dict.fromkeys(one.code for one in deciding)
        said = "; ".join(HOLDS.get(code, code.replace("_", " ")) for code in codes)
        return f"{said[:1].upper()}{said[1:]}; no blocking incident."
    if any("overridden_by" in one.detail for one in reasons):
        return "Overridden: everything that blocks or holds was taken upon themselves by people."
    if state == "warn":
        names = dict.fromkeys(str(one.detail.get("ticket") or one.code.replace("_", " ")) for one in deciding)
        return f"No blocking incident in {inputs.sessions} sessions; worth a look: {', '.join([*names][:3])}."
    return f"No blocking incident in {inputs.sessions} sessions."


def _blocked(deciding: Sequence[Reason]) -> str:
    first = deciding[0]
    about = [one for one in deciding if "incident" in one.detail]
    if "incident" in first.detail:
        many = f"Blocked by {len(about)} incidents, first" if len(about) > 1 else "Blocked by"
        detail = first.detail
        return f"{many} {detail.get('ticket') or detail['incident']}: {detail.get('title', '')[:TITLE_MAX]}"
    words = {
        "kill_switch_open": f"the kill switch of {first.detail.get('scope')} is open",
        "worse_than_stable": "sessions fail more often than in the baseline",
        "measure_worse_than_stable": f"{first.detail.get('measure')} is worse than in the baseline",
        "objective_broken": "more sessions fail than the objective allows",
    }
    return f"Blocked: {words.get(first.code, first.code.replace('_', ' '))}."


def links(values: GateValues, inputs: GateInputs, name: str, reasons: Sequence[Reason]) -> GateLinks:
    asked = inputs.question
    query = urlencode({"agent": asked.agent, "release": asked.release, "environment": asked.environment})
    told = {one.detail.get("incident") for one in reasons if one.effect != "allow"}
    urls = dict.fromkeys(one.ticket_url for one in inputs.incidents if one.ticket_url and one.id in told)
    return GateLinks(
        f"{values.pages}/v1/decisions/{name}", f"{values.pages}/gates?{query}", tuple(urls)[:OF_A_RULE_MAX]
    )
