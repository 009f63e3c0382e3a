"""The methods that read: channels, history, threads, people, groups."""

import base64
import binascii
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

from streams.sandbox.slack.call import Call, Refused
from streams.sandbox.slack.shapes import BOT, bare, channel_shape, group_shape, person_shape
from streams.sandbox.slack.state import TEAM, micros

FOREVER = 10**18


async def auth_test(call: Call) -> dict[str, Any]:
    robot = call.workspace.robot
    return {
        "url": f"{call.base}/",
        "team": "Sandbox",
        "user": robot.name,
        "team_id": TEAM,
        "user_id": robot.id,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


async def channel_list(call: Call) -> dict[str, Any]:
    shapes = [channel_shape(call, channel) for channel in call.workspace.channels.values()]
    return _page(call, "channels", shapes)


async def channel_info(call: Call) -> dict[str, Any]:
    return {"channel": channel_shape(call, call.channel())}


async def channel_create(call: Call) -> dict[str, Any]:
    name = call.text("name")
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise Refused("invalid_name_specials")
    if call.workspace.channel(name) is not None:
        raise Refused("name_taken")
    return {"channel": channel_shape(call, call.workspace.make_channel(name))}


async def history(call: Call) -> dict[str, Any]:
    """Newest first; the cursor is the ts before which the next page begins."""
    channel, limit = call.joined(), call.limit(100, 999)
    edge = 0 if call.flag("inclusive") else 1
    oldest = call.moment("oldest", -1) + edge
    latest = call.moment("latest", FOREVER) - edge
    if cursor := call.text("cursor"):
        latest = min(latest, _opened(cursor) - 1)
    found = list(islice(channel.newest(oldest, latest), limit + 1))
    shown, metadata = found[:limit], call.flag("include_all_metadata")
    answer: dict[str, Any] = {
        "messages": [bare(call, channel, message, metadata=metadata) for message in shown],
        "has_more": len(found) > limit,
        "pin_count": 0,
        "channel_actions_ts": None,
        "channel_actions_count": 0,
    }
    return answer | _next(micros(shown[-1].ts) if len(found) > limit else None)


async def replies(call: Call) -> dict[str, Any]:
    """The whole thread, oldest first, its root on every first page."""
    channel, limit = call.joined(), call.limit(1000, 1000)
    root = channel.find(call.text("ts"))
    if root is None:
        raise Refused("thread_not_found")
    if root.is_reply:
        root = channel.find(root.thread_ts) or root
    edge = 0 if call.flag("inclusive") else 1
    oldest, latest = call.moment("oldest", -1) + edge, call.moment("latest", FOREVER) - edge
    if cursor := call.text("cursor"):
        oldest = max(oldest, _opened(cursor) + 1)
    thread = [reply for reply in channel.replies(root.ts) if oldest <= micros(reply.ts) <= latest]
    thread = thread if cursor else [root, *thread]
    shown, metadata = thread[:limit], call.flag("include_all_metadata")
    return {
        "messages": [bare(call, channel, message, metadata=metadata) for message in shown],
        "has_more": len(thread) > limit,
    } | _next(micros(shown[-1].ts) if len(thread) > limit else None)


async def people(call: Call) -> dict[str, Any]:
    return _page(call, "members", [person_shape(person) for person in call.workspace.people.values()]) | {"cache_ts": 0}


async def person(call: Call) -> dict[str, Any]:
    found = call.workspace.people.get(call.text("user"))
    if found is None:
        raise Refused("user_not_found")
    return {"user": person_shape(found)}


async def person_by_email(call: Call) -> dict[str, Any]:
    wanted = call.text("email").lower()
    for found in call.workspace.people.values():
        if found.email.lower() == wanted and not found.is_bot:
            return {"user": person_shape(found)}
    raise Refused("users_not_found")


async def groups(call: Call) -> dict[str, Any]:
    with_users = call.flag("include_users")
    return {"usergroups": [group_shape(group, with_users=with_users) for group in call.workspace.groups.values()]}


async def group_people(call: Call) -> dict[str, Any]:
    found = call.workspace.groups.get(call.text("usergroup"))
    if found is None:
        raise Refused("no_such_subteam")
    return {"users": found.users}


def _page(call: Call, name: str, shapes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    cursor = call.text("cursor")
    start, limit = _opened(cursor) if cursor else 0, call.limit(1000, 1000)
    end = start + limit
    return {name: shapes[start:end]} | _next(end if end < len(shapes) else None)


def _next(place: int | None) -> dict[str, Any]:
    cursor = "" if place is None else base64.b64encode(f"next:{place}".encode()).decode()
    return {"response_metadata": {"next_cursor": cursor}}


def _opened(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (ValueError, binascii.Error):
        raise Refused("invalid_cursor") from None
