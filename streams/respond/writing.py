"""Writes the documents: an incident said in a minute, in plain words, with every untrusted value clipped."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from ..records import Excerpt, Incident, OutcomeValue
from . import routing
from .messages import CommentDoc, EvidenceDoc, PageDoc, Pairs, TicketDoc, TransitionDoc
from .routing import BookValues

VALUE_MAX = 300
HEADLINE_MAX = 150
SUMMARY_MAX = 255
STEPS_MAX = 3
SESSIONS_MAX = 20  # an incident names that many; beyond it only knows "at least"
OUTCOMES: tuple[OutcomeValue, ...] = ("fixed", "false_positive", "accepted_risk", "wont_fix", "external_cause")
MEANS: dict[OutcomeValue, str] = {
    "fixed": "Releases it was already seen in only add to the count; in any other release it comes back as regressed.",
    "false_positive": "The same trouble is counted and no longer told, until the decision is taken back.",
    "accepted_risk": "The same trouble is counted and not told for 90 days, unless it becomes more severe.",
    "wont_fix": "The same trouble is counted and not told for 180 days, unless it becomes more severe.",
    "external_cause": "If it is seen again, a new ticket is opened.",
    "duplicate": "If it is seen again, a new ticket is opened.",
    "cannot_reproduce": "If it is seen again, a new ticket is opened.",
    "unspecified": "Nobody said why. If it is seen again, a new ticket is opened.",
}
CLOSE = (
    "Say how it ended when you resolve the ticket: set its Outcome field, where there is one "
    f"({', '.join(value for value in MEANS if value != 'unspecified')}), else choose the resolution that says it."
)
CORRECT = (
    "To correct this, decide again on the ticket or on the incident's page: the last decision wins. "
    "Reopening the ticket takes it back."
)


def page(values: BookValues, incident: Incident, at: datetime, *, mention: str = "", explained: str = "") -> PageDoc:
    over = incident.stage in ("resolved", "closed", "merged")
    return PageDoc(
        incident=incident.id,
        deployment=values.deployment,
        severity=incident.severity,
        state=incident.stage,
        headline=clip(f"{_state(incident)}: {incident.title}", HEADLINE_MAX),
        lines=_lines(values, incident, at),
        evidence=() if over else _telling(incident),
        steps=() if over else _steps(values, incident)[:STEPS_MAX],
        todo=_todo(incident, explained),
        links=_links(values, incident),
        mention=mention,
        ticket=f"{incident.id}:ticket:1",
        ticket_pending="Ticket: being opened",
        actions=_actions(incident),
    )


def ticket(values: BookValues, incident: Incident, at: datetime) -> TicketDoc:
    rules, owner = values.routing, routing.owner_named(values, incident.owner)
    return TicketDoc(
        incident=incident.id,
        deployment=values.deployment,
        fingerprint=incident.fingerprint,
        seed=f"{values.deployment}/{incident.id}",
        severity=incident.severity,
        project=routing.project(values, owner),
        issue_type=rules.issue_type,
        priority=rules.priorities.get(incident.severity, ""),
        summary=clip(f"[{incident.severity}] {incident.title}", SUMMARY_MAX),
        sections=_sections(values, incident),
        fields=(("Severity", incident.severity), *_lines(values, incident, at), *_subject(incident)),
        evidence=tuple(_excerpt(one) for one in incident.evidence),
        links=_links(values, incident),
        labels=("tocsin", f"tocsin-{incident.severity}"),
    )


def evidence(values: BookValues, incident: Incident) -> EvidenceDoc:
    return EvidenceDoc(
        incident=incident.id,
        deployment=values.deployment,
        ticket=f"{incident.id}:ticket:1",
        fingerprint=incident.fingerprint,
        detector=incident.detector,
        title=clip(incident.title),
        subject={clip(key): clip(value) for key, value in incident.subject.items()},
        first_seen=moment(incident.first_seen),
        last_seen=moment(incident.last_seen),
        sessions=incident.sessions,
        releases=incident.releases,
        excerpts=tuple(msgspec.json.decode(msgspec.json.encode(one)) for one in incident.evidence),
    )


def understood(values: BookValues, incident: Incident) -> CommentDoc:
    """Said under the ticket once a person decided, so that a misread decision is seen and corrected."""
    outcome = incident.outcome or "unspecified"
    where = f" in {clip(incident.fixed_in)}" if incident.fixed_in else ""
    who = f", decided by {clip(incident.resolved_by)}" if incident.resolved_by else ""
    return CommentDoc(
        incident=incident.id,
        deployment=values.deployment,
        ticket=f"{incident.id}:ticket:1",
        lines=(f"Understood as {outcome}{where}{who}.", MEANS[outcome], CORRECT),
    )


def raised(values: BookValues, incident: Incident, at: datetime) -> CommentDoc:
    """Said under the ticket when the trouble became more severe: the ticket itself is never edited."""
    return CommentDoc(
        incident=incident.id,
        deployment=values.deployment,
        ticket=f"{incident.id}:ticket:1",
        lines=(
            f"Severity is {incident.severity} now, since {moment(at)}: it rose after this ticket was opened.",
            f"By then seen {_count(incident)}; first {moment(incident.first_seen)}, last {moment(incident.last_seen)}.",
            "The summary, priority and labels above are those it was opened with.",
        ),
    )


def duplicate(values: BookValues, incident: Incident) -> TransitionDoc:
    parent = incident.parent or ""
    return TransitionDoc(
        incident=incident.id,
        deployment=values.deployment,
        to="duplicate",
        ticket=f"{incident.id}:ticket:1",
        parent=parent,
        parent_ticket=f"{parent}:ticket:1",
        lines=("Another incident explains this one or began with it; the linked ticket stands for both.",),
    )


def umbrella(values: BookValues, key: str, owner: str, counts: tuple[int, int], *, mention: str = "") -> PageDoc:
    """Said once for a minute in which an owner had more trouble than people can read. `counts`: told, held."""
    told, held = counts
    unit = "incident waits" if held == 1 else "incidents wait"
    return PageDoc(
        incident=key,
        deployment=values.deployment,
        severity="high",
        state="storm",
        headline=clip(f"Storm: {owner} has more incidents than can be told one by one", HEADLINE_MAX),
        lines=(
            ("Told this minute", str(told)),
            ("Waiting", f"{held} {unit}; told in the next minutes if still seen"),
            ("Owner", clip(owner)),
        ),
        todo="Look for what they share: one release, one dependency, one provider. Nothing is lost: all are open.",
        links=(("Incidents", f"{values.pages_url}/incidents"),) if values.pages_url else (),
        mention=mention,
    )


def clip(text: str | None, limit: int = VALUE_MAX) -> str:
    """One line of printable characters: no control or direction marks, no line breaks, at most `limit` long."""
    head = " ".join((text or "")[: limit * 4].split())
    line = "".join(c for c in head if c.isprintable())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(since: datetime, now: datetime) -> str:
    """An age in words that stay true: nobody writes a ticket again each time somebody reads it."""
    seconds = int((now - since).total_seconds())
    if seconds < 0:
        return "ahead of our clock when this was written"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} before this was written"
    return f"{seconds} s before this was written"


def _state(incident: Incident) -> str:
    if incident.stage in ("resolved", "closed"):
        return f"Resolved as {incident.outcome or 'unspecified'}"
    if incident.stage == "merged":
        return "Part of a bigger incident"
    word = incident.severity.capitalize()
    return f"{word}, acknowledged" if incident.acknowledged_by else word


def _lines(values: BookValues, incident: Incident, at: datetime) -> Pairs:
    about = incident.about
    expected = f" (expected: {incident.expected})" if incident.expected else ""
    found = (
        ("What", f"{incident.observed or incident.title}{expected}"),
        ("Since", _since(incident, at)),
        ("How many", _count(incident)),
        ("Owner", _owner(values, incident)),
        ("Agent", about.agent or incident.subject.get("agent", "")),
        ("Release", ", ".join(incident.releases) or about.release),
        ("Environment", about.environment),
        ("Dependency", incident.dependency or ""),
        ("Hint", incident.hint or ""),
        ("Acknowledged by", incident.acknowledged_by or ""),
        ("Decided by", incident.resolved_by or ""),
    )
    return tuple((label, clip(value)) for label, value in found if value)


def _since(incident: Incident, at: datetime) -> str:
    first, last = incident.first_seen, incident.last_seen
    return f"{moment(first)} ({age(first, at)}); last {moment(last)}"


def _count(incident: Incident) -> str:
    known = len(incident.sessions)
    sessions = f"{known} or more sessions" if known >= SESSIONS_MAX else f"{known} session{'s' * (known != 1)}"
    times = f"{incident.count} time{'s' * (incident.count != 1)}"
    return f"at least {times}, in {sessions}" if known else f"at least {times}"


def _owner(values: BookValues, incident: Incident) -> str:
    found = routing.route(values, incident.about, incident.subject, incident.dependency, incident.detector)
    reason = found.reason if found.owner.name == incident.owner else "routed there when it opened"
    return f"{incident.owner} ({reason})"


def _telling(incident: Incident) -> tuple[str, ...]:
    """The newest event that went wrong and says how; otherwise the newest."""
    wrong = [one for one in incident.evidence if one.status not in ("", "ok") and one.text]
    found = (wrong or incident.evidence)[-1:]
    return tuple(_excerpt(one) for one in found)


def _excerpt(one: Excerpt) -> str:
    value = "" if one.value is None else f"{one.value:g}"
    parts = (one.type, one.tool or "", one.status, one.text or "", value, f"session {one.session}" * bool(one.session))
    return clip(f"{moment(one.at)}  {' · '.join(filter(None, parts))}  ({one.position})")


def _steps(values: BookValues, incident: Incident) -> tuple[str, ...]:
    lines = (line.strip() for line in values.runbooks.get(incident.detector, "").splitlines())
    return tuple(clip(line) for line in lines if line and not _address(line))


def _address(line: str) -> bool:
    return line.startswith(("https://", "http://")) and " " not in line


def _links(values: BookValues, incident: Incident) -> Pairs:
    runbook = [line.strip() for line in values.runbooks.get(incident.detector, "").splitlines()]
    shown = [("Incident", incident.id)]
    shown += [("Bigger incident", incident.parent)] if incident.stage == "merged" and incident.parent else []
    own = tuple((label, f"{values.pages_url}/incidents/{quote(name, safe='')}") for label, name in shown)
    return (*(own if values.pages_url else ()), *(("Runbook", line) for line in runbook if _address(line)))


def _todo(incident: Incident, explained: str) -> str:
    if incident.stage in ("resolved", "closed"):
        return MEANS[incident.outcome or "unspecified"]
    if incident.stage == "merged":
        bigger = f"“{clip(explained, HEADLINE_MAX)}”" if explained else incident.parent
        return f"Follow {bigger}; this one takes its outcome."
    if incident.acknowledged_by:
        return f"{clip(incident.acknowledged_by)} is on it. When it is over, say on the incident's page how it ended."
    return (
        "Acknowledge it on the incident's page, follow the steps, then say there or on the ticket how it ended: "
        "the outcome teaches the evaluator and the gate."
    )


def _actions(incident: Incident) -> tuple[str, ...]:
    if incident.stage in ("resolved", "closed"):
        return ("reopen",)
    if incident.stage == "merged":
        return ()
    return OUTCOMES if incident.acknowledged_by else ("acknowledge", *OUTCOMES)


def _sections(values: BookValues, incident: Incident) -> tuple[tuple[str, tuple[str, ...]], ...]:
    expected = (f"Expected: {clip(incident.expected)}",) if incident.expected else ()
    hint = (f"Hint: {clip(incident.hint)}",) if incident.hint else ()
    before = (f"Previous ticket: {clip(incident.previous_ticket)}",) if incident.previous_ticket else ()
    sections = (
        ("What is wrong", (clip(incident.title), *_observed(incident), *expected, *hint, *before)),
        ("First steps", _steps(values, incident)),
        ("How to close this", (CLOSE, CORRECT)),
    )
    return tuple(section for section in sections if section[1])


def _observed(incident: Incident) -> tuple[str, ...]:
    return (f"Observed: {clip(incident.observed)}",) if incident.observed else ()


def _subject(incident: Incident) -> Pairs:
    rest = tuple((key.capitalize(), clip(value)) for key, value in incident.subject.items() if key != "agent")
    return (*rest, ("Detector", incident.detector), ("Incident", incident.id))
