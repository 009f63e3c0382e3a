"""One call of a Slack method: its arguments, however they were sent, and the refusal that is still an answer of 200."""

import json
from typing import Any

from aiohttp import web

from streams.sandbox.slack.state import Channel, Message, Workspace, micros


class Refused(Exception):
    """Slack answers `ok: false` with a word for the reason."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.body = {"ok": False, "error": error, **more}


class Call:
    """Arguments come as a query, a form or JSON; in the first two everything is a string."""

    def __init__(self, workspace: Workspace, base: str, given: dict[str, Any]) -> None:
        self.workspace = workspace
        self.base = base
        self._given = given

    def text(self, name: str, default: str = "") -> str:
        value = self._given.get(name, default)
        return value if isinstance(value, str) else str(value)

    def flag(self, name: str) -> bool:
        return self._given.get(name) in {True, "1", "true", "True"}  # True equals 1

    def has(self, name: str) -> bool:
        return self._given.get(name) is not None

    def nested(self, name: str, error: str) -> Any:
        value = self._given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise Refused(error) from None

    def limit(self, default: int, most: int) -> int:
        given = self.text("limit")
        if given and not given.isdecimal():
            raise Refused("invalid_limit")
        return min(int(given or 0) or default, most)

    def moment(self, name: str, default: int) -> int:
        given = self.text(name)
        try:
            return micros(given) if given else default
        except ValueError:
            raise Refused(f"invalid_ts_{name}") from None

    def channel(self) -> Channel:
        found = self.workspace.channel(self._given.get("channel"))
        if found is None:
            raise Refused("channel_not_found")
        return found

    def joined(self, *, writing: bool = False) -> Channel:
        """A channel that the app is in; an archived one can be read."""
        found = self.channel()
        if not found.is_member:
            raise Refused("not_in_channel")
        if writing and found.is_archived:
            raise Refused("is_archived")
        return found

    def message(self, channel: Channel, name: str = "ts") -> Message:
        found = channel.find(self._given.get(name))
        if found is None or found.buried:
            raise Refused("message_not_found")
        return found


async def arguments(request: web.Request) -> dict[str, Any]:
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            raise Refused("invalid_json") from None
        if not isinstance(body, dict):
            raise Refused("json_not_object")
        return given | body
    return given | dict(await request.post())
