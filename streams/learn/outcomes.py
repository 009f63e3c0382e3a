"""What a ticket's state says a person decided about its incident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ..records import Outcome, OutcomeValue
from .ticket import Known, Mover, TicketRead

VALUES: frozenset[str] = frozenset(get_args(OutcomeValue))
RESOLUTIONS: dict[str, OutcomeValue] = {
    "done": "fixed",
    "fixed": "fixed",
    "resolved": "fixed",
    "won't do": "wont_fix",
    "won't fix": "wont_fix",
    "declined": "wont_fix",
    "duplicate": "duplicate",
    "cannot reproduce": "cannot_reproduce",
    "incomplete": "cannot_reproduce",
    "works as designed": "false_positive",
    "not a bug": "false_positive",
    "invalid": "false_positive",
    "known error": "accepted_risk",
    "risk accepted": "accepted_risk",
    "accepted risk": "accepted_risk",
    "external": "external_cause",
    "external cause": "external_cause",
    "third party": "external_cause",
}
WORDS = 200


def decide(incident: str, known: Known, read: TicketRead, mapping: Mapping[str, str], by: Mover) -> Outcome | None:
    """The outcome that `read` adds to what is known; None: nothing new. `mapping`: resolution name -> outcome."""
    if not read.done:
        if not known.done:
            return None
        before = known.outcome or "unspecified"
        return Outcome(incident, before, by.at, by.name, "jira", reason="reopened in Jira", reopened=True)
    outcome, reason = meaning(read, mapping)
    fixed_in = fix(read, outcome)
    if known.done and (outcome, fixed_in) == (known.outcome, known.fixed_in):
        return None
    if known.elsewhere and not _stated(read):
        return None  # somebody said it in words; a resolution that came with closing the ticket says less
    return Outcome(incident, outcome, by.at, by.name, "jira", fixed_in, reason)


def fix(read: TicketRead, outcome: OutcomeValue) -> str | None:
    """The release with the fix, as far as the ticket says."""
    return read.fix_versions[-1] if outcome == "fixed" and read.fix_versions else None


def meaning(read: TicketRead, mapping: Mapping[str, str]) -> tuple[OutcomeValue, str]:
    """The field "Outcome" first, then the resolution by the policy's map, then by the usual names; never a guess."""
    stated = _stated(read)
    if stated:
        return stated, "field Outcome"
    name = (read.resolution or "").strip().lower()
    given = mapping.get(name) or RESOLUTIONS.get(name)
    if given in VALUES:
        return given, f"resolution {(read.resolution or '')[:WORDS]}"  # type: ignore[return-value]
    return "unspecified", f"resolution {(read.resolution or 'empty')[:WORDS]}"


def remembered(read: TicketRead, known: Known, mapping: Mapping[str, str]) -> Known:
    """What to believe from now on about the ticket itself, whether or not it counted."""
    if not read.done:
        return Known(outcome=known.outcome)
    outcome, _ = meaning(read, mapping)
    return Known(done=True, outcome=outcome, fixed_in=fix(read, outcome))


def _stated(read: TicketRead) -> OutcomeValue | None:
    value = (read.outcome or "").strip().lower().replace(" ", "_").replace("-", "_").replace("'", "")
    return value if value in VALUES else None  # type: ignore[return-value]
