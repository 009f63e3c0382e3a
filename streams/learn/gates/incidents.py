"""What an incident means for a release: by what people decided, which releases contain the fault and which the fix."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ...records import START, GateFix, GateIncident, GateInputs, GateState, GateValues, Power, Reason, least
from .evidence import Evidence

ENDED = frozenset(("resolved", "closed", "merged"))
TITLE_MAX = 100
WORSE = 3.0  # e_block from which on a release is said to be worse than one that has the same trouble
CLEAN_MIN = 100  # sessions without it, after which what nobody could reproduce is forgotten
CLEAN_FOR = timedelta(days=14)
UNSPECIFIED_FOR = timedelta(hours=24)
RISK_MAX = timedelta(days=90)
OFTEN_MIN, HOUR = 5, timedelta(hours=1)  # as the book counts it


class Found(NamedTuple):
    code: str
    effect: GateState
    rule: str
    more: dict[str, Any] = {}  # noqa: RUF012 - never written to


def open_(code: str, **more: Any) -> Found:
    return Found(code, "block", "incident", more)


def reasons(values: GateValues, inputs: GateInputs, found: Evidence, as_of: datetime) -> Iterator[Reason]:
    """Rules 2, 4, 5, 10 and 12, one reason at most for each incident."""
    for one in inputs.incidents:
        said = concerning(values, inputs, one, found.block, as_of)
        if said is not None:
            yield Reason(said.code, said.effect, said.rule, {**_told(one, said.effect), **said.more})


def concerning(
    values: GateValues, inputs: GateInputs, one: GateIncident, e_block: float, as_of: datetime
) -> Found | None:
    """What this incident says about the release asked about; None: nothing."""
    asked = inputs.question
    if one.agents and asked.agent not in one.agents:
        return None
    faulty = asked.release in one.releases or bool(one.faulty_in)
    fixed = one.outcome == "fixed" and (one.fixed_here or one.fixed_in == asked.release)
    if not faulty and not fixed:
        return None
    if one.severity not in values.severities:
        late = _late(values, one, as_of)
        return Found("incident_overdue", "warn", "soft", late) if late and not over(one) else None
    said = _fixed(values, inputs, one, faulty=faulty) if fixed and over(one) else _decided(values, one, as_of)
    if said is None:
        return None
    if any(fnmatchcase(one.detector, glob) for glob in values.never_override):
        return said._replace(effect="block", rule="never_override")
    if said.rule == "incident" and said.code != "incident_fixed_elsewhere" and _no_worse(inputs, one, e_block):
        said = Found("incident_in_baseline", "warn", "soft", {"baseline": inputs.serving})
    return _as_far_as(values, inputs, one, said, _late(values, one, as_of))


def over(one: GateIncident) -> bool:
    """A merged one has the stage of what explains it; while nobody decided on that either, it counts as open."""
    return one.stage in ENDED and not (one.stage == "merged" and one.outcome is None)


def _decided(values: GateValues, one: GateIncident, as_of: datetime) -> Found | None:
    """By outcome, of a release that contains the fault and not the fix."""
    decided_at = _moment(one.outcome_at)
    since = None if decided_at is None else as_of - decided_at
    match one.outcome:
        case "false_positive":
            return _false(values, one, since) if one.pressed else None
        case "external_cause":
            return None  # not charged to the release
        case "wont_fix":
            return Found("wont_fix", "warn", "soft")
        case "accepted_risk":
            return _risk(one, as_of)
        case "cannot_reproduce":
            return _unseen("cannot_reproduce", one, since)
        case "duplicate":
            return Found("duplicate_of_unknown", "hold", "incident", {"duplicate_of": one.duplicate_of})
        case "fixed" if over(one):
            return open_("incident_fixed_elsewhere")
        case "unspecified" if over(one):
            decided = since is not None and since >= UNSPECIFIED_FOR
            return _unseen("unspecified", one, since) if decided else open_("outcome_unspecified")
        case None if over(one):
            return None
    return open_("incident_regressed" if one.outcome == "fixed" else "incident_open")


def _false(values: GateValues, one: GateIncident, since: timedelta | None) -> Found:
    """Said by one who wants the promotion: an override, and like one it ends."""
    if since is not None and since < timedelta(seconds=values.override_s):
        return Found("false_positive_pressed", "warn", "override", {"actor": one.actor})
    return open_("false_positive_lapsed", actor=one.actor)


def _risk(one: GateIncident, as_of: datetime) -> Found:
    """A date that is missing, or has no offset, has passed."""
    until, decided_at = _moment(one.expires_at), _moment(one.outcome_at)
    if until is not None and decided_at is not None:
        until = min(until, decided_at + RISK_MAX)
    if until is None or until <= as_of:
        return open_("risk_expired")
    if decided_at is not None and _more_often(one, decided_at, as_of):
        return open_("risk_voided", count=one.count, accepted_count=one.accepted_count)
    return Found("accepted_risk", "warn", "soft", {"until": until.isoformat()})


def _more_often(one: GateIncident, decided_at: datetime, as_of: datetime) -> bool:
    """Twice as often as when the risk was accepted, by the hour: what goes on as it did is what was accepted."""
    more, opened_at = one.count - one.accepted_count, _moment(one.opened_at) or decided_at
    if not one.accepted_count or more < OFTEN_MIN:
        return False
    before, since = max(decided_at - opened_at, HOUR), max(as_of - decided_at, HOUR)
    return more / (since / HOUR) > 2 * one.accepted_count / (before / HOUR)


def _unseen(code: str, one: GateIncident, since: timedelta | None) -> Found | None:
    if one.clean >= CLEAN_MIN or (since is not None and since >= CLEAN_FOR):
        return None
    return Found(code, "warn", "soft", {"clean_sessions": one.clean, "need": CLEAN_MIN})


def _fixed(values: GateValues, inputs: GateInputs, one: GateIncident, *, faulty: bool) -> Found | None:
    """Of a release that contains the fix: whether it is proven there, or in one before it."""
    known = _proof(inputs, one)
    match known.state if known else "unverified":
        case "verified":
            return None
        case "failed":
            return Found("fix_failed", "block", "regression_case", {"how": known.how if known else ""})
        case "unreliable":
            return Found("fix_unreliable", "warn", "soft", {"how": known.how if known else ""})
    return Found("fix_unverified", values.on_unverified, "fix_unverified", {"faulty": faulty})


def _proof(inputs: GateInputs, one: GateIncident) -> GateFix | None:
    """Of this release, otherwise of the nearest before it of which something is known."""
    known = {fix.release: fix for fix in inputs.fixed if fix.incident == one.id}
    found = known.get(inputs.question.release)
    if found is not None and found.state != "unverified":
        return found
    before = (known[name] for name in inputs.lineage if name in known)
    return next((fix for fix in before if fix.state == "verified"), found)


def _no_worse(inputs: GateInputs, one: GateIncident, e_block: float) -> bool:
    """What serves has the trouble as well, so that promoting makes nothing worse, as far as sessions say."""
    serving = inputs.serving
    return bool(serving) and serving != inputs.question.release and serving in one.releases and e_block < WORSE


def _as_far_as(
    values: GateValues, inputs: GateInputs, one: GateIncident, said: Found, late: dict[str, Any]
) -> Found | None:
    """No further than everybody whose word it is may go together."""
    power: Power = least(one.judges or _detector(one), inputs.powers, values.start or START)
    if power == "shadow":
        return None
    if power != "block" and said.effect in ("block", "hold"):
        said = said._replace(effect="warn", rule="soft", more={**said.more, "power": power})
    return said._replace(more={**said.more, **late}) if said.effect == "warn" and not over(one) else said


def _detector(one: GateIncident) -> tuple[str, ...]:
    return (f"detector:{one.detector}@",)


def _late(values: GateValues, one: GateIncident, as_of: datetime) -> dict[str, Any]:
    opened_at = _moment(one.opened_at)
    if opened_at is None or as_of - opened_at <= timedelta(seconds=values.sla_s):
        return {}
    return {"open_days": (as_of - opened_at).days}


def _moment(given: datetime | None) -> datetime | None:
    """Nobody knows when a moment without an offset is."""
    return None if given is None or given.tzinfo is None else given


def _told(one: GateIncident, effect: GateState) -> dict[str, Any]:
    given = {
        "title": one.title[:TITLE_MAX],
        "outcome": one.outcome,
        "fixed_in": one.fix or one.fixed_in,
        "inferred": one.inferred and effect != "allow",
        "sighted_in": one.faulty_in,
        "ticket": one.ticket,
    }
    return {"incident": one.id, "severity": one.severity, "stage": one.stage, **{k: v for k, v in given.items() if v}}
