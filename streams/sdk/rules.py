"""Controls, compiled for looking up: what an agent asks before every call, without a lock and without making anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..records.control import Control, Limits, OnStale, held_back


class Rule:
    """What one control does. Times are the controller's, in seconds since 1970."""

    __slots__ = ("control", "denied", "measured", "on_stale", "ratio", "scope", "then", "until_s")

    def __init__(self, control: Control) -> None:
        self.control, self.scope = control, control.scope.key
        self.ratio, self.denied = control.held, frozenset(control.limits.tool_deny)
        self.until_s = control.not_after.timestamp() if control.not_after else None
        self.on_stale: OnStale = control.on_stale
        self.measured = control.state == "metrics_only"
        self.then = Rule(_beneath(control)) if control.beneath else None

    def over(self, now_s: float, *, stale: bool) -> bool:
        """A lease ends whether or not anybody says so; a person's word without an end stays, unless it says otherwise."""
        if self.until_s is not None and now_s >= self.until_s:
            return True
        return stale and (self.on_stale == "close" or (self.on_stale == "expire" and self.until_s is None))

    def denies(self, session: str, tool: str | None) -> bool:
        return (tool is not None and tool in self.denied) or held_back(session, self.ratio)


def _beneath(control: Control) -> Control:
    under = control.beneath
    assert under is not None
    limits: Limits = under.limits
    return Control(
        scope=control.scope,
        state="open",
        ratio=under.ratio,
        limits=limits,
        reason="a person's, beneath a detector's",
        incident=control.incident,
        ticket=control.ticket,
        seq=control.seq,
        issued_at=control.issued_at,
        not_after=under.not_after,
    )


class Agent:
    """The rules of one agent."""

    __slots__ = ("releases", "rule", "tools")

    def __init__(self) -> None:
        self.rule: Rule | None = None
        self.releases: dict[str, Rule] = {}
        self.tools: dict[str, Rule] = {}


class Snapshot:
    """Everything that is known at one moment. Never changed: the next one takes its place."""

    __slots__ = ("agents", "everybody", "synced", "tenants", "tools")

    def __init__(self, controls: Iterable[Control] = (), *, synced: bool = True) -> None:
        self.synced = synced
        self.everybody: Rule | None = None
        self.tenants: dict[str, Rule] = {}
        self.agents: dict[str, Agent] = {}
        self.tools: dict[str, Rule] = {}
        for control in controls:
            if control.active:
                self._add(control)

    def _add(self, control: Control) -> None:
        scope, rule = control.scope, Rule(control)
        match scope.kind:
            case "global":
                self.everybody = rule
            case "tenant":
                self.tenants[scope.id] = rule
            case "tool":
                self.tools[scope.id] = rule
            case "agent":
                self._agent(scope.agent).rule = rule
            case "release":
                self._agent(scope.agent).releases[scope.id] = rule
            case "agent_tool":
                self._agent(scope.agent).tools[scope.id] = rule

    def _agent(self, name: str) -> Agent:
        return self.agents.setdefault(name, Agent())


class Given(NamedTuple):
    """What a feed has read: the key and the message; None removes the scope."""

    key: str
    value: bytes | None


def newer(known: Mapping[str, Any], control: Control) -> bool:
    """Of two controls of one scope the higher number holds, however they arrive."""
    before: Control | None = known.get(control.scope.key)
    return before is None or control.seq > before.seq
