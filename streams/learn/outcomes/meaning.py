"""What a person decided: from a ticket's state, from words, with what is missing filled in as what is safe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from ...records import Outcome, OutcomeValue
from .persons import Persons
from .said import OUTCOMES, Said, dated, valued
from .ticket import Known, Mark, Mover, TicketRead

VALUES: frozenset[str] = frozenset(OUTCOMES)
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
NEXT = "next"
RISK, RISK_MAX = timedelta(days=30), timedelta(days=90)
REVIEW_MAX = timedelta(days=180)
MINUTE = timedelta(minutes=1)
DATED = ("accepted_risk", "wont_fix")
BY_NOBODY = ("parent", "book")  # sources that are no person's word


def decide(incident: str, known: Known, read: TicketRead, mapping: Mapping[str, str], by: Mover) -> Outcome | None:
    """The outcome that `read` adds to what is known; None: nothing new. `mapping`: resolution -> outcome."""
    if not read.done:
        if not known.done:
            return None
        before = known.outcome or "unspecified"
        return Outcome(incident, before, by.at, by.name, "jira", reason="reopened in Jira", reopened=True)
    outcome, reason = meaning(read, mapping)
    after = remembered(read, known, mapping)
    if known.done and (outcome, after.fixed_in, after.detail) == (known.outcome, known.fixed_in, known.detail):
        return None
    if known.elsewhere and not valued(read.outcome):
        return None  # somebody said it in words; a resolution that came with closing the ticket says less
    designed = outcome == "false_positive" and not valued(read.outcome)
    return Outcome(
        *(incident, outcome, by.at, by.name, "jira", after.fixed_in, reason),
        why="expected_behaviour" if designed and (read.resolution or "").strip().lower() in RESOLUTIONS else None,
        expires_at=due(read, by.at) if outcome == "accepted_risk" else None,
        review_at=due(read, by.at) if outcome == "wont_fix" else None,
        duplicate_of=read.duplicates or None if outcome == "duplicate" else None,
    )


def in_words(incident: str, said: Said, at: datetime, actor: str, source: str) -> Outcome:
    """What somebody wrote as a command."""
    return Outcome(
        *(incident, said.outcome, at, actor, source, said.fixed_in, said.reason, said.reopen, said.why, said.cause),
        expires_at=said.expires_at,
        review_at=said.review_at,
        provider=said.provider,
        duplicate_of=said.duplicate_of,
    )


def fix(read: TicketRead, outcome: OutcomeValue) -> str | None:
    """The release with the fix, as far as the ticket says."""
    return read.fix_versions[-1] if outcome == "fixed" and read.fix_versions else None


def due(read: TicketRead, at: datetime) -> datetime | None:
    """The ticket's due date, if it lies ahead; what is no day is none."""
    day = dated(read.due)
    return day if day and day > at else None


def meaning(read: TicketRead, mapping: Mapping[str, str]) -> tuple[OutcomeValue, str]:
    """The field "Outcome" first, then the resolution by the policy's map, then by the usual names; never a guess."""
    stated = valued(read.outcome)
    if stated:
        return stated, "field Outcome"
    name = (read.resolution or "").strip().lower()
    given = mapping.get(read.resolution_id) or mapping.get(name) or RESOLUTIONS.get(name)
    if given in VALUES:
        return given, f"resolution {(read.resolution or '')[:WORDS]}"  # type: ignore[return-value]
    return "unspecified", f"resolution {(read.resolution or 'empty')[:WORDS]}"


def remembered(read: TicketRead, known: Known, mapping: Mapping[str, str]) -> Known:
    """What to believe from now on about the ticket itself, whether or not it counted."""
    if not read.done:
        return Known(outcome=known.outcome)
    outcome, _ = meaning(read, mapping)
    more = {"accepted_risk": read.due, "wont_fix": read.due, "duplicate": read.duplicates}.get(outcome, "")
    return Known(done=True, outcome=outcome, fixed_in=fix(read, outcome), detail=more[:WORDS])


def complete(of: Outcome, dependency: str = "", before: Outcome | None = None) -> Outcome:
    """With what is missing filled in as what is safe, and marked as not said. Never another outcome.

    What belongs to another outcome is left out: it would be believed by nobody. `before`: the last decision on this
    incident; a button that says the same in fewer words takes none of them back.
    """
    if of.reopened:
        return replace(of, fixed_in=None, why=None, cause=None, expires_at=None, review_at=None, duplicate_of=None)
    of = _known(of, before) if before and before.outcome == of.outcome and not before.reopened else of
    bare = replace(
        of,
        fixed_in=of.fixed_in if of.outcome in ("fixed", "external_cause") else None,
        cause=of.cause if of.outcome in ("fixed", "external_cause") else None,
        why=of.why if of.outcome == "false_positive" else None,
        expires_at=of.expires_at if of.outcome == "accepted_risk" else None,
        review_at=of.review_at if of.outcome == "wont_fix" else None,
        provider=of.provider if of.outcome == "external_cause" else None,
        duplicate_of=of.duplicate_of if of.outcome == "duplicate" else None,
    )
    match of.outcome:
        case "fixed" if not of.fixed_in:
            return replace(bare, fixed_in=NEXT, inferred=True)
        case "accepted_risk":
            until = of.expires_at or of.at + RISK
            cut = min(until, of.at + RISK_MAX)
            return replace(bare, expires_at=cut, inferred=of.inferred or of.expires_at != cut)
        case "wont_fix":
            until = of.review_at or of.at + REVIEW_MAX
            cut = min(until, of.at + REVIEW_MAX)
            return replace(bare, review_at=cut, inferred=of.inferred or of.review_at != cut)
        case "external_cause" if not of.provider and dependency:
            return replace(bare, provider=dependency, inferred=True)
    return bare


def _known(of: Outcome, before: Outcome) -> Outcome:
    """With what was said before and is not said otherwise now."""
    still = before.expires_at if before.expires_at and before.expires_at > of.at else None
    return replace(
        of,
        fixed_in=of.fixed_in or (None if before.inferred else before.fixed_in),
        cause=of.cause or before.cause,
        why=of.why or before.why,
        expires_at=of.expires_at or still,
        review_at=of.review_at or before.review_at,
        provider=of.provider or (None if before.inferred else before.provider),
        duplicate_of=of.duplicate_of or before.duplicate_of,
        inferred=before.inferred and of.outcome in DATED and not (of.expires_at or of.review_at),
    )


class Rules(Struct, frozen=True):
    """What is made of an outcome before it is written down, whoever said it and wherever."""

    persons: Persons
    bulk_max: int

    def typed(self, name: str) -> str:
        """The person who types this name."""
        return self.persons.typed(name)

    def in_slack(self, number: str, name: str) -> str:
        return self.persons.named((Mark("slack", number), Mark("name", name)), name)

    def complete(self, of: Outcome, dependency: str, before: Outcome | None) -> Outcome:
        actor = of.actor if of.source in BY_NOBODY else self.persons.typed(of.actor)
        return complete(replace(of, actor=actor), dependency, before)

    def crowd(self, of: Outcome, others: Iterable[tuple[str, datetime]]) -> frozenset[str]:
        """Incidents decided together with this one by one person, if they are more than people think about."""
        times = {**dict(others), of.incident: of.at}
        found: set[str] = set()
        for begin in times.values():
            together = {name for name, at in times.items() if begin <= at <= begin + MINUTE}
            if of.incident in together and len(together) > self.bulk_max:
                found |= together
        return frozenset(found)

    def pressed(self, of: Outcome, wanting: Iterable[str]) -> bool:
        """Whether it is said by one who wants the promotion that it sets free."""
        return of.outcome == "false_positive" and any(self.persons.same(of.actor, one) for one in wanting)
