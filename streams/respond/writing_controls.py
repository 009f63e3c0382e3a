"""Writes what a person may do to the agents of an incident, and what they are asked before it is done."""

from __future__ import annotations

from datetime import timedelta

from ..records import Incident
from ..records.choices import Choice, ChoiceName, choices
from .routing import BookValues
from .writing_words import clip, span

LABELS: dict[ChoiceName, str] = {
    "pause_release": "Pause release",
    "pause": "Pause agent",
    "throttle": "Throttle agent",
    "deny_tool": "Deny tool",
}
NAME_MAX = 80
LIVE = ("open", "acknowledged", "mitigated")


def controls(values: BookValues, incident: Incident) -> tuple[tuple[str, str, str], ...]:
    """(name, label, what is asked) of each that makes sense now."""
    if incident.stage not in LIVE or incident.detector == "canary":
        return ()
    lasts = span(timedelta(seconds=values.breaker.person_s))
    return tuple((one.name, LABELS[one.name], asked(one, lasts)) for one in choices(incident))


def asked(choice: Choice, lasts: str) -> str:
    """Whom it hits and when it ends, in at most 300 characters."""
    agent, name = (clip(one, NAME_MAX) for one in (choice.scope.agent, choice.scope.id))
    ends = f"for {lasts}; then they go on by themselves, unless somebody lets them earlier."
    match choice.name:
        case "pause_release":
            return f"All sessions of {agent} {name} are held back before their next call, {ends}"
        case "pause":
            return f"All sessions of {agent}, of every release, are held back before their next call, {ends}"
        case "throttle":
            return f"A share of the sessions of {agent} is held back before their next call, {ends}"
    whose = f"All sessions of {agent}" if agent else "All sessions of every agent"
    return f"{whose} are refused the tool {name}, {ends}"
