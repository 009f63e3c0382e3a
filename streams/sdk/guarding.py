"""The last resort of one session, without anybody else: the same call over and over, steps, tokens, cost."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import Struct

from .halting import AgentHalted


class LocalLimits(Struct, frozen=True, kw_only=True):
    """Of one session. None: no limit."""

    same_calls: int | None = 20  # the same tool with the same arguments, in a row or not
    steps: int | None = 1000
    tokens: int | None = None
    cost: float | None = None


class Refuses(Protocol):
    def check(self, session: str, agent: str, release: str = "", tool: str | None = None) -> None: ...

    def refuse(self, halted: AgentHalted) -> None: ...


class Guard:
    """`tool` and `model` before each call, `spent` after it; each raises AgentHalted. Asks the breaker as well."""

    def __init__(self, breaker: Refuses, session: str, agent: str, release: str, *, limits: LocalLimits) -> None:
        self._breaker, self._session, self._agent, self._release = breaker, session, agent, release
        self._limits = limits
        self._same: dict[int, int] = {}
        self.steps = self.tokens = 0
        self.cost = 0.0

    def model(self) -> None:
        self._breaker.check(self._session, self._agent, self._release)
        self._stepped(None)

    def tool(self, name: str, arguments: Any = None) -> None:
        """Arguments are compared by what they say, and kept as a number only."""
        self._breaker.check(self._session, self._agent, self._release, name)
        self._stepped(name)
        most = self._limits.same_calls
        if most is None:
            return
        mark = hash((name, _text(arguments)))
        times = self._same[mark] = self._same.get(mark, 0) + 1
        if times > most:
            self._halt("same_calls", f"{name} was called {times} times with the same arguments", name)

    def spent(self, *, tokens: int = 0, cost: float = 0.0) -> None:
        self.tokens += tokens
        self.cost += cost
        limits = self._limits
        if limits.tokens is not None and self.tokens > limits.tokens:
            self._halt("tokens", f"{self.tokens} tokens, and {limits.tokens} are the limit of a session", None)
        if limits.cost is not None and self.cost > limits.cost:
            self._halt("cost", f"it has cost {self.cost:g}, and {limits.cost:g} is the limit of a session", None)

    def _stepped(self, tool: str | None) -> None:
        self.steps += 1
        if self._limits.steps is not None and self.steps > self._limits.steps:
            self._halt("steps", f"{self.steps} steps, and {self._limits.steps} are the limit of a session", tool)

    def _halt(self, limit: str, reason: str, tool: str | None) -> None:
        halted = AgentHalted(f"session:{self._session}/{limit}", reason)
        halted.about(session=self._session, agent=self._agent, release=self._release, tool=tool)
        self._breaker.refuse(halted)


def _text(arguments: Any) -> bytes:
    try:
        return msgspec.json.encode(arguments, order="deterministic")
    except (TypeError, ValueError, OverflowError):
        return repr(arguments).encode(errors="replace")
