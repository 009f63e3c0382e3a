"""Regression cases: made of what people decided, drafts until somebody says what is expected, judged by their runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from ...intake.secrets import without_secrets
from ...records import CaseScoredData, CaseState, CaseWritten, Decided, Incident, Outcome, RegressionCase, evaluator_id
from ...step import Order, Step

Judged = Literal["verified", "failed", "unreliable", "missing"]
RUNS_MIN = 3
TEXT_MAX = 4000
REFERENCES_MAX = 20


def case_state(runs: int, passes: int, baseline_passes: int | None, runs_min: int = RUNS_MIN) -> Judged:
    """What the runs of one case in one release say. The majority decides; too few runs say nothing.

    A case that fails in the baseline as well tells the two apart no longer: it is shown, and blocks nobody. One that
    passes is verified whatever the baseline does, which is expected to fail what it was made of.
    """
    if runs < max(1, runs_min) or not 0 <= passes <= runs:
        return "missing"
    if 2 * passes > runs:
        return "verified"
    if baseline_passes is not None and 2 * baseline_passes <= runs:
        return "unreliable"
    return "failed"


def judged(scores: Iterable[CaseScoredData], runs_min: int = RUNS_MIN) -> Judged:
    """The same of all that CI said of one case in one release: runs add up, whoever made them."""
    useful = [one for one in scores if one.passes <= one.runs]
    against = [one for one in useful if one.baseline_passes is not None]
    runs, passes = sum(one.runs for one in useful), sum(one.passes for one in useful)
    state = case_state(runs, passes, None, runs_min)
    if state != "failed" or not against:
        return state
    beside = sum(one.runs for one in against)
    fails_there = 2 * sum(one.baseline_passes or 0 for one in against) <= beside
    return "unreliable" if fails_there and beside >= runs_min else "failed"


def case_id(agent: str, fingerprint: str) -> str:
    """The same trouble of the same agent is one case, however often it comes back."""
    return "case-" + blake2b(f"{agent}\n{fingerprint}".encode(errors="replace"), digest_size=10).hexdigest()


def agent_of(incident: Incident) -> str:
    return incident.subject.get("agent") or incident.about.agent


class Kept(Struct, frozen=True, array_like=True):
    """One case, and the decision that it was made of last."""

    case: RegressionCase
    decided_at: datetime
    shelved: bool = False  # a person retired it: no later decision brings it back, only words do


class Cases:
    """Keyed by case. What one says is the whole case, as it is from now on."""

    name = "cases"
    version = 1
    memory = Kept
    reads: tuple[type, ...] = (Decided, CaseWritten)
    order: Order = "near"  # of two decisions the later one counts, but what it adds to what was there is kept

    def __init__(self, redaction: str) -> None:
        self._redaction = redaction  # the policy's digest

    def key(self, record: Any) -> str | None:
        if isinstance(record, Decided):
            return case_id(agent_of(record.incident), record.incident.fingerprint)
        return record.id or None if isinstance(record, CaseWritten) else None

    def step(self, memory: Kept | None, record: Any) -> Step[Kept]:
        if isinstance(record, CaseWritten):
            return _written(memory, record) if memory else Step(None)
        outcome: Outcome = record.outcome
        if memory is not None and outcome.at < memory.decided_at:
            return Step(memory)
        if outcome.reopened or not kept(outcome):
            return _withdrawn(memory, outcome)
        made = _made(record, self._redaction)
        case = _merged(made, memory) if memory else made
        said = () if memory and case == memory.case else (case,)
        after = Kept(case, outcome.at, bool(memory and memory.shelved))
        return Step(memory if after == memory else after, said)


def kept(outcome: Outcome) -> bool:
    """Whether there is something to learn from. What was said under pressure waits for a second person."""
    match outcome.outcome:
        case "fixed" | "accepted_risk" | "cannot_reproduce":
            return True
        case "external_cause":
            return outcome.cause is not None or bool(outcome.fixed_in)  # something on the agent's side helps
        case "false_positive":
            return not outcome.pressed and outcome.why != "test_traffic"
    return False


def _made(record: Decided, redaction: str) -> RegressionCase:
    outcome, incident = record.outcome, record.incident
    return RegressionCase(
        id=case_id(agent_of(incident), incident.fingerprint),
        agent=agent_of(incident),
        incident=incident.id,
        fingerprint=incident.fingerprint,
        state="draft",
        title=clean(incident.title),
        observed=clean(incident.observed or ""),
        evaluators=incident.judges or (evaluator_id("detector", incident.detector, incident.version),),
        sessions=incident.sessions,
        references=tuple(one.position for one in incident.evidence)[:REFERENCES_MAX],
        ticket=incident.ticket or "",
        introduced_in=incident.releases,
        fixed_in=outcome.fixed_in or "",
        negative=outcome.outcome == "false_positive",
        redaction=redaction,
        at=outcome.at,
    )


def _merged(made: RegressionCase, memory: Kept) -> RegressionCase:
    """What a person wrote stays, as long as the same is expected: a judge's case is not an agent's."""
    before = memory.case
    made = replace(made, at=before.at, input=before.input)
    if before.negative == made.negative:
        made = replace(made, expectation=before.expectation, author=before.author)
    state: CaseState = "retired" if memory.shelved else "ready" if made.expectation else "draft"
    return replace(made, state=state)


def _withdrawn(memory: Kept | None, outcome: Outcome) -> Step[Kept]:
    """Nobody stands by it any more. What a person wrote down stays: it says how the agent should be."""
    if memory is None:
        return Step(None)
    if memory.case.state != "draft":
        same = outcome.at == memory.decided_at
        return Step(memory if same else replace(memory, decided_at=outcome.at))
    case = replace(memory.case, state="retired", fixed_in="")
    return Step(replace(memory, case=case, decided_at=outcome.at), (case,))


def _written(memory: Kept, record: CaseWritten) -> Step[Kept]:
    case, shelved = memory.case, memory.shelved
    if record.expectation is not None:
        expectation = clean(record.expectation)
        case, shelved = replace(case, expectation=expectation, author=record.actor), False
        case = replace(case, state="ready" if expectation else "draft")
    if record.input is not None:
        case = replace(case, input=clean(record.input))
    if record.retired:
        case, shelved = replace(case, state="retired"), True
    said = (case,) if case != memory.case else ()
    after = Kept(case, memory.decided_at, shelved)
    return Step(memory if after == memory else after, said)


def clean(text: str) -> str:
    """Nothing of it is a secret, and it has an end."""
    return without_secrets(text.strip(), [])[:TEXT_MAX]
