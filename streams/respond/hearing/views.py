"""The window that asks what belongs to an outcome, once it was pressed; and what people write into it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple, get_args

import msgspec

from ...records import Cause, FalseWhy, Outcome, OutcomeValue
from .clicks import SOURCE, Click, Nonsense, printable

CALLBACK = "tocsin:outcome"
VALUE_MAX = 256
REASON_MAX = 2000
PLACE_MAX = 3000  # of what a view carries
FIELDS: dict[OutcomeValue, tuple[str, ...]] = {  # what each outcome demands
    "fixed": ("fixed_in", "cause"),
    "false_positive": ("why",),
    "accepted_risk": ("expires_at",),
    "wont_fix": ("review_at",),
    "external_cause": ("provider",),
    "duplicate": ("duplicate_of",),
}
LABELS = {
    "fixed_in": "In which release is the fix?",
    "cause": "What was the cause?",
    "why": "What was it?",
    "expires_at": "Until when? At most 90 days",
    "review_at": "When is it looked at again? Within 180 days",
    "provider": "Whose fault was it?",
    "duplicate_of": "Of which ticket or incident?",
    "reason": "In words",
}
HINTS = {
    "fixed_in": "The next one that is registered, if this stays empty",
    "expires_at": "30 days, if this stays empty",
    "review_at": "180 days, if this stays empty",
}
CHOICES: dict[str, tuple[str, ...]] = {"cause": get_args(Cause), "why": get_args(FalseWhy)}
DATES = ("expires_at", "review_at")
MORE = "Written down as {}. To say what belongs to it, use the incident's page, or a comment under its ticket: {}"
COMMANDS: dict[OutcomeValue, str] = {
    "fixed": "/outcome fixed in=2026.09.4 cause=prompt",
    "false_positive": "/fp why=stale_reference",
    "accepted_risk": "/risk until=2026-10-31",
    "wont_fix": "/wontfix review=2026-12-31",
    "external_cause": "/external provider=openai",
    "duplicate": "/duplicate of=OPS-1",
}


class Place(NamedTuple):
    """Where it was pressed, about what."""

    incident: str
    outcome: str
    channel: str


class Submission(NamedTuple):
    """`click` is the press that it amounts to: who, where, about what."""

    click: Click
    given: dict[str, Any]


def view(outcome: OutcomeValue, incident: str, channel: str) -> dict[str, Any] | None:
    """None: nothing belongs to it, or there is no room to say where it was pressed."""
    place = msgspec.json.encode(Place(incident, outcome, channel)).decode()
    if outcome not in FIELDS or len(place) > PLACE_MAX:
        return None
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": place,
        "title": _plain("How it ended"),
        "submit": _plain("Write it down"),
        "close": _plain("Leave it"),
        "blocks": [_input(name) for name in (*FIELDS[outcome], "reason")],
    }


def more(outcome: OutcomeValue) -> str:
    """What is said where no window can be opened."""
    return MORE.format(outcome.replace("_", " "), COMMANDS[outcome])


def submitted(payload: Any) -> Submission | None:
    """None: it is no window of ours. Raises Nonsense."""
    if not isinstance(payload, dict) or payload.get("type") != "view_submission":
        return None
    shown, user = _part(payload, "view"), _part(payload, "user")
    if shown.get("callback_id") != CALLBACK:
        raise Nonsense("a window that is not ours")
    try:
        place = msgspec.json.decode(_text(shown, "private_metadata"), type=Place)
    except msgspec.DecodeError:
        raise Nonsense("a window that does not say where it belongs") from None
    number, name = _text(user, "id"), _text(shown, "id")
    if not number or not name or place.outcome not in FIELDS:
        raise Nonsense("a window without its person, or about nothing")
    click = Click(
        key=f"view:{name}",
        action=place.outcome,
        incident=place.incident,
        chosen="",
        user=number,
        name=printable(_text(user, "username") or _text(user, "name") or number),
        user_team=_text(user, "team_id") or _text(_part(payload, "team"), "id"),
        channel=place.channel,
    )
    values = _part(_part(shown, "state"), "values")
    names = (*FIELDS[place.outcome], "reason")
    return Submission(click, {name: _given(name, _part(_part(values, name), name)) for name in names})


def outcome(said: Submission, at: datetime) -> Outcome:
    """A date that is over says nothing."""
    given = dict(said.given)
    for name in DATES:
        if given.get(name) is not None and given[name] <= at:
            del given[name]
    return Outcome(said.click.incident, said.click.action, at, said.click.name, SOURCE, **given)  # type: ignore[arg-type]


def _given(name: str, state: dict[str, Any]) -> Any:
    if name in DATES:
        try:
            day = datetime.fromisoformat(_text(state, "selected_date"))
            return datetime.combine(day, time(), UTC) + timedelta(days=1)
        except (ValueError, OverflowError):
            return None
    if name in CHOICES:
        chosen = _text(_part(state, "selected_option"), "value")
        return chosen if chosen in CHOICES[name] else None
    return _text(state, "value").strip()[: REASON_MAX if name == "reason" else VALUE_MAX] or None


def _input(name: str) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "input", "block_id": name, "optional": True, "label": _plain(LABELS[name])}
    if name in HINTS:
        block["hint"] = _plain(HINTS[name])
    if name in DATES:
        return {**block, "element": {"type": "datepicker", "action_id": name}}
    if name in CHOICES:
        options = [{"text": _plain(one.replace("_", " ")), "value": one} for one in CHOICES[name]]
        return {**block, "element": {"type": "static_select", "action_id": name, "options": options}}
    longest = REASON_MAX if name == "reason" else VALUE_MAX
    element = {"type": "plain_text_input", "action_id": name, "max_length": longest, "multiline": name == "reason"}
    return {**block, "element": element}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _part(found: Any, name: str) -> dict[str, Any]:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}


def _text(found: Any, name: str) -> str:
    """A NUL or half a character is nothing that Slack sends, and nothing that can be stored."""
    value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str) or "\0" in value:
        return ""
    return value.encode(errors="ignore").decode()
