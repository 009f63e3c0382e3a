"""A Slack that runs inside this process: the Web API as the SDK uses it, pages, faults, and a rate limit."""

import hmac
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from streams.sandbox.faults import Faults
from streams.sandbox.serving import Serving, answered
from streams.sandbox.slack import chat, reading
from streams.sandbox.slack.call import Call, Refused, arguments
from streams.sandbox.slack.interaction import Interaction
from streams.sandbox.slack.limits import SCOPES, Limits, Violation
from streams.sandbox.slack.pages import Pages
from streams.sandbox.slack.sockets import Sockets
from streams.sandbox.slack.state import Workspace

CHANNELS = ("general", "incidents", "agents", "platform")


async def nothing(_: Call) -> dict[str, Any]:
    return {}


METHODS: dict[str, Callable[[Call], Awaitable[dict[str, Any]]]] = {
    "api.test": nothing,
    "auth.test": reading.auth_test,
    "chat.postMessage": chat.post,
    "chat.postEphemeral": chat.whisper,
    "chat.update": chat.update,
    "chat.delete": chat.delete,
    "chat.getPermalink": chat.get_permalink,
    "conversations.list": reading.channel_list,
    "conversations.info": reading.channel_info,
    "conversations.create": reading.channel_create,
    "conversations.join": reading.channel_info,
    "conversations.history": reading.history,
    "conversations.replies": reading.replies,
    "users.list": reading.people,
    "users.info": reading.person,
    "users.lookupByEmail": reading.person_by_email,
    "usergroups.list": reading.groups,
    "usergroups.users.list": reading.group_people,
    "reactions.add": chat.react,
}


class SandboxSlack:
    """A Slack with one app in it. What its tokens may do is in `limits`, who hears of presses in `interaction`.

    `rate_limit` is in messages per second and channel, None is none; `path` keeps messages over a restart.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        channels: tuple[str, ...] = CHANNELS,
        token: str | None = None,
        path: Path | None = None,
        rate_limit: float | None = None,
    ) -> None:
        self.workspace = Workspace(channels, path)
        self.serving = Serving(Path(__file__).parent, host, port)
        self.rate_limit = rate_limit
        self.limits = Limits()
        self.sockets = Sockets()
        self.interaction = Interaction(self.workspace, self.sockets)
        self._token = token
        self._free_at: dict[str, float] = {}
        router = self.serving.app.router
        router.add_route("*", "/api/{method}", self._call)
        router.add_get("/link/", self.sockets.link)
        router.add_get("/_sandbox/violations", self._violations)
        Pages(self.workspace, self.serving, self.interaction)

    async def start(self) -> str:
        """The address of the pages; the SDK's `base_url` is this and `/api/`."""
        return await self.serving.start()

    async def stop(self) -> None:
        await self.sockets.stop()
        await self.serving.stop()
        self.workspace.close()

    @property
    def faults(self) -> Faults:
        return self.serving.faults

    @property
    def violations(self) -> list[Violation]:
        """Calls that came faster than Slack allows, whether it would have answered 429 or not."""
        return self.limits.violations

    async def _violations(self, _: web.Request) -> web.StreamResponse:
        return answered(self.violations)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        try:
            given = await arguments(request)
            call = Call(self.workspace, self.serving.origin(request), given)
            if name == "apps.connections.open":
                self._check(request, given, self.sockets.app_token)
                return answered(
                    {"ok": True, **await self.sockets.open_connection(f"{request.scheme}://{request.host}")}
                )
            self._check(request, given, self._token)
            if name == "views.open":
                return self._scoped(answered({"ok": True, **await self.interaction.windows.open(call)}))
            if name not in METHODS:
                raise Refused("unknown_method", req_method=name)
            return self._scoped(await self._allowed(name, call))
        except Refused as refused:
            return self._scoped(answered(refused.body))

    async def _allowed(self, name: str, call: Call) -> web.Response:
        self.limits.allow(name)
        self.limits.count(name, call.text("channel"))
        if name == "chat.postMessage" and (wait := self._wait(call.channel().id)):
            limited = answered({"ok": False, "error": "ratelimited"}, status=429)
            limited.headers["Retry-After"] = str(math.ceil(wait))
            return limited
        return answered({"ok": True, **await METHODS[name](call)})

    def _scoped(self, answer: web.Response) -> web.Response:
        scopes = sorted({"chat:write"} | {one for few in SCOPES.values() for one in few})
        answer.headers["X-OAuth-Scopes"] = ",".join(self.limits.scopes if self.limits.scopes is not None else scopes)
        return answer

    def _check(self, request: web.Request, given: dict[str, Any], token: str | None) -> None:
        if token is None:
            return
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        shown = shown if scheme.lower() == "bearer" else str(given.get("token", ""))
        if not shown:
            raise Refused("not_authed")
        if not hmac.compare_digest(shown.encode(), token.encode()):
            raise Refused("invalid_auth")

    def _wait(self, channel: str) -> float:
        """Seconds until the channel takes another message; 0: it takes this one."""
        if self.rate_limit is None:
            return 0.0
        now = time.monotonic()
        wait = self._free_at.get(channel, 0.0) - now
        if wait > 0:
            return wait
        self._free_at[channel] = now + 1 / self.rate_limit
        return 0.0
