"""A press on one of our buttons in Slack, as a record for the incident book."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple, get_args

from ...records import Acknowledgement, Assignment, Outcome, OutcomeValue, Silence, Split

PREFIX = "tocsin:"
SOURCE = "slack"
NAME_MAX = 100
INCIDENT_MAX = 2000
SPANS = {"1h": timedelta(hours=1), "4h": timedelta(hours=4)}
MORNING = 8  # o'clock UTC, when a silence until tomorrow ends
OUTCOMES = frozenset(get_args(OutcomeValue))

Record = Acknowledgement | Assignment | Outcome | Silence | Split


class Nonsense(Exception):
    """It is not what Slack sends for one of our buttons; the message says why and quotes nothing."""


class Click(NamedTuple):
    """One action of a payload. `key` is the same however often Slack tells it."""

    key: str
    action: str
    incident: str
    chosen: str
    user: str
    name: str
    user_team: str
    channel: str
    trigger: str = ""  # lets us open a window, for three seconds


def clicks(payload: Any) -> list[Click]:
    """Those of its actions that are ours; raises Nonsense."""
    if not isinstance(payload, dict) or payload.get("type") != "block_actions":
        raise Nonsense("not an action on a message")
    actions = payload.get("actions")
    if not isinstance(actions, list):
        raise Nonsense("no actions")
    return [_click(payload, action) for action in actions if _text(action, "action_id").startswith(PREFIX)]


def record(click: Click, fingerprint: str, at: datetime) -> Record:
    """What the person has said; raises Nonsense."""
    match click.action:
        case "acknowledge":
            return Acknowledgement(click.incident, at, click.name, SOURCE)
        case "assign":
            if not click.chosen:
                raise Nonsense("nobody was chosen")
            return Assignment(click.incident, click.chosen, at, click.name, SOURCE)
        case "silence":
            name = f"slack-{hashlib.blake2b(click.key.encode(), digest_size=8).hexdigest()}"
            matchers = {"fingerprint": fingerprint}
            return Silence(name, matchers, "pressed in Slack", click.name, at, _until(click.chosen, at), source=SOURCE)
        case "reopen":
            return Outcome(click.incident, "unspecified", at, click.name, SOURCE, reopened=True)
        case "split":
            return Split(click.incident, at, click.name, SOURCE)
    outcome = click.chosen if click.action == "outcome" else click.action
    if outcome not in OUTCOMES:
        raise Nonsense("an action that is not known here")
    return Outcome(click.incident, outcome, at, click.name, SOURCE)  # type: ignore[arg-type]


def _until(chosen: str, at: datetime) -> datetime:
    if chosen == "tomorrow":
        return (at + timedelta(days=1)).replace(hour=MORNING, minute=0, second=0, microsecond=0)
    if chosen not in SPANS:
        raise Nonsense("a span that is not known here")
    return at + SPANS[chosen]


def _click(payload: dict[str, Any], action: dict[str, Any]) -> Click:
    user, name = _part(payload, "user"), _text(action, "action_id")
    container = _part(payload, "container")
    number, at = _text(user, "id"), _text(action, "action_ts")
    incident = _text(action, "value") or _text(action, "block_id").removeprefix(PREFIX)
    if not number or not at or not incident or len(incident) > INCIDENT_MAX:
        raise Nonsense("an action without its person, time or incident")
    return Click(
        key=json.dumps([number, name, at, incident]),
        action=name.removeprefix(PREFIX),
        incident=incident,
        chosen=_text(action, "selected_user") or _text(_part(action, "selected_option"), "value"),
        user=number,
        name=printable(_text(user, "username") or _text(user, "name") or number),
        user_team=_text(user, "team_id") or _text(_part(payload, "team"), "id"),
        channel=_text(_part(payload, "channel"), "id") or _text(container, "channel_id"),
        trigger=_text(payload, "trigger_id"),
    )


def printable(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable())[:NAME_MAX] or "somebody"


def _part(found: Any, name: str) -> dict[str, Any]:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def _text(found: Any, name: str) -> str:
    """A NUL or half a character is nothing that Slack sends, and nothing that can be stored."""
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str) or "\0" in value:
        return ""
    return value.encode(errors="ignore").decode()
