"""What GitHub is told of a gate's answer: approval, refusal, a note, a check run. Changes only, and never a stranger's markup."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from ...markdown import address, line, plain
from ...records import Callback, CallbackWhat, GateDecision, Hook, Told

NOTES_MAX = 10  # of a deployment, GitHub's own bound
TEXT_MAX = 1024  # of a comment
REASONS_MAX = 6
TITLE_MAX = 200
WAITS = "waits"
PASSING = frozenset(("inputs_stale", "outcomes_stale"))  # it comes and goes: no reason for a note of its own
GAVE_UP = {"rule": timedelta(days=30), "check": timedelta(days=7)}  # as long as a run may wait; a commit is old then
# What a check run shows of a state: status and conclusion.
SHOWN = {
    "allow": ("completed", "success"),
    "warn": ("completed", "neutral"),
    "hold": ("in_progress", ""),
    WAITS: ("completed", "action_required"),
    "block": ("completed", "failure"),
}


def callback(hook: Hook, told: Told, decision: GateDecision, now: datetime) -> Callback | None:
    """What to say now; None: GitHub has heard it already."""
    codes = tuple(sorted({reason.code for reason in decision.reasons} - PASSING))
    if hook.kind == "check":
        return _check(hook, told, decision, now)
    match decision.state:
        case "allow" | "warn":
            return _said("approve", decision, replace(told, state=decision.state, codes=codes))
        case "block":
            return _said("reject", decision, replace(told, state="block", codes=codes))
    if (told.state, told.codes) == ("hold", codes) or told.notes >= NOTES_MAX:
        return None
    return _said("note", decision, replace(told, state="hold", codes=codes, notes=told.notes + 1))


def _check(hook: Hook, told: Told, decision: GateDecision, now: datetime) -> Callback | None:
    state: str = decision.state
    if state == "hold" and now - hook.at >= timedelta(seconds=hook.wait_s):
        state = WAITS
    if told.state == state:
        return None
    status, conclusion = SHOWN[state]
    said = _said("update" if told.remote else "create", decision, replace(told, state=state))
    return replace(said, status=status, conclusion=conclusion)


def _said(what: CallbackWhat, decision: GateDecision, told: Told) -> Callback:
    return Callback(
        what,
        text(decision),
        replace(told, decision=decision.decision_id),
        title=line(f"{decision.state}: {decision.summary}")[:TITLE_MAX],
        url=decision.links.self,
    )


def text(decision: GateDecision) -> str:
    """Markdown of at most 1,024 characters: whole lines, the links first, since they matter most."""
    links = [link for one in (*decision.links.tickets[:1], decision.links.self) if (link := address(one))]
    head = f"**{decision.state}**: {plain(decision.summary)[:400]}"
    lines = [head, *(f"- {link}" for link in links)]
    if decision.state == "hold":
        lines.append(f"- progress: {plain(decision.progress)[:100]}")
    for reason in decision.reasons[:REASONS_MAX]:
        about = reason.detail.get("title") or reason.detail.get("why") or ""
        lines.append(f"- {plain(reason.rule)}: {plain(reason.code)} {plain(str(about))[:150]}".rstrip())
    shown = lines[0]
    for one in lines[1:]:
        if len(shown) + 1 + len(one) <= TEXT_MAX:
            shown = f"{shown}\n{one}"
    return shown[:TEXT_MAX]


def over(hook: Hook, told: Told, now: datetime) -> bool:
    """Whether there is nothing more to say: a rule is answered once, and nobody waits for ever."""
    return (hook.kind == "rule" and told.state in ("allow", "warn", "block")) or now - hook.at >= GAVE_UP[hook.kind]
