"""What is done to agents, in words that people read on pages, tickets and in the history."""

from __future__ import annotations

from ...records import ApprovalAnswered, Control, ControlAsked, Scope
from .holds import GRACE

VERBS = {
    "pause": "pause",
    "throttle": "throttle",
    "deny_tool": "deny",
    "close": "release",
    "force_open": "stop",
    "disable": "switch automatic controls off for",
    "measure": "only measure",
}


def whom(scope: Scope) -> str:
    match scope.kind:
        case "global":
            return "all agents"
        case "agent":
            return scope.agent
        case "release":
            return f"{scope.agent} {scope.id}"
        case "agent_tool":
            return f"tool {scope.id} of {scope.agent}"
    return f"{scope.kind} {scope.id}"


def wanted(ask: ControlAsked) -> str:
    """`pause support-bot 2026.09.3`."""
    tools = f"{', '.join(ask.tools)} of " if ask.tools and ask.scope.kind not in ("tool", "agent_tool") else ""
    return f"{VERBS[ask.want]} {tools}{whom(ask.scope)}"


def changed(control: Control) -> str:
    """`paused support-bot 2026.09.3 until 14:00 UTC, longer while it goes on`."""
    of = whom(control.scope)
    match control.state:
        case "closed":
            return f"{of} goes ahead again: {control.reason}" if control.reason else f"{of} goes ahead again"
        case "disabled":
            return f"{_by('automatic controls switched off', control)} for {of}{_until(control)}"
        case "half_open":
            probe = control.probe
            share = f"{probe.ratio:.0%} of the sessions" if probe else "a few sessions"
            return f"{of} on trial: {share} go ahead, {probe.min_ok if probe else 'some'} clean ones end it"
        case "metrics_only":
            return f"{of} is only measured: nothing is held back{_until(control)}"
    return f"{_by(_stopped(control), control)} {_what(control)}{_until(control)}"


def approved(ask: ControlAsked, answer: ApprovalAnswered) -> str:
    return f"{ask.reason} (approved by {answer.actor})" if ask.reason else f"approved by {answer.actor}"


def denied(ask: ControlAsked, answer: ApprovalAnswered | None) -> str:
    """None: nobody has answered."""
    if answer is None:
        return f"{wanted(ask)}: not done, nobody approved it in time"
    return f"{wanted(ask)}: not done, {answer.actor} refused it"


def _stopped(control: Control) -> str:
    if control.state == "forced_open":
        return "stopped"
    if control.scope.kind in ("tool", "agent_tool") and control.ratio is None:
        return "denied"
    if control.ratio is None:
        return "paused"
    if control.ratio == 0.0:
        return f"denied {', '.join(control.limits.tool_deny)} of"
    return "throttled"


def _what(control: Control) -> str:
    of = whom(control.scope)
    throttled = control.ratio and control.state == "open"
    return f"{of} by {control.ratio:.0%}" if throttled else of


def _by(verb: str, control: Control) -> str:
    return f"{control.actor} {verb}" if control.actor else verb


def _until(control: Control) -> str:
    if control.not_after is None:
        return " until somebody releases it"
    if control.automatic:
        return f" until {control.not_after - GRACE:%H:%M} UTC, longer while it goes on"
    return f" until {control.not_after:%Y-%m-%d %H:%M} UTC"
