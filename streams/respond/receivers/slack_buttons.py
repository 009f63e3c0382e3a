"""The buttons under a page: what a person may say about an incident without leaving Slack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...records.choices import CHOICES

Element = dict[str, Any]

PREFIX = "tocsin:"  # of an action's id, and of the block's, which names the incident
ELEMENTS_MAX = 25
SURE_MAX = 300
NAME_MAX = 240  # of an incident in a block's id, of 255 characters
SPANS = (("1h", "1 hour"), ("4h", "4 hours"), ("tomorrow", "Until tomorrow"))
NOTHING_WRONG = "Nothing was wrong? Then the same trouble is no longer told, until this is taken back."
OUTCOMES = {
    "accepted_risk": "Accepted risk",
    "wont_fix": "Won't fix",
    "external_cause": "External cause",
    "duplicate": "Duplicate",
    "cannot_reproduce": "Cannot reproduce",
}


def block(incident: str, actions: Sequence[str]) -> Element | None:
    """None: there is nothing to press. Buttons say which incident; what is chosen says it by its block."""
    if not incident or len(incident) > NAME_MAX:
        return None
    elements = [DRAWN[action](incident) for action in dict.fromkeys(actions) if action in DRAWN]
    outcomes = [action for action in dict.fromkeys(actions) if action in OUTCOMES]
    if outcomes:
        options = [_option(OUTCOMES[outcome], outcome) for outcome in outcomes]
        elements.append({"type": "overflow", "action_id": f"{PREFIX}outcome", "options": options})
    if not elements:
        return None
    return {"type": "actions", "block_id": f"{PREFIX}{incident}", "elements": elements[:ELEMENTS_MAX]}


def controls(incident: str, offered: Sequence[tuple[str, str, str]]) -> Element | None:
    """What may be done to agents: each asks first, and says whom it hits and when it ends."""
    if not incident or len(incident) > NAME_MAX or not offered:
        return None
    elements = [
        _button(name, label, style="danger", confirm=_sure(label, text[:SURE_MAX]))(incident)
        for name, label, text in offered
        if name in CHOICES
    ]
    return {"type": "actions", "block_id": f"{PREFIX}hold:{incident}", "elements": elements} if elements else None


def _button(action: str, label: str, **look: Any) -> Callable[[str], Element]:
    """`look`: its style, what is asked before it counts."""

    def drawn(incident: str) -> Element:
        button = {"type": "button", "action_id": f"{PREFIX}{action}", "text": _plain(label), "value": incident}
        return {**button, **look}

    return drawn


def _sure(title: str, text: str) -> Element:
    return {"title": _plain(title), "text": _plain(text), "confirm": _plain("Yes"), "deny": _plain("Cancel")}


def _silence(_: str) -> Element:
    options = [_option(label, span) for span, label in SPANS]
    return {
        "type": "static_select",
        "action_id": f"{PREFIX}silence",
        "placeholder": _plain("Silence"),
        "options": options,
    }


def _assign(_: str) -> Element:
    return {"type": "users_select", "action_id": f"{PREFIX}assign", "placeholder": _plain("Assign")}


def _option(label: str, value: str) -> Element:
    return {"text": _plain(label), "value": value}


def _plain(text: str) -> Element:
    return {"type": "plain_text", "text": text, "emoji": False}


DRAWN: dict[str, Callable[[str], Element]] = {
    "acknowledge": _button("acknowledge", "Acknowledge", style="primary"),
    "silence": _silence,
    "assign": _assign,
    "false_positive": _button(
        "false_positive", "False positive", style="danger", confirm=_sure("False positive", NOTHING_WRONG)
    ),
    "fixed": _button("fixed", "Fixed"),
    "reopen": _button("reopen", "Reopen"),
    "split": _button("split", "Not part of it"),
    "approve": _button("approve", "Approve", style="primary"),
    "refuse": _button("refuse", "Refuse", style="danger"),
}
