"""Writes what a decision was understood as, what it changed, and how to correct it."""

from __future__ import annotations

from ..learn.cases.making import agent_of, case_id
from ..records import Decision, Incident, OutcomeValue
from .messages import CommentDoc
from .routing import BookValues
from .writing_words import MEANS, clip, moment

CORRECT = (
    "To correct this, decide again on the ticket or on the incident's page: the last decision wins. "
    "In a comment of its own: /outcome fixed in=2026.09.4 cause=prompt, /fp why=stale_reference, "
    "/risk until=2026-10-31, /wontfix, /external provider=…, /duplicate of=OPS-1. "
    "Reopening the ticket takes it back."
)
COUNTS: dict[OutcomeValue, str] = {
    "fixed": "as right, and acted on",
    "false_positive": "as wrong: enough of those, and it may page or hold up releases no longer",
    "accepted_risk": "as right, and acted on",
    "wont_fix": "as right, and not worth acting on",
    "external_cause": "as right; nobody had to act",
}
GATES: dict[OutcomeValue, str] = {
    "fixed": "Releases that contain the fix are free of it once it is verified; older ones stay blocked.",
    "false_positive": "It holds up no release any more.",
    "accepted_risk": "It warns about its releases, and holds them up no more until then.",
    "wont_fix": "It warns about its releases, and holds them up no more.",
    "external_cause": "It is not charged to any release.",
    "duplicate": "It holds up what its original holds up.",
    "cannot_reproduce": "It warns about its releases until it was not seen for long enough.",
    "unspecified": "It holds up the same releases as before for 24 hours, unless somebody says how it ended.",
}


def understood(values: BookValues, incident: Incident) -> CommentDoc:
    """Said under the ticket once a person decided, so that a misread decision is seen and corrected."""
    outcome = incident.outcome or "unspecified"
    where = f" in {clip(incident.fixed_in)}" if incident.fixed_in else ""
    who = f", decided by {clip(incident.resolved_by)}" if incident.resolved_by else ""
    lines = (
        f"Understood as {outcome}{where}{who}.",
        along(incident),
        missing(incident),
        waits(incident.decision),
        counts(incident),
        f"Release gates: {GATES[outcome]}",
        case(incident),
        means(incident),
        CORRECT,
    )
    ticket = f"{incident.id}:ticket:1"
    return CommentDoc(
        incident=incident.id, deployment=values.deployment, ticket=ticket, lines=tuple(line for line in lines if line)
    )


def along(incident: Incident) -> str:
    """What was said with it."""
    said = incident.decision
    if said is None:
        return ""
    parts = {
        "cause": said.cause,
        "why": said.why,
        "until": moment(said.expires_at) if said.expires_at else "",
        "to be looked at again on": moment(said.review_at) if said.review_at else "",
        "provider": said.provider,
        "the original is": said.duplicate_of,
    }
    found = ", ".join(f"{name} {clip(value)}" for name, value in parts.items() if value)
    return f"With it: {found}." if found else ""


def missing(incident: Incident) -> str:
    """What nobody said and was filled in as what is safe, or was left open."""
    said = incident.decision
    if said is None:
        return ""
    if said.inferred:
        taken = {
            "fixed": "in which release the fix is: taken as the next one that is registered",
            "accepted_risk": "until when, or longer than 90 days: taken as above",
            "wont_fix": "when to look at it again, or later than in 180 days: taken as above",
            "external_cause": "whose fault it was: taken as what the findings name",
        }.get(incident.outcome or "", "")
        return f"Nobody said {taken}." if taken else ""
    match incident.outcome:
        case "fixed" if not said.cause:
            return "Nobody said what the cause was; it may be added: /outcome fixed cause=prompt."
        case "false_positive" if not said.why:
            return "Nobody said why; it may be added: /fp why=evaluator_wrong."
        case "external_cause" if not said.provider:
            return "Nobody said whose fault it was; it may be added: /external provider=…."
        case "duplicate" if not said.duplicate_of:
            return "Nobody said of what; it may be added: /duplicate of=OPS-1."
    return ""


def waits(said: Decision | None) -> str:
    """Why it does not count yet."""
    if said is not None and said.pressed:
        return (
            "It was said by somebody who wants the release that this holds up: it frees the gate as an override only, and "
            "counts for no evaluator, until a second person says the same."
        )
    if said is not None and said.bulk:
        return "It is one of many decisions within a minute: it counts for evaluators once somebody confirms it."
    return ""


def counts(incident: Incident) -> str:
    how = COUNTS.get(incident.outcome or "unspecified", "")
    if incident.decision is not None and incident.decision.why == "test_traffic":
        how = ""
    judge = ", ".join(map(clip, incident.judges[:3])) or f"the detector {incident.detector}"
    if not how:
        return f"For {judge} it counts neither way."
    return f"For {judge} it counts {how}."


def case(incident: Incident) -> str:
    said, name = incident.decision, case_id(agent_of(incident), incident.fingerprint)
    match incident.outcome:
        case "fixed" | "accepted_risk" | "cannot_reproduce":
            kind = "A regression case"
        case "false_positive" if said is not None and not said.pressed and said.why != "test_traffic":
            kind = "A case that its evaluators have to let pass"
        case _:
            return ""
    return f"{kind} is kept as {name}; it counts once somebody writes what is expected (tocsin case expect {name})."


def means(incident: Incident) -> str:
    """What happens should it be seen again."""
    said, outcome = incident.decision, incident.outcome or "unspecified"
    if outcome == "accepted_risk" and said is not None and said.expires_at:
        until = moment(said.expires_at)
        return f"The same trouble is counted and not told until {until}, unless it becomes more severe or twice as frequent."
    if outcome == "wont_fix" and said is not None and said.review_at:
        return (
            f"The same trouble is counted and not told until {moment(said.review_at)}, unless it becomes more severe."
        )
    return MEANS[outcome]
