"""Whether a release may go on: one pure function of policy, inputs and time, so every decision can be replayed.

Block beats hold beats allow, and every reason is listed. A critical or high incident blocks the releases of its agent in
which it was sighted, in every environment:

- while it is open, acknowledged or mitigated, whatever people call it meanwhile, unless they took it off the release;
- when its outcome is `fixed`: such a release contains the fault, the fix can only be in a newer one. Only a `fixed_in` that
  names this very release clears it; a fault that comes back reopens the incident, which blocks again;
- when it was closed without saying why (`unspecified`).

`false_positive`, `accepted_risk`, `wont_fix`, `external_cause`, `duplicate` and `cannot_reproduce` clear it at once. A merged
incident has the stage and outcome of its parent; while nobody decided on that one either, it counts as open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from ..records import (
    SCORES,
    Freshness,
    GateDecision,
    GateIncident,
    GateInputs,
    GateLinks,
    GateState,
    GateValues,
    PolicyDigest,
    Reason,
)

CLEARING = frozenset(("false_positive", "accepted_risk", "wont_fix", "external_cause", "duplicate", "cannot_reproduce"))
ENDED = frozenset(("resolved", "closed", "merged"))
ORDER: tuple[GateState, ...] = ("block", "hold", "warn", "allow")
REASONS_MAX = 8  # delivery tools keep the document: it stays below about 4 KB
TITLE_MAX = 120
HOLD_RETRY_S = 15
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
Why = Literal["incident_open", "incident_fixed_elsewhere", "outcome_unspecified"]


def decide(values: GateValues, inputs: GateInputs, as_of: datetime) -> GateDecision:
    """The decision about `inputs.question` at `as_of`. Never asks for the time, never looks elsewhere."""
    question = inputs.question
    blocking = [
        (why, one) for one in inputs.incidents if (why := blocks(values, one, question.agent, question.release))
    ]
    reasons = (*_incidents(blocking), *_holds(values, inputs, as_of))
    allow: GateState = "allow"
    state = min((reason.effect for reason in reasons), key=ORDER.index, default=allow)
    if state == "allow":
        reasons = (
            Reason("no_blocking_incident", "allow", "evidence", {"sessions": inputs.sessions, "bad": inputs.bad}),
        )
    basis = digest(inputs)
    name = _name(values, inputs, as_of)
    return GateDecision(
        decision_id=name,
        gate=values.gate,
        agent=question.agent,
        environment=question.environment,
        release=question.release,
        baseline=question.baseline,
        state=state,
        allow=state in ("allow", "warn"),
        block=state == "block",
        score=SCORES[state],
        progress=f"{inputs.sessions} of {values.sessions_min} sessions",
        summary=_summary(state, blocking, reasons, inputs.sessions),
        reasons=reasons,
        as_of=as_of,
        valid_until=as_of + timedelta(seconds=values.valid_s),
        retry_after_s=HOLD_RETRY_S if state == "hold" else max(1, round(values.valid_s)),
        freshness=_freshness(values, inputs, as_of),
        policy=PolicyDigest(values.policy, values.version),
        inputs_digest=basis,
        links=_links(values, inputs, name, [one for _, one in blocking]),
    )


def blocks(values: GateValues, incident: GateIncident, agent: str, release: str) -> Why | None:
    """Why this incident blocks this release of this agent; None: it does not."""
    if incident.severity not in values.severities or release not in incident.releases:
        return None
    if incident.agents and agent not in incident.agents:
        return None
    if incident.outcome in CLEARING:
        return None
    if incident.stage not in ENDED or (incident.stage == "merged" and incident.outcome is None):
        return "incident_open"
    if incident.outcome == "fixed" and incident.fixed_in != release:
        return "incident_fixed_elsewhere"
    return "outcome_unspecified" if incident.outcome == "unspecified" else None


def digest(inputs: GateInputs) -> str:
    """Identity of what was known, without when it was read: the same inputs read again have the same digest."""
    timeless = replace(inputs, read_at=NEVER, watermark=None)
    return f"sha256:{hashlib.sha256(msgspec.json.encode(timeless, order='deterministic')).hexdigest()}"


def _name(values: GateValues, inputs: GateInputs, as_of: datetime) -> str:
    whole = msgspec.json.encode((values, inputs, as_of), order="deterministic")
    return f"d-{hashlib.blake2b(whole, digest_size=12).hexdigest()}"


def _incidents(blocking: list[tuple[Why, GateIncident]]) -> Iterator[Reason]:
    for why, one in blocking[:REASONS_MAX]:
        given = {"title": one.title[:TITLE_MAX], "outcome": one.outcome, "fixed_in": one.fixed_in, "ticket": one.ticket}
        told = {key: value for key, value in given.items() if value}
        detail = {"incident": one.id, "severity": one.severity, "stage": one.stage, **told}
        yield Reason(why, "block", "incident", detail)
    if len(blocking) > REASONS_MAX:
        yield Reason("more_incidents", "block", "incident", {"more": len(blocking) - REASONS_MAX})


def _holds(values: GateValues, inputs: GateInputs, as_of: datetime) -> Iterator[Reason]:
    if not inputs.known:
        yield Reason("release_unknown", "hold", "release", {"release": inputs.question.release})
    if inputs.sessions < values.sessions_min:
        detail = {"sessions": inputs.sessions, "need": values.sessions_min}
        yield Reason("insufficient_evidence", "hold", "evidence", detail)
    age_s, lag_s = _age_s(inputs, as_of), _lag_s(inputs, as_of)
    if age_s > values.inputs_age_s_max:
        yield Reason("inputs_stale", "hold", "freshness", {"age_s": age_s, "age_s_max": values.inputs_age_s_max})
    elif lag_s is None:
        yield Reason("inputs_stale", "hold", "freshness", {"why": "no event time is known yet"})
    elif lag_s > values.lag_s_max:
        yield Reason("inputs_stale", "hold", "freshness", {"lag_s": lag_s, "lag_s_max": values.lag_s_max})


def _age_s(inputs: GateInputs, as_of: datetime) -> float:
    return max(0.0, round((as_of - inputs.read_at).total_seconds(), 3))


def _lag_s(inputs: GateInputs, as_of: datetime) -> float | None:
    return None if inputs.watermark is None else max(0.0, round((as_of - inputs.watermark).total_seconds(), 3))


def _freshness(values: GateValues, inputs: GateInputs, as_of: datetime) -> Freshness:
    lag_s = _lag_s(inputs, as_of)
    stale = _age_s(inputs, as_of) > values.inputs_age_s_max or lag_s is None or lag_s > values.lag_s_max
    return Freshness(inputs.watermark, lag_s, stale)


def _links(values: GateValues, inputs: GateInputs, name: str, blocking: list[GateIncident]) -> GateLinks:
    asked = inputs.question
    query = urlencode({"agent": asked.agent, "release": asked.release, "environment": asked.environment})
    tickets = dict.fromkeys(one.ticket_url for one in blocking[:REASONS_MAX] if one.ticket_url)
    return GateLinks(f"{values.pages}/v1/decisions/{name}", f"{values.pages}/gates?{query}", tuple(tickets))


def _summary(
    state: GateState, blocking: list[tuple[Why, GateIncident]], reasons: tuple[Reason, ...], sessions: int
) -> str:
    if state == "block":
        many = f"Blocked by {len(blocking)} incidents, first" if len(blocking) > 1 else "Blocked by"
        first = blocking[0][1]
        return f"{many} {first.ticket or first.id}: {first.title[:TITLE_MAX]}"
    if state == "hold":
        words = {
            "release_unknown": "nobody registered this release and no session ran in it",
            "insufficient_evidence": "not enough evidence yet",
            "inputs_stale": "what the gate knows is too old",
        }
        said = "; ".join(words[reason.code] for reason in reasons)
        return f"{said[0].upper()}{said[1:]}; no blocking incident."
    return f"No blocking incident in {sessions} sessions."
