"""Writes tickets: for somebody who has never seen this agent, and has nothing else open."""

from __future__ import annotations

from datetime import datetime

from ..records import Incident
from . import routing
from .messages import LinkDoc, Pairs, TicketDoc
from .routing import BookValues
from .writing_evidence import nine, timeline
from .writing_outcome import CORRECT
from .writing_words import (
    MEANS,
    agents,
    amount,
    before,
    changes,
    clip,
    home,
    how_many,
    links,
    moment,
    names,
    owned,
    runbook,
    since,
    told,
    where,
)

SUMMARY_MAX = 255
SENTENCE_MAX = 600
CLOSE = (
    "Say how it ended when you resolve the ticket: set its Outcome field, where there is one "
    f"({', '.join(value for value in MEANS if value != 'unspecified')}), else choose the resolution that says it."
)
NO_CHANGE = "No event told of a new release, prompt, model, set of tools or policy just before."
NO_PREVIOUS = "Not seen before, as far as is remembered."

Sections = tuple[tuple[str, tuple[str, ...]], ...]


def ticket(values: BookValues, incident: Incident, at: datetime) -> TicketDoc:
    rules, owner = values.routing, routing.owner_named(values, incident.owner)
    priorities = {**rules.priorities, **owner.priorities}
    return TicketDoc(
        incident=incident.id,
        deployment=values.deployment,
        fingerprint=incident.fingerprint,
        seed=f"{values.deployment}/{incident.id}",
        severity=incident.severity,
        project=routing.project(values, owner),
        issue_type=owner.issue_type or rules.issue_type,
        priority=priorities.get(incident.severity, ""),
        summary=clip(f"[{incident.severity}] {incident.title}", SUMMARY_MAX),
        sections=_sections(values, incident),
        fields=_fields(values, incident, at),
        nine=nine(incident),
        evidence=timeline(incident),
        links=links(values, incident),
        labels=("tocsin", f"tocsin-{incident.severity}"),
        more=owner.fields,
    )


def link(values: BookValues, incident: Incident) -> LinkDoc:
    """The way back from the ticket, where there are pages: without an address nobody is owed it."""
    over = incident.stage in ("resolved", "closed", "merged")
    ended = f"Ended as {incident.outcome}" if incident.outcome else incident.stage.capitalize()
    return LinkDoc(
        incident=incident.id,
        deployment=values.deployment,
        ticket=f"{incident.id}:ticket:1",
        url=home(values, incident.id),
        title=clip(f"Incident: {incident.title}", SUMMARY_MAX),
        summary=clip(f"{ended}; {how_many(incident)}", SUMMARY_MAX),
        resolved=over,
    )


def _sections(values: BookValues, incident: Incident) -> Sections:
    expected = f"Expected: {clip(incident.expected)}" if incident.expected else ""
    hint = f"Hint: {clip(incident.hint)}" if incident.hint else ""
    observed = f"Observed: {clip(incident.observed)}" if incident.observed else ""
    rose = f"More severe than its detector says: {clip(incident.rose)}" if incident.rose else ""
    sections = (
        ("What is wrong", (_sentence(incident), observed, expected, hint, rose)),
        ("What changed just before", (changes(incident) or NO_CHANGE,)),
        ("The last time", (before(incident) or NO_PREVIOUS,)),
        ("First steps", runbook(values, incident)[0]),
        ("How to close this", (CLOSE, CORRECT)),
    )
    told_ones = ((heading, tuple(filter(None, paragraphs))) for heading, paragraphs in sections)
    return tuple((heading, paragraphs) for heading, paragraphs in told_ones if paragraphs)


def _sentence(incident: Incident) -> str:
    """All of it in one sentence."""
    seen = f"{how_many(incident)}, since {moment(incident.first_seen)}"
    return clip(f"{clip(incident.title)} ({'; '.join(filter(None, (seen, where(incident))))}).", SENTENCE_MAX)


def _fields(values: BookValues, incident: Incident, at: datetime) -> Pairs:
    about = incident.about
    known = ("agent", "dependency", "release", "environment", "user", "owner")
    rest = ((key.capitalize(), one) for key, one in incident.subject.items() if key not in known)
    return told(
        (
            ("Severity", incident.severity),
            ("How often", how_many(incident)),
            ("Since", since(incident, at)),
            ("Owner", owned(values, incident)),
            ("Agents" if len(incident.agents) > 1 else "Agent", agents(incident)),
            ("Sessions", _sessions(incident)),
            ("Releases", names(incident.releases, 10) or about.release or incident.subject.get("release", "")),
            ("Environment", about.environment or incident.subject.get("environment", "")),
            ("User", about.user or incident.subject.get("user", "")),
            ("Dependency", incident.dependency or incident.subject.get("dependency", "")),
            *rest,
            ("Detector", incident.detector),
            ("Incident", incident.id),
        )
    )


def _sessions(incident: Incident) -> str:
    """Of what was counted over many, the evidence names a few."""
    known = incident.sessions
    if incident.agents or incident.about.session is None:
        return f"for example {names(known, 5)}" if known else ""
    return f"{amount(len(known), 'session')}: {names(known, 5)}" if known else ""
