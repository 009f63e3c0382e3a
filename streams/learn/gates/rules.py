"""Whether a release may go on: one pure function of policy, inputs and time, so every decision can be replayed.

Thirteen rules, in the order of RULES. All are evaluated and every reason is listed; the first that matches decides:
whatever blocks comes before whatever holds (a freeze hides no block from those who roll back), what is known to be bad
before what is unknown, and nothing but evidence of safety says a plain allow. An override changes the state of what it
covers, never the evidence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec.structs import replace

from ...records import SCORES, GateDecision, GateInputs, GateState, GateValues, PolicyDigest, Reason
from . import covering as overrides
from . import evidence, incidents, saying, trust

# What a reason's `rule` may be, in the order in which they decide. Overrides name these, or an incident by its id.
RULES = (
    "shadow",  # the gate only says what it would have answered
    "kill_switch",  # 1: ends by closing the switch
    "never_override",  # 2
    "override",  # 3
    "incident",  # 4: covered by the incident's id only
    "regression_case",  # 5
    "regression_vs_stable",  # 6
    "objective",  # 7
    "freeze",  # 8
    "trust",  # 9
    "fix_unverified",  # 10
    "evidence",  # 11
    "soft",  # 12
    "insufficient",  # 13
)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = {rule: place for place, rule in enumerate(RULES)}


def decide(values: GateValues, inputs: GateInputs, as_of: datetime) -> GateDecision:
    """The decision about `inputs.question` at `as_of`. Never asks for the time, never looks elsewhere."""
    found = evidence.weighed(values, inputs)
    held = overrides.held(values, inputs, found.block, as_of)
    reasons = overrides.marked(_reasons(values, inputs, found, as_of), held, inputs.author)
    state = decided = _state(reasons)
    summary = saying.summary(state, reasons, inputs)
    enough = any(one.rule == "evidence" for one in reasons)
    if values.shadow:
        decided, summary = "allow", f"Shadow: would {state}. {summary}"
        reasons = [Reason("shadow", "allow", "shadow", {"would": state}), *reasons]
    question, basis = inputs.question, digest(inputs)
    name = _name(values, inputs, basis, as_of)
    return GateDecision(
        decision_id=name,
        gate=values.gate,
        agent=question.agent,
        environment=question.environment,
        release=question.release,
        baseline=question.baseline,
        state=decided,
        allow=decided in ("allow", "warn"),
        block=decided == "block",
        score=SCORES[decided],
        progress=saying.progress(values, inputs, found, enough=enough),
        summary=summary,
        reasons=saying.bounded(reasons),
        overrides=overrides.listed(held),
        as_of=as_of,
        valid_until=as_of + timedelta(seconds=values.valid_s),
        retry_after_s=saying.retry_after_s(values, inputs, found, decided),
        freshness=trust.freshness(values, inputs, as_of),
        policy=PolicyDigest(values.policy, values.version),
        inputs_digest=basis,
        links=saying.links(values, inputs, name, reasons),
    )


def digest(inputs: GateInputs) -> str:
    """Identity of what was known, without when it was read: the same inputs read again have the same digest."""
    timeless = replace(inputs, read_at=NEVER, watermark=None)
    return f"sha256:{hashlib.sha256(msgspec.json.encode(timeless, order='deterministic')).hexdigest()}"


def _reasons(values: GateValues, inputs: GateInputs, found: evidence.Evidence, as_of: datetime) -> list[Reason]:
    """Of all rules, in their order."""
    return sorted(_told(values, inputs, found, as_of), key=lambda reason: _PLACE[reason.rule])


def _told(values: GateValues, inputs: GateInputs, found: evidence.Evidence, as_of: datetime) -> Iterator[Reason]:
    yield from trust.switched(inputs, as_of)
    yield from incidents.reasons(values, inputs, found, as_of)
    yield from evidence.regression(values, inputs, found)
    yield from evidence.objective(values, inputs, found)
    yield from trust.frozen(inputs, as_of)
    yield from trust.doubts(values, inputs, as_of)
    yield evidence.safety(values, inputs, found) or evidence.insufficient(values, inputs, found)


def _state(reasons: Sequence[Reason]) -> GateState:
    alone = any(one.effect == "block" and one.rule in overrides.ALONE for one in reasons)
    if not alone and overrides.covered(reasons):
        return "warn"
    return min((one.effect for one in reasons), key=saying.WORST.index, default="hold")


def _name(values: GateValues, inputs: GateInputs, basis: str, as_of: datetime) -> str:
    whole = msgspec.json.encode((values, basis, inputs.read_at, inputs.watermark, as_of), order="deterministic")
    return f"d-{hashlib.blake2b(whole, digest_size=12).hexdigest()}"
