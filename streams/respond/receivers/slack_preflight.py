"""Whether a real Slack would take our pages: credentials, scopes, channels, mentions, buttons, clocks. Only reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from ...records import Refused
from .slack_people import ID
from .slack_wire import Said, Wire

NEEDED = {
    "chat:write": "post pages: without that nobody is told anything",
    "channels:history": "look for a page whose answer was lost: without that it is sent twice",
    "groups:history": "the same in private channels",
    "users:read": "see who is mentioned",
    "users:read.email": "mention people by their address",
    "usergroups:read": "mention user groups by their handle",
}
SKEW_S_MAX = 60.0  # a look for a lost page begins so much earlier; signatures live five minutes


class Found(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


async def preflight(
    wire: Wire,
    channels: Sequence[str],
    mentions: Sequence[str] = (),
    *,
    app: Wire | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Found]:
    """As far as it gets: whoever is not let in need not hear of channels. `app`: with the app token, for buttons."""
    said = await wire.asked(lambda slack: slack.auth_test())
    if not isinstance(said, Said):
        return [Found(ok=False, what="credentials", says=f"Slack does not let us in: {said.why}")]
    team, user = _text(said.body, "team"), _text(said.body, "user")
    found = [
        Found(ok=True, what="credentials", says=f"signed in to {team} ({_text(said.body, 'team_id')}) as {user}"),
        *_scopes(said.headers),
        _clock(said.headers, now()),
    ]
    found += [await _channel(wire, channel) for channel in dict.fromkeys(channels)]
    found += await _mentions(wire, list(dict.fromkeys(mentions)))
    return [*found, *([await _buttons(app)] if app is not None else [])]


def _scopes(headers: Mapping[str, str]) -> list[Found]:
    given = {one.strip() for one in headers.get("x-oauth-scopes", "").split(",")} - {""}
    if not given:
        return [Found(ok=True, what="scopes", says="Slack does not say which ones the token has")]
    missing = [f"{scope} ({why})" for scope, why in NEEDED.items() if scope not in given]
    if missing:
        return [Found(ok=False, what="scopes", says=f"missing: {'; '.join(missing)}")]
    return [Found(ok=True, what="scopes", says="all that are needed")]


def _clock(headers: Mapping[str, str], now: datetime) -> Found:
    try:
        there = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return Found(ok=True, what="clock", says="Slack does not say what time it is")
    skew_s = (now - (there if there.tzinfo else there.replace(tzinfo=UTC))).total_seconds()
    if abs(skew_s) <= SKEW_S_MAX:
        return Found(ok=True, what="clock", says="ours and Slack's agree")
    way = "ahead of" if skew_s > 0 else "behind"
    return Found(
        ok=False, what="clock", says=f"ours is {abs(skew_s):.0f} s {way} Slack's; a signed press may be refused"
    )


async def _channel(wire: Wire, channel: str) -> Found:
    """Asked as a lost page would be looked for: that needs no scope more."""
    answer = await wire.call(lambda slack: slack.conversations_history(channel=channel, limit=1))
    if isinstance(answer, dict):
        return Found(ok=True, what=f"channel {channel}", says="is there, and we are in it")
    says = {
        "not_in_channel": "we are not in it: invite the app there",
        "channel_not_found": "is not there, or is private and the app was not invited; name it by its id, C…",
        "missing_scope": "cannot be read: channels:history or groups:history is missing",
    }.get(answer.why, f"cannot be looked at: {answer.why}")
    return Found(ok=False, what=f"channel {channel}", says=says)


async def _mentions(wire: Wire, mentions: list[str]) -> list[Found]:
    groups: Any = None
    found = []
    for name in mentions:
        person = name.startswith(("U", "W")) if ID.match(name) else "@" in name.lstrip("@")
        if person:
            found.append(await _person(wire, name))
            continue
        groups = groups or await wire.call(lambda slack: slack.usergroups_list())
        found.append(_group(groups, name))
    return found


async def _person(wire: Wire, name: str) -> Found:
    what = f"mention {name}"
    if ID.match(name):
        answer = await wire.call(lambda slack: slack.users_info(user=name))
    else:
        answer = await wire.call(lambda slack: slack.users_lookupByEmail(email=name))
    if not isinstance(answer, dict):
        unknown = isinstance(answer, Refused) and answer.why in ("user_not_found", "users_not_found")
        return Found(ok=False, what=what, says="nobody of that name" if unknown else f"cannot be asked: {answer.why}")
    user = answer.get("user")
    if isinstance(user, dict) and user.get("deleted"):
        return Found(ok=False, what=what, says="has left: nobody would be woken")
    return Found(ok=True, what=what, says="is a person")


def _group(groups: Any, name: str) -> Found:
    what, wanted = f"mention {name}", name.lstrip("@")
    if not isinstance(groups, dict):
        return Found(ok=False, what=what, says=f"user groups cannot be asked: {groups.why}")
    for group in groups.get("usergroups") or ():
        if wanted in (_text(group, "id"), _text(group, "handle")):
            gone = bool(group.get("date_delete"))
            says = "is disabled: nobody would be woken" if gone else "is a user group"
            return Found(ok=not gone, what=what, says=says)
    return Found(ok=False, what=what, says="no user group of that name: nobody would be woken")


async def _buttons(app: Wire) -> Found:
    answer = await app.call(lambda slack: slack.api_call("apps.connections.open"))
    if isinstance(answer, dict) and _text(answer, "url"):
        return Found(ok=True, what="buttons", says="the app token opens a socket")
    why = "an answer without an address" if isinstance(answer, dict) else answer.why
    return Found(ok=False, what="buttons", says=f"the app token opens no socket (connections:write): {why}")


def _text(found: Any, name: str) -> str:
    value = found.get(name) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""
