"""What the policy says about agents: what they may use, what they may spend, what is expected of them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from msgspec import Meta, Struct

Amount = Annotated[float, Meta(gt=0, le=1e9)]
CACHE_MAX = 10_000


class AgentRules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`match` are globs of agent ids; the first rule that matches an agent is its rule. Absent: nothing is said."""

    match: list[str]
    tools: list[str] | None = None  # globs of names; what is outside needs a grant
    paths: list[str] | None = None  # globs of files that may be written or executed
    hosts: list[str] | None = None  # globs of hosts that may be spoken to
    effects: list[str] | None = None  # globs of kinds of effects
    pollers: list[str] = []  # globs of tools that are asked again and again on purpose
    expected_effects: list[str] = []  # a successful session has made at least one of each
    budget_session: Amount | None = None  # currency units; the root session and all its subagents together
    budget_day: Amount | None = None
    budget_month: Amount | None = None
    depth_max: Annotated[int, Meta(ge=0, le=1000)] | None = None  # of delegation
    objective: Annotated[float, Meta(gt=0, lt=1)] | None = None  # share of sessions that must be good


EVERYTHING = AgentRules(match=[])


class Given:
    """What detectors are told besides their own thresholds."""

    def __init__(
        self,
        *,
        bucket_s: int = 10,
        minute_s: int = 60,
        agents: tuple[AgentRules, ...] = (),
        owned: tuple[str, ...] = (),
    ) -> None:
        self.bucket_s, self.minute_s, self.agents, self.owned = bucket_s, minute_s, agents, owned
        self._rules: dict[str, AgentRules] = {}

    def rules(self, agent: str) -> AgentRules:
        found = self._rules.get(agent)
        if found is None:
            found = next((one for one in self.agents if matches(agent, one.match)), EVERYTHING)
            if len(self._rules) >= CACHE_MAX:
                self._rules.clear()
            self._rules[agent] = found
        return found


def matches(name: str, globs: list[str] | tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
