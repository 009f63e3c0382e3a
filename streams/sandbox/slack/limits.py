"""What Slack lets a token do: scopes for each method, and how often; calls beyond that are counted."""

import time
from collections import defaultdict, deque
from typing import Any

import msgspec

from streams.sandbox.slack.call import Refused

WINDOW_S = 60.0
TIERS = {2: 20, 3: 50, 4: 100}  # calls a minute, per method and workspace
TIER = {
    "auth.test": 4,  # a special one: hundreds
    "chat.update": 3,
    "chat.delete": 3,
    "chat.postEphemeral": 4,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.list": 2,
    "conversations.replies": 3,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "users.info": 4,
    "users.list": 2,
    "users.lookupByEmail": 3,
}
BURST = 2  # posts to one channel: one a second, and the clocks of two machines are not one
SCOPES = {
    "chat.postMessage": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.update": ("chat:write",),
    "chat.delete": ("chat:write",),
    "conversations.list": ("channels:read", "groups:read"),
    "conversations.info": ("channels:read", "groups:read"),
    "conversations.history": ("channels:history", "groups:history"),
    "conversations.replies": ("channels:history", "groups:history"),
    "usergroups.list": ("usergroups:read",),
    "usergroups.users.list": ("usergroups:read",),
    "users.list": ("users:read",),
    "users.info": ("users:read",),
    "users.lookupByEmail": ("users:read.email",),
}


class Violation(msgspec.Struct):
    """A call that Slack would have refused for coming too soon."""

    method: str
    channel: str
    at: float


class Limits:
    """`scopes`: what the token may do, None is everything."""

    def __init__(self, scopes: tuple[str, ...] | None = None) -> None:
        self.scopes = scopes
        self.violations: list[Violation] = []
        self._posts: dict[str, float] = {}
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def allow(self, method: str) -> None:
        """Raises what Slack says when a scope is missing: one of those named is enough."""
        needed = SCOPES.get(method, ())
        if self.scopes is None or not needed or set(needed) & set(self.scopes):
            return
        more: dict[str, Any] = {"needed": needed[0], "provided": ",".join(self.scopes)}
        raise Refused("missing_scope", **more)

    def count(self, method: str, channel: str) -> None:
        now = time.monotonic()
        late = self._post_too_soon(channel, now) if method == "chat.postMessage" else self._too_many(method, now)
        if late:
            self.violations.append(Violation(method, channel, time.time()))

    def _post_too_soon(self, channel: str, now: float) -> bool:
        until = max(now, self._posts.get(channel, 0.0))
        self._posts[channel] = until + 1.0
        return until - now > BURST - 1

    def _too_many(self, method: str, now: float) -> bool:
        if method not in TIER:
            return False
        calls = self._calls[method]
        while calls and now - calls[0] > WINDOW_S:
            calls.popleft()
        calls.append(now)
        return len(calls) > TIERS[TIER[method]]
