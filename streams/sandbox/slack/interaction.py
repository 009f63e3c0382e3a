"""A press on a button, as Slack tells an app of it: over its socket, or signed and over HTTP."""

import hashlib
import hmac
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from streams.sandbox.slack.call import Call
from streams.sandbox.slack.shapes import APP, bare
from streams.sandbox.slack.sockets import Sockets
from streams.sandbox.slack.state import TEAM, Channel, Message, Person, Workspace
from streams.sandbox.slack.views import View, Windows, filled

ANSWER_S_MAX = 3.0


class Press(msgspec.Struct):
    """What somebody pressed, and what became of it."""

    payload: dict[str, Any]
    heard: bool = False
    said: str = ""  # what the app answered, or why nobody heard it


class NothingThere(Exception):
    """The message has no such element."""


class Interaction:
    """With an address, presses go there; without one, to whoever has a socket open."""

    def __init__(self, workspace: Workspace, sockets: Sockets) -> None:
        self.url: str | None = None
        self.secret: str | None = None
        self.presses: list[Press] = []
        self.windows = Windows()
        self._workspace, self._sockets = workspace, sockets

    async def press(self, place: tuple[Channel, Message], action_id: str, person: Person, chosen: str = "") -> Press:
        """Raises NothingThere."""
        channel, message = place
        payload = self._payload(channel, message, _pressed(message, action_id, chosen), person)
        return await self.send(payload)

    async def submit(self, view: View, **given: str) -> Press:
        """The person to whom it was shown fills it in; `given` by block."""
        person = self._workspace.people[view.user]
        state = {"values": filled(view, given)}
        payload = {
            "type": "view_submission",
            "team": {"id": TEAM, "domain": "sandbox"},
            "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team},
            "api_app_id": APP,
            "token": "verification-token-of-old",
            "trigger_id": self.windows.trigger(person.id),
            "view": {"id": view.id, "team_id": TEAM, **view.body, "state": state, "hash": f"{time.time():.6f}"},
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }
        return await self.send(payload)

    async def send(self, payload: dict[str, Any]) -> Press:
        press = Press(payload)
        self.presses.append(press)
        if self.url:
            press.heard, press.said = await self._posted(self.url, payload)
        else:
            press.heard = await self._sockets.deliver(payload)
            press.said = "acknowledged" if press.heard else "nobody has heard it yet"
        return press

    def signed(self, body: bytes, at: int | None = None) -> dict[str, str]:
        """The headers that Slack would send with it."""
        stamp = str(int(time.time()) if at is None else at)
        digest = hmac.new((self.secret or "").encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
        }

    async def _posted(self, url: str, payload: dict[str, Any]) -> tuple[bool, str]:
        body = encoded(payload)
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=body, headers=self.signed(body), allow_redirects=False) as answer,
            ):
                return answer.status == 200, f"{answer.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            return False, type(error).__name__

    def _payload(self, channel: Channel, message: Message, action: dict[str, Any], person: Person) -> dict[str, Any]:
        thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
        call = Call(self._workspace, "", {})
        return {
            "type": "block_actions",
            "user": {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team},
            "api_app_id": APP,
            "token": "verification-token-of-old",
            "container": {
                "type": "message", "message_ts": message.ts, "channel_id": channel.id, "is_ephemeral": False, **thread,
            },
            "trigger_id": self.windows.trigger(person.id),
            "team": {"id": TEAM, "domain": "sandbox"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": channel.id, "name": channel.name},
            "message": bare(call, channel, message, metadata=False),
            "state": {"values": {}},
            "response_url": f"https://hooks.slack.com/actions/{TEAM}/{time.time_ns()}/{secrets.token_urlsafe(16)}",
            "actions": [{**action, "action_ts": f"{time.time():.6f}"}],
        }  # fmt: skip


def encoded(payload: dict[str, Any]) -> bytes:
    """As a form, which is how Slack posts it."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def _pressed(message: Message, action_id: str, chosen: str) -> dict[str, Any]:
    for place, block in enumerate(message.blocks):
        for element in (*block.get("elements", ()), *([block["accessory"]] if "accessory" in block else ())):
            if isinstance(element, dict) and element.get("action_id") == action_id:
                return _action(element, str(block.get("block_id", f"b{place}")), chosen)
    raise NothingThere(action_id)


def _action(element: dict[str, Any], block_id: str, chosen: str) -> dict[str, Any]:
    action = {"type": element["type"], "action_id": element["action_id"], "block_id": block_id}
    match element["type"]:
        case "button":
            return action | {key: element[key] for key in ("text", "value", "style") if key in element}
        case "users_select":
            return {**action, "selected_user": chosen}
        case "static_select" | "overflow" | "radio_buttons":
            for option in element["options"]:
                if option.get("value") == chosen:
                    return {**action, "selected_option": option}
    raise NothingThere(f"{element['action_id']}: {chosen}")
