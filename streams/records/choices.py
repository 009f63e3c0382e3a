"""What a person may do to the agents of an incident, each for a while: pause, throttle, deny a tool."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from .control import ControlAsked, ControlWant, Scope
from .incident import Incident

ChoiceName = Literal["pause", "pause_release", "throttle", "deny_tool"]
CHOICES: tuple[ChoiceName, ...] = ("pause_release", "pause", "throttle", "deny_tool")
OWN = "tocsin-"  # the pipeline's own roles are nobody's agents
NAMED_MAX = 200


class Choice(NamedTuple):
    name: ChoiceName
    want: ControlWant
    scope: Scope


def choices(incident: Incident) -> tuple[Choice, ...]:
    """None where nobody is named, or several are: what hits one of them by chance helps nobody."""
    agent = incident.subject.get("agent") or incident.about.agent
    if agent.startswith(OWN) or len(incident.agents) > 1 or len(agent) > NAMED_MAX:
        agent = ""
    tool = incident.subject.get("tool", "")
    found: list[Choice] = []
    if agent and incident.releases:
        found.append(Choice("pause_release", "pause", Scope("release", agent, incident.releases[-1])))
    if agent:
        found.append(Choice("pause", "pause", Scope("agent", agent)))
        found.append(Choice("throttle", "throttle", Scope("agent", agent)))
    if tool:
        found.append(
            Choice("deny_tool", "deny_tool", Scope("agent_tool", agent, tool) if agent else Scope("tool", id=tool))
        )
    return tuple(found)


def chosen(incident: Incident, name: str) -> Choice | None:
    return next((one for one in choices(incident) if one.name == name), None)


class Said(NamedTuple):
    """By whom, where, and until when it is to hold."""

    id: str
    actor: str
    source: str
    at: datetime
    until: datetime
    affected: float | None = None


def control_asked(choice: Choice, incident: Incident, said: Said) -> ControlAsked:
    return ControlAsked(
        id=said.id,
        scope=choice.scope,
        want=choice.want,
        at=said.at,
        actor=said.actor,
        source=said.source,
        reason=incident.title,
        incident=incident.id,
        ticket=incident.ticket_url or incident.ticket or "",
        until=said.until,
        affected=said.affected,
    )
