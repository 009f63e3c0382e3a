"""Channels, people, groups and messages as Slack puts them on the wire."""

from typing import Any

from streams.sandbox.slack.call import Call
from streams.sandbox.slack.state import TEAM, Channel, Group, Message, Person

BOT = "B0TOCSIN01"
APP = "A0TOCSIN01"


def bare(call: Call, channel: Channel, message: Message, *, metadata: bool) -> dict[str, Any]:
    """A message; `metadata` only when it was asked for."""
    shape: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "team": TEAM,
    }
    if message.user == call.workspace.robot.id:
        shape |= {"bot_id": BOT, "app_id": APP}
    if message.blocks:
        shape["blocks"] = [{"block_id": f"b{place}", **block} for place, block in enumerate(message.blocks)]
    if message.edited is not None:
        shape["edited"] = {"user": message.user, "ts": message.edited}
    if metadata and message.metadata is not None:
        shape["metadata"] = message.metadata
    if message.reactions:
        shape["reactions"] = [
            {"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()
        ]
    if message.buried:
        shape |= {"subtype": "tombstone", "hidden": True}
    return shape | _thread(channel, message)


def _thread(channel: Channel, message: Message) -> dict[str, Any]:
    if message.is_reply:
        parent = channel.find(message.thread_ts)
        shape = {"thread_ts": message.thread_ts, "parent_user_id": parent.user if parent else ""}
        return {**shape, "subtype": "thread_broadcast"} if message.broadcast else shape
    replies = channel.replies(message.ts)
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": users,
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
        "is_locked": False,
        "subscribed": False,
    }


def permalink(base: str, channel: Channel, message: Message) -> str:
    link = f"{base}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    return f"{link}?thread_ts={message.thread_ts}&cid={channel.id}" if message.is_reply else link


def channel_shape(call: Call, channel: Channel) -> dict[str, Any]:
    nobody = {"value": "", "creator": "", "last_set": 0}
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": False,
        "is_archived": channel.is_archived,
        "is_general": channel.name == "general",
        "is_member": channel.is_member,
        "is_shared": False,
        "created": channel.created,
        "creator": call.workspace.robot.id,
        "context_team_id": TEAM,
        "num_members": len(call.workspace.people),
        "topic": nobody,
        "purpose": nobody,
    }


def person_shape(person: Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "team_id": person.team,
        "name": person.name,
        "real_name": person.full_name,
        "deleted": False,
        "is_bot": person.is_bot,
        "is_app_user": False,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "updated": 0,
        "profile": {
            "real_name": person.full_name,
            "display_name": person.name,
            "email": person.email,
            "team": TEAM,
        },
    }


def group_shape(group: Group, *, with_users: bool) -> dict[str, Any]:
    shape = {
        "id": group.id,
        "team_id": TEAM,
        "is_usergroup": True,
        "is_external": False,
        "name": group.name,
        "handle": group.handle,
        "description": "",
        "date_create": 0,
        "date_update": 0,
        "date_delete": 0,
        "user_count": len(group.users),
        "prefs": {"channels": [], "groups": []},
    }
    return {**shape, "users": group.users} if with_users else shape
