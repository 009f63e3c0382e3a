"""Several agents that are promoted together: the answer is the worst of theirs, and each is listed."""

from __future__ import annotations

from collections.abc import Sequence

from ...records import GateDecision, GateDecisions

AGENTS_MAX = 20


def together(decisions: Sequence[GateDecision]) -> GateDecisions:
    """At least one. Of equally bad ones the first speaks."""
    worst = min(decisions, key=lambda one: one.score)
    same = [one for one in decisions if one.state == worst.state]
    others = f" ({len(same)} of {len(decisions)} say {worst.state})" if len(decisions) > 1 else ""
    return GateDecisions(
        gate=worst.gate,
        state=worst.state,
        allow=all(one.allow for one in decisions),
        block=any(one.block for one in decisions),
        score=worst.score,
        progress="; ".join(f"{one.agent}: {one.progress}" for one in decisions),
        summary=f"{worst.agent} {worst.release}: {worst.summary}{others}",
        as_of=max(one.as_of for one in decisions),
        valid_until=min(one.valid_until for one in decisions),
        retry_after_s=min(one.retry_after_s for one in decisions if one.state == worst.state),
        decisions=tuple(decisions),
    )
