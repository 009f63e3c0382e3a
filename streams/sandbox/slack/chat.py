"""The methods that write: post, update, delete, react."""

import re
from typing import Any

from streams.sandbox.slack import blocks as kit
from streams.sandbox.slack.call import Call, Refused
from streams.sandbox.slack.shapes import bare, permalink
from streams.sandbox.slack.state import Message

LONGEST = 40_000
METADATA = 16_000
EDITED = {"type", "user", "text", "team", "bot_id", "app_id", "blocks", "edited", "metadata"}  # what an edit repeats


async def post(call: Call) -> dict[str, Any]:
    channel = call.joined(writing=True)
    text, blocks, metadata = call.text("text"), _blocks(call), _metadata(call)
    if not text.strip() and not blocks:
        raise Refused("no_text")
    thread = call.text("thread_ts") or None
    if thread is not None:
        parent = channel.find(thread)
        if parent is None:
            raise Refused("thread_not_found")
        if parent.is_reply:
            raise Refused("cannot_reply_to_message")
    message = Message(
        ts=channel.next_ts(),
        user=call.workspace.robot.id,
        text=text,
        blocks=blocks or [],
        thread_ts=thread,
        broadcast=thread is not None and call.flag("reply_broadcast"),
        metadata=metadata or None,
    )
    call.workspace.keep(channel, message)
    shown = bare(call, channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": shown}


async def update(call: Call) -> dict[str, Any]:
    """What is not named stays; an empty list of blocks or an empty metadata takes them away."""
    channel = call.joined(writing=True)
    message = call.message(channel)
    if message.user != call.workspace.robot.id:
        raise Refused("cant_update_message")
    blocks, metadata = _blocks(call), _metadata(call)
    if not call.has("text") and not call.has("blocks"):
        raise Refused("no_text")
    message.text = call.text("text") if call.has("text") else message.text
    message.blocks = message.blocks if blocks is None else blocks
    message.metadata = message.metadata if metadata is None else metadata or None
    message.edited = channel.next_ts()
    call.workspace.keep(channel, message)
    shown = bare(call, channel, message, metadata=True)
    shown = {key: value for key, value in shown.items() if key in EDITED}
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


async def whisper(call: Call) -> dict[str, Any]:
    """chat.postEphemeral: one person sees it, nobody can find it again."""
    channel, person = call.joined(writing=True), call.workspace.people.get(call.text("user"))
    if person is None:
        raise Refused("user_not_in_channel")
    if not call.text("text").strip() and not _blocks(call):
        raise Refused("no_text")
    channel.whispers.append((person.id, call.text("text")))
    return {"message_ts": channel.next_ts()}


async def delete(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.message(channel)
    if message.user != call.workspace.robot.id:
        raise Refused("cant_delete_message")
    call.workspace.delete(channel, message)
    return {"channel": channel.id, "ts": message.ts}


async def get_permalink(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.message(channel, "message_ts")
    return {"channel": channel.id, "permalink": permalink(call.base, channel, message)}


async def react(call: Call) -> dict[str, Any]:
    channel = call.channel()
    message = call.message(channel, "timestamp")
    name, robot = call.text("name").strip(":"), call.workspace.robot.id
    if not re.fullmatch(r"[a-z0-9_+'-]{1,100}", name):
        raise Refused("invalid_name")
    users = message.reactions.setdefault(name, [])
    if robot in users:
        raise Refused("already_reacted")
    users.append(robot)
    call.workspace.keep(channel, message)
    return {}


def _blocks(call: Call) -> list[dict[str, Any]] | None:
    blocks: Any = call.nested("blocks", "invalid_blocks_format")
    if len(call.text("text")) > LONGEST:
        raise Refused("msg_too_long")
    if blocks is None:
        return None
    if complaints := kit.wrong(blocks):
        shown = [f"[ERROR] {complaint}" for complaint in complaints]
        raise Refused("invalid_blocks", errors=complaints, response_metadata={"messages": shown})
    if kit.total(blocks) > kit.TOTAL:
        raise Refused("msg_blocks_too_long")
    found: list[dict[str, Any]] = blocks
    return found


def _metadata(call: Call) -> dict[str, Any] | None:
    metadata = call.nested("metadata", "invalid_metadata_format")
    if metadata is None:
        return None
    if metadata == {}:
        return {}
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    if not isinstance(metadata.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if len(str(metadata)) > METADATA:
        raise Refused("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}
