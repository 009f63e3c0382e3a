"""An agent that is denied again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..detector import graver
from .bucketed import Bucket, Bucketed, Words
from .window import Window, slid

ACTIONS_MAX = 200
NAMED_MAX = 5
DAY_S = 86_400
FORGOTTEN_S = 30 * DAY_S


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=86_400)] = 600
    denied_min: Annotated[int, Meta(ge=1)] = 5


class Denials(Struct, frozen=True, array_like=True, gc=False):
    window: Window = Window()
    began_s: int = 0
    actions: dict[str, int] = {}  # what was ever denied -> when last


class DeniedSpike(Bucketed[Thresholds, Denials]):
    """Denials of one agent in the window; high when one of them is of an action that was never denied before.

    Subject: the agent.
    """

    name, version, state = "permission.denied_spike", 1, Denials
    kinds = ("permission",)
    severity: Severity = "medium"
    runbook = (
        "Read which actions were denied, and by whom: policy, model or a person.\n"
        "New actions: did prompt, tools or the task change, or does somebody steer the agent?\n"
        "Grant what it needs, or take the tool away."
    )
    limits = Thresholds
    minimum = "5 denials in 10 minutes; an action counts as new once the agent has been known for a day"
    false_alarms = "rule: no statistics"

    def taken(self, fact: Fact) -> Mapping[str, int]:
        denied = fact.sums.get("denied", 0)
        return {f"action {fact.subject[2]}": denied} if denied else {"decisions": sum(fact.sums.values())}

    def stale_s(self, words: Words) -> float:
        return self.limits_for(words[1]).window_s

    def closed(self, state: Denials, bucket: Bucket, words: Words) -> tuple[Denials, tuple[Finding, ...]]:
        agent = words[1]
        limits = self.limits_for(agent)
        denied = {name: n for name, n in bucket.sums.items() if name.startswith("action ")}
        window = slid(state.window, bucket, limits.window_s, denied)
        began_s = state.began_s or bucket.at_s
        fresh = sorted(name for name in denied if name not in state.actions and bucket.at_s - began_s >= DAY_S)
        after = Denials(window, began_s, _remembered(state.actions, denied, bucket.at_s))
        count = sum(window.totals("action ").values())
        if not denied or count < limits.denied_min:
            return (after if after != state else state), ()
        return after, (self._finding(window, count, fresh, bucket, words),)

    def _finding(self, window: Window, count: int, fresh: list[str], bucket: Bucket, words: Words) -> Finding:
        agent, totals = words[1], window.totals("action ")
        most = sorted(totals, key=lambda name: (-totals[name], name))[:NAMED_MAX]
        named = ", ".join(f"{name.removeprefix('action ')} ({totals[name]})" for name in most)
        new = f"; new: {', '.join(name.removeprefix('action ') for name in fresh[:NAMED_MAX])}" if fresh else ""
        return self.found(
            {"agent": agent},
            f"{agent}: is denied again and again",
            severity=graver(self.chosen(agent).severity, "high") if fresh else self.chosen(agent).severity,
            at=self.when(bucket, words),
            count=count,
            observed=f"{count} denials in {self.limits_for(agent).window_s / 60:g} minutes, {len(window.marks)} sessions: "
            f"{named}{new}",
            expected=f"fewer than {self.limits_for(agent).denied_min}",
            evidence=bucket.samples,
        )


def _remembered(actions: dict[str, int], denied: Mapping[str, int], at_s: int) -> dict[str, int]:
    if not denied:
        return actions
    after = {name: last_s for name, last_s in actions.items() if at_s - last_s < FORGOTTEN_S}
    after |= dict.fromkeys(denied, at_s)
    if len(after) <= ACTIONS_MAX:
        return after
    return dict(sorted(after.items(), key=lambda one: (one[1], one[0]))[-ACTIONS_MAX:])
