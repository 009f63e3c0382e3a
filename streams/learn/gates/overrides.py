"""Overrides: who may ask for which, who may approve it, and whether one still holds. Exact, expiring, never a judgement.

An override is bound to what was known when it was asked for. What has become worse since then voids it: somebody has to
look again.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from msgspec.structs import replace

from ...records import GateIncident, GateInputs, GateValues, Override, OverrideAsked
from .evidence import weighed

# Rules of a gate that an override may name. What is not here (a kill switch, a class that is never overridden) ends
# where it was made. "incident" as a name covers no incident: those are named one by one, by id.
OVERRIDABLE = (
    "regression_case",
    "regression_vs_stable",
    "objective",
    "freeze",
    "trust",
    "fix_unverified",
    "insufficient",
)
NOT_OVERRIDABLE = ("shadow", "kill_switch", "never_override", "override", "incident", "evidence", "soft")
TWO_PEOPLE = frozenset({"freeze"})  # break-glass
AUTHORS_NOT = frozenset({"regression_case"})  # and every incident: who made the release doesn't ask for it
REASON_MIN = 20
REASONS_MAX = 20
WORSE = 10.0  # times the evidence there was
ORDER = ("low", "medium", "high", "critical")
OVER = frozenset(("resolved", "closed"))
BEEN = " (over)"
EVIDENCE_MAX = 1e300  # JSON knows no infinity


def against(values: GateValues, inputs: GateInputs) -> float:
    """The gate's evidence against the release."""
    return weighed(values, inputs).block


def holds(override: Override, inputs: GateInputs, e_block: float, as_of: datetime) -> str | None:
    """Why the override does not hold at `as_of`, in words that begin with a code; None: it holds.

    The one place that says so, shared by the gate's third rule and the pages. The caller has compared
    `override.gate` with the gate's name (inputs do not carry it) and looks afterwards whether `override.reasons` cover
    every reason that blocks or holds: an incident's id for a reason about that incident, otherwise the rule's name.
    `e_block` is the gate's evidence against the release now (0.0: none); it is bound to `override.e_block`.

    Answers one of `other: …`, `pending: …`, `ended: …`, `used: …`, `expired: …`, `voided: new_evidence: …`.
    """
    asked = inputs.question
    if (override.agent, override.release, override.environment) != (asked.agent, asked.release, asked.environment):
        return "other: it is about another release, agent or environment"
    return over(override, as_of) or worse(override, inputs, e_block)


def over(override: Override, as_of: datetime) -> str | None:
    """As far as the override itself says."""
    if override.ended_at is not None and override.ended_at <= as_of:
        return "ended: somebody ended it"
    if as_of >= override.expires_at:
        return "expired: its time is over"
    if not override.approved_by:
        return "pending: a second person has not approved it yet"
    return "used: it counted for one answer" if override.used_by else None


def worse(override: Override, inputs: GateInputs, e_block: float) -> str | None:
    """What is known now and was not then. A new one that is low is no reason to look again."""
    for one in inputs.incidents:
        if one.stage in OVER or (one.severity == "low" and one.id not in override.known):
            continue
        was = override.known.get(one.id)
        if was is None or was.endswith(BEEN):
            known_then = "was not known" if was is None else "was over"
            return f"voided: new_evidence: {one.ticket or one.id} {known_then} then"
        if _rank(one.severity) > _rank(was):
            return f"voided: new_evidence: {one.ticket or one.id} was {was} then and is {one.severity}"
    if e_block > WORSE * max(1.0, override.e_block):
        return f"voided: new_evidence: e_block was {override.e_block:.3g} then and is {e_block:.3g}"
    return None


def known(inputs: GateInputs) -> dict[str, str]:
    """What an override that is asked for now is bound to. One that is over and comes back is new evidence."""
    return {one.id: one.severity + (BEEN if one.stage in OVER else "") for one in inputs.incidents}


def asked(
    given: OverrideAsked, values: GateValues, inputs: GateInputs, e_block: float, now: datetime
) -> Override | str:
    """The override, or in words why there can be none."""
    expires_at = _moment(given.expires_at, now, values)
    if isinstance(expires_at, str):
        return expires_at
    if refused := _refused(given, values, inputs):
        return refused
    override = Override(
        id="",
        gate=given.gate,
        agent=given.agent,
        release=given.release,
        environment=given.environment,
        reasons=tuple(dict.fromkeys(given.reasons)),
        reason=given.reason.strip(),
        requested_by=given.requested_by,
        ticket=given.ticket,
        created_at=now,
        expires_at=expires_at,
        single_use=given.single_use,
        known=known(inputs),
        e_block=min(e_block, EVIDENCE_MAX),
    )
    name = hashlib.blake2b(msgspec.json.encode(override, order="deterministic"), digest_size=8).hexdigest()
    return replace(override, id=f"o-{name}")


def approvable(override: Override, actor: str, now: datetime) -> str | None:
    """Why `actor` may not approve it now; None: they may."""
    if override.approved_by:
        return f"It was approved by {override.approved_by} already."
    if why := over(replace(override, approved_by=actor), now):
        return f"It can no longer be approved: {why}."
    if second(override) and same(actor, override.requested_by):
        return "Whoever asked for it cannot approve it: a second person has to."
    return None


def second(override: Override) -> bool:
    """Whether a second person has to approve it: what is critical, and the breaking of a freeze."""
    critical = any(override.known.get(one, "").startswith("critical") for one in override.reasons)
    return critical or bool(TWO_PEOPLE & set(override.reasons))


def same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _refused(given: OverrideAsked, values: GateValues, inputs: GateInputs) -> str | None:
    if len(given.reason.strip()) < REASON_MIN:
        return f"Say why in {REASON_MIN} characters at least: people read it when they review."
    if not given.reasons or len(given.reasons) > REASONS_MAX:
        return f"Name what it covers: between 1 and {REASONS_MAX} incident ids or rules."
    asked_for, there = inputs.question, {one.id: one for one in inputs.incidents}
    if (given.agent, given.release, given.environment) != (asked_for.agent, asked_for.release, asked_for.environment):
        return f"Name the release exactly, not by an alias: it is {asked_for.release}."
    for name in given.reasons:
        if why := _unknown(name, there):
            return why
        detector = there[name].detector if name in there else ""
        if any(fnmatchcase(detector, glob) for glob in values.never_override):
            return f"{name} was found by {detector}, which the policy never lets anybody override."
    about = [name for name in given.reasons if name in there or name in AUTHORS_NOT]
    if about and inputs.author and same(inputs.author, given.requested_by):
        return f"{given.requested_by} made this release: somebody else has to ask, as it is about {about[0]}."
    return None


def _unknown(name: str, there: dict[str, GateIncident]) -> str | None:
    if any(letter in name for letter in "*?["):
        return f"{name} is a pattern: name incidents and rules exactly, one by one."
    if name in NOT_OVERRIDABLE:
        return f"{name} cannot be overridden as such: name the incidents by id, or end what blocks."
    if name not in OVERRIDABLE and name not in there:
        return f"{name} is neither an incident of this release nor a rule: {', '.join(OVERRIDABLE)}."
    return None


def _moment(given: Any, now: datetime, values: GateValues) -> datetime | str:
    """When it ends. Absent: what the policy says. A date that is none has passed."""
    if given is None:
        return now + timedelta(seconds=values.override_s)
    try:
        found = given if isinstance(given, datetime) else datetime.fromisoformat(str(given))
    except ValueError:
        return "`expires_at` is no date, which counts as expired: write 2026-11-21T18:00:00+01:00."
    if found.tzinfo is None:
        return "`expires_at` has no offset, so nobody knows when it is: it counts as expired."
    if found <= now:
        return "`expires_at` has passed: it has expired already."
    if found > now + timedelta(seconds=values.override_s_max):
        return f"`expires_at` is too far away: {values.override_s_max / 86_400:g} days at most."
    return found


def _rank(severity: str) -> int:
    """One that nobody knows is the worst."""
    return ORDER.index(severity) if severity in ORDER else len(ORDER)
