"""Writes pages: an incident understood in a minute, at night, without opening anything; and the news in its thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from ..records import Incident, OutcomeValue
from .messages import NoteDoc, PageDoc, Pairs
from .routing import BookValues
from .writing_controls import controls
from .writing_evidence import WELL, said
from .writing_outcome import along, means, missing, waits
from .writing_words import (
    MEANS,
    agents,
    before,
    changes,
    clip,
    home,
    how_many,
    links,
    moment,
    owned,
    runbook,
    since,
    told,
    where,
)

HEADLINE_MAX = 150
STEPS_MAX = 3
LINES_MAX = 12
OUTCOMES: tuple[OutcomeValue, ...] = (
    "fixed",
    "false_positive",
    "accepted_risk",
    "wont_fix",
    "external_cause",
    "cannot_reproduce",
)
OVER = ("resolved", "closed", "merged")
SAY_HOW = "Say how it ended; if nobody does, it is closed by itself."
News = Literal["recovered", "back", "closing", "assigned", "worse", "escalated", "split", "merged", "gone", "unnamed"]


def page(
    values: BookValues, incident: Incident, at: datetime, *, mention: str = "", oncall: str = "", explained: str = ""
) -> PageDoc:
    over = incident.stage in OVER
    return PageDoc(
        incident=incident.id,
        deployment=values.deployment,
        severity=incident.severity,
        state=incident.stage,
        headline=clip(f"{_state(incident)}: {incident.title}", HEADLINE_MAX),
        lines=_lines(values, incident, at)[:LINES_MAX],
        evidence=() if over else _telling(incident),
        steps=() if over else runbook(values, incident)[0][:STEPS_MAX],
        todo=_todo(incident, explained),
        links=links(values, incident),
        mention=mention,
        oncall=oncall,
        level=incident.level,
        ticket=f"{incident.id}:ticket:1",
        ticket_pending="Ticket: being opened",
        actions=_actions(incident),
        controls=controls(values, incident),
    )


def note(values: BookValues, incident: Incident, at: datetime, what: News) -> NoteDoc:
    """News under the page. The root says how things are, the thread how they came to be."""
    headline, lines = _news(values, incident, at, what)
    return NoteDoc(
        incident=incident.id,
        deployment=values.deployment,
        page=f"{incident.id}:page:1",
        headline=clip(headline, HEADLINE_MAX),
        lines=tuple(clip(line) for line in lines if line),
        actions=OUTCOMES if what == "unnamed" else _actions(incident) if what == "recovered" else (),
    )


def umbrella(
    values: BookValues,
    key: str,
    owner: str,
    counts: tuple[int, int],
    *,
    mention: str = "",
    waiting: tuple[str, ...] = (),
) -> PageDoc:
    """Said once for a minute in which an owner had more trouble than people can read. `counts`: told, held."""
    told_now, held = counts
    unit = "incident waits" if held == 1 else "incidents wait"
    lines = (
        ("Told this minute", str(told_now)),
        ("Waiting", f"{held} {unit}; told in the next minutes if still seen"),
        ("Owner", owner),
        ("Most of them", _most(waiting)),
    )
    return PageDoc(
        incident=key,
        deployment=values.deployment,
        severity="high",
        state="storm",
        headline=clip(f"Storm: {owner} has more incidents than can be told one by one", HEADLINE_MAX),
        lines=told(lines),
        todo="Look for what they share: one release, one dependency, one provider. Nothing is lost: all are open.",
        links=(("Incidents", f"{values.pages_url}/incidents"),) if values.pages_url else (),
        mention=mention,
    )


def _most(waiting: Iterable[str]) -> str:
    """An incident's id names its detector: `v1:<detector>:<subject>#<episode>`."""
    detectors = Counter(part[1] for part in (one.split(":") for one in waiting) if len(part) > 2)
    return ", ".join(f"{clip(name, 60)} ({count})" for name, count in detectors.most_common(3))


def _state(incident: Incident) -> str:
    word = incident.severity.capitalize()
    match incident.stage:
        case "resolved":
            return f"Resolved as {incident.outcome or 'unspecified'}"
        case "closed":
            return "Closed, not seen any more"
        case "merged":
            return "Part of a bigger incident"
        case "mitigated":
            return f"{word}, not seen any more"
    if incident.acknowledged_by or incident.assigned_to:
        return f"{word}, {'assigned' if incident.assigned_to else 'acknowledged'}"
    return f"{word}, escalated" if incident.level else word


def _lines(values: BookValues, incident: Incident, at: datetime) -> Pairs:
    expected = f" (expected: {incident.expected})" if incident.expected else ""
    return told(
        (
            ("What", f"{incident.observed or incident.title}{expected}"),
            ("Since", since(incident, at)),
            ("How many", how_many(incident)),
            (_place(incident), where(incident)),
            ("Owner", owned(values, incident)),
            ("Changed before", changes(incident)),
            ("Seen before", before(incident) or ("no" if incident.episode == 1 else "yes")),
            ("Decided by", "" if incident.stage == "closed" else incident.resolved_by or ""),
            ("Decision", _decision(incident)),
            ("State", _standing(incident)),
            ("Assigned to", incident.assigned_to or ""),
            ("Acknowledged by", incident.acknowledged_by or ""),
            ("More severe because", incident.rose),
            ("Hint", incident.hint or ""),
        )
    )


def _decision(incident: Incident) -> str:
    """What came with it, and why it may not count yet."""
    if incident.stage != "resolved":
        return ""
    return " ".join(filter(None, (waits(incident.decision), along(incident), missing(incident))))


def _place(incident: Incident) -> str:
    if len(incident.agents) > 1:
        return "Agents"
    return "Agent" if agents(incident) else "Where"


def _standing(incident: Incident) -> str:
    """What there is to say of it where nobody is on it."""
    if incident.stage in ("resolved", "closed", "merged"):
        return ""
    if incident.stage == "mitigated":
        since_then = f" since {moment(incident.quiet_since)}" if incident.quiet_since else ""
        return f"its agent works on without it{since_then}"
    if incident.assigned_to or incident.acknowledged_by:
        return ""
    level = f"; escalated to level {incident.level}" if incident.level else ""
    return f"nobody has acknowledged it{level}"


def _telling(incident: Incident) -> tuple[str, ...]:
    """The newest event that went wrong and says how; else the newest that went wrong; else the newest."""
    wrong = [one for one in incident.evidence if one.status not in WELL]
    found = [one for one in wrong if one.text] or wrong or list(incident.evidence)
    return tuple(said(one, incident.detector) for one in found[-1:])


def _todo(incident: Incident, explained: str) -> str:
    if incident.stage in ("resolved", "closed"):
        return means(incident)
    if incident.stage == "merged":
        bigger = f"“{clip(explained, HEADLINE_MAX)}”" if explained else f"incident {clip(incident.parent)}"
        return f"Follow {bigger}; this one takes its outcome."
    if incident.stage == "mitigated":
        return SAY_HOW
    on_it = incident.assigned_to or incident.acknowledged_by
    if on_it:
        return f"{clip(on_it)} is on it. When it is over, say how it ended."
    return "Acknowledge it, follow the steps, then say how it ended: that teaches the evaluator and the gate."


def _actions(incident: Incident) -> tuple[str, ...]:
    """What makes sense now."""
    match incident.stage:
        case "resolved" | "closed":
            return ("reopen",)
        case "merged":
            return ("split",)
        case "mitigated":
            return OUTCOMES
    first = () if incident.acknowledged_by or incident.assigned_to else ("acknowledge",)
    return (*first, "assign", "silence", *OUTCOMES)


def _news(values: BookValues, incident: Incident, at: datetime, what: News) -> tuple[str, tuple[str, ...]]:
    quiet = moment(incident.quiet_since or incident.last_seen)
    on_it = incident.assigned_to or incident.acknowledged_by
    seen = f"Seen {how_many(incident)}"
    match what:
        case "recovered":
            return "It seems to be over", (f"Its agent works on without it since {quiet}.", f"{seen}.", SAY_HOW)
        case "back":
            return "It is back", (f"Seen again at {moment(incident.last_seen)}.", f"{seen} by now.")
        case "closing":
            return "Closed", (f"Not seen since {quiet}, and nobody said how it ended.", MEANS["unspecified"])
        case "assigned":
            return (f"Assigned to {on_it}" if on_it else "Assigned"), ()
        case "worse":
            why = incident.rose or "its detector says so"
            return f"It is {incident.severity} now", (f"More severe since {moment(at)}: {why}.", f"{seen} by now.")
        case "escalated":
            return f"Escalated to level {incident.level}", (f"Nobody has answered since {moment(incident.opened_at)}.",)
        case "gone":
            lines = ("It was deleted, or we may not see it any more. No other one is opened by itself.",)
            return f"Its ticket {incident.ticket or ''} is gone", lines
        case "unnamed":
            until = "Until somebody does, it holds up the same releases for 24 hours."
            return "How did it end? Its ticket was closed without a word", (until, MEANS["unspecified"])
        case "split":
            return "Stands for itself again", ("A person said that it is no part of the bigger incident.",)
        case "merged":
            bigger = home(values, incident.parent) if incident.parent else ""
            return "Part of a bigger incident", (f"Follow {bigger or incident.parent}." if incident.parent else "",)
