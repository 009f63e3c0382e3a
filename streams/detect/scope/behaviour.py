"""How an agent works: which tools it uses and how many tokens a session takes, against what was usual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..facts import OTHER
from ..methods.divergence import jensen_shannon
from .bucketed import Bucket, Bucketed, Words
from .window import aligned

HOUR_S = 3600
TOOLS_MAX = 64  # the rest is one
DOUBLING = 14  # steps of a sketch
KEPT = 2000  # sessions of what is usual; then half of everything is forgotten
PERSISTENT = 2  # windows in a row
SETTLED = 8  # windows in a row: that is how it works now
NAMED = 3
RELEASES_MAX = 8
ENDED, TOOL, TOKENS, RELEASE = "ended", "t:", "k:", "r:"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    divergence: Annotated[float, Meta(gt=0, lt=1)] = 0.2  # Jensen-Shannon, in bits
    sessions_min: Annotated[int, Meta(ge=10, le=10**6)] = 50  # in a window


class Mix(Struct, frozen=True, array_like=True, gc=False):
    sessions: int = 0
    tools: dict[str, int] = {}
    tokens: dict[str, int] = {}


class Habits(Struct, frozen=True, array_like=True, gc=False):
    usual: Mix = Mix()
    now: Mix = Mix()
    releases: tuple[str, ...] = ()
    apart: int = 0  # windows in a row
    said: str = ""  # what was observed in the last of them


class BehaviourDrift(Bucketed[Thresholds, Habits]):
    """An agent uses other tools, or other amounts of tokens, than it used to: for two windows of 50 sessions or more.

    Subject: agent.
    """

    name = "behaviour.drift"
    state = Habits
    kinds = ("tool", "session")
    by_sums = ("ended",)
    severity: Severity = "low"
    runbook = (
        "Ask whether it was wanted: a new prompt, model or tool, other tasks.\n"
        "Compare the tool calls of a session of before with one of now.\n"
        "Nothing has failed: resolve as accepted risk if it is as it should be."
    )
    limits = Thresholds
    minimum = "50 ended sessions as what is usual, then two windows of 50 ended sessions and an hour each"
    false_alarms = "0 of 40 agents in 100 windows each (python -m benchmarks.detection --only scopes)"

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if fact.kind == "tool" or ENDED in fact.sums else None

    def span_s(self, words: Words) -> int:
        return aligned(HOUR_S, self.given.bucket_s)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        if fact.kind == "tool":
            return {TOOL + fact.subject[3]: fact.sums.get("calls", 0)}
        sums = {ENDED: fact.sums[ENDED], RELEASE + fact.subject[1]: 1}
        for name, n in fact.sums.items():
            if name.startswith("tokens#"):
                level = f"{TOKENS}{int(name[7:]) // DOUBLING}"
                sums[level] = sums.get(level, 0) + n
        return sums

    def closed(self, state: Habits, bucket: Bucket, words: Words) -> tuple[Habits, tuple[Finding, ...]]:
        limits = self.limits_for(words[1])
        releases = sorted(name[len(RELEASE) :] for name in bucket.sums if name.startswith(RELEASE))
        seen = (*(one for one in state.releases if one not in releases), *releases)[-RELEASES_MAX:]
        now = _added(state.now, _mix(bucket.sums))
        after = Habits(state.usual, now, seen, state.apart, state.said)
        if now.sessions >= limits.sessions_min:
            after = _judged(after, limits)
        if after.apart < PERSISTENT:
            return after, ()
        _, agent, environment = words
        finding = self.found(
            {"agent": agent},
            f"{agent}: works in another way than it used to",
            identity=(agent, environment),
            at=self.when(bucket, words),
            observed=after.said,
            expected=f"a divergence of at most {limits.divergence:g}",
            releases=tuple(one for one in releases if one)[-RELEASES_MAX:],
        )
        return after, (finding,)


def _judged(state: Habits, limits: Thresholds) -> Habits:
    """A full window: compared with what is usual, then part of it, unless it is apart; for good after several."""
    usual, now = state.usual, state.now
    if usual.sessions < limits.sessions_min:
        return Habits(_forgetting(_added(usual, now)), Mix(), state.releases)
    tools, tokens = _collapsed(now.tools, usual.tools), now.tokens
    sizes = (now.sessions, usual.sessions)
    differ = [
        (_beyond(tools, usual.tools, sizes), f"other tools: {_moved(tools, usual.tools)}"),
        (_beyond(tokens, usual.tokens, sizes), f"other amounts of tokens: {_typical(tokens, usual.tokens)}"),
    ]
    far, said = max(differ)
    if far <= limits.divergence:
        return Habits(_forgetting(_added(usual, now)), Mix(), state.releases)
    apart = state.apart + 1
    if apart >= SETTLED:
        return Habits(_forgetting(now), Mix(), state.releases)
    return Habits(usual, Mix(), state.releases, apart, f"{said} (divergence {far:.2f})")


def _beyond(now: Mapping[str, int], usual: Mapping[str, int], sessions: tuple[int, int]) -> float:
    """The divergence, less what chance alone makes of so many sessions (its mean, from the chi-square distribution)."""
    chance = (len(now.keys() | usual.keys()) - 1) / (8 * math.log(2)) * sum(1 / n for n in sessions)
    return jensen_shannon(now, usual) - chance


def _mix(sums: Mapping[str, int]) -> Mix:
    tools = {name[len(TOOL) :]: n for name, n in sums.items() if name.startswith(TOOL)}
    tokens = {name[len(TOKENS) :]: n for name, n in sums.items() if name.startswith(TOKENS)}
    if OTHER in sums:
        tools[OTHER] = tools.get(OTHER, 0) + sums[OTHER]
    return Mix(sums.get(ENDED, 0), tools, tokens)


def _added(one: Mix, other: Mix) -> Mix:
    return Mix(
        one.sessions + other.sessions, _most(_sum(one.tools, other.tools)), _most(_sum(one.tokens, other.tokens))
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _most(counts: dict[str, int]) -> dict[str, int]:
    """The tools that are used most, and the rest as one."""
    if len(counts) <= TOOLS_MAX:
        return counts
    rest = counts.pop(OTHER, 0)
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {**dict(order[: TOOLS_MAX - 1]), OTHER: rest + sum(n for _, n in order[TOOLS_MAX - 1 :])}


def _collapsed(counts: Mapping[str, int], known: Mapping[str, int]) -> dict[str, int]:
    """With the names of the other mix, where that one has a rest: what it forgot must not look new."""
    if OTHER not in known:
        return dict(counts)
    found: dict[str, int] = {}
    for name, n in counts.items():
        named = name if name in known else OTHER
        found[named] = found.get(named, 0) + n
    return found


def _forgetting(mix: Mix) -> Mix:
    while mix.sessions > KEPT:
        halved = ({name: n // 2 for name, n in counts.items() if n > 1} for counts in (mix.tools, mix.tokens))
        mix = Mix(mix.sessions // 2, *halved)
    return mix


def _moved(now: Mapping[str, int], usual: Mapping[str, int]) -> str:
    """The shares that changed most."""
    all_now, all_usual = max(1, sum(now.values())), max(1, sum(usual.values()))
    shares = [(now.get(name, 0) / all_now, usual.get(name, 0) / all_usual, name) for name in now.keys() | usual.keys()]
    order = sorted(shares, key=lambda one: (-abs(one[0] - one[1]), one[2]))[:NAMED]
    return ", ".join(f"{name} {before:.0%} to {after:.0%}" for after, before, name in order)


def _typical(now: Mapping[str, int], usual: Mapping[str, int]) -> str:
    return f"about {_middle(usual):.2g} to {_middle(now):.2g} a session"


def _middle(counts: Mapping[str, int]) -> float:
    """The median."""
    left = sum(counts.values()) / 2
    for level in sorted(int(name) for name in counts if name != OTHER):
        left -= counts[str(level)]
        if left <= 0:
            return float(1.05 ** ((level + 0.5) * DOUBLING))
    return 0.0
