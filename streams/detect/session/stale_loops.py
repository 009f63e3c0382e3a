"""A session that goes in circles: for a while nothing it asks or hears is new."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Finding, Severity
from ..detector import releases_of
from .repeats import CALLS_MAX, POLLERS_TIMES, Again, LoopDetector, answered, polls, raised


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stale_min: Annotated[int, Meta(ge=2, le=CALLS_MAX // 2)] = 6  # calls in a row made before, with the same result


class StaleLoops(LoopDetector[Thresholds]):
    """Several calls in a row that were made before with the same results, in whatever order. Subject: the agent.

    What was known is forgotten when there is progress: a checkpoint, something written that was not written before, a
    call by the user. After it the same question may have another answer.
    """

    name = "loop.stale"
    severity: Severity = "medium"  # one step more at twice the limit
    runbook = (
        "Open the session: the calls listed as evidence have all been made before, with the same results.\n"
        "Stop it if it still runs; what it costs from here on buys nothing.\n"
        "Give the agent a limit of iterations, or list a tool that is meant to be polled under `pollers` of the agent."
    )
    limits = Thresholds
    minimum = "6 repeated calls with hashes of arguments and result"
    false_alarms = (
        "none of the 202 successful sessions of tau2, 8 of the 125 failed ones (benchmarks/detecting/loops.py)"
    )

    def look(self, again: Again) -> Finding | None:
        one, ctx = again.calls[-1], again.record.data.ctx
        if not answered(one) or again.calls.count(one) < 2:
            return None
        agent, stale = ctx.agent.id, _stale(again.calls)
        limits, severity = self.limits_for(agent), self.chosen(agent).severity
        if stale < limits.stale_min:
            return None
        tools = ", ".join(sorted({one.tool for one in again.evidence if one.tool}))
        return self.found(
            {"agent": agent},
            f"{agent}: a session goes in circles, nothing it asks or hears is new",
            severity=raised(severity) if stale >= 2 * limits.stale_min else severity,
            at=again.record.at,
            count=stale,
            observed=f"{stale} calls in a row that were made before with the same results: {tools}",
            expected=f"fewer than {limits.stale_min}",
            evidence=again.evidence,
            releases=releases_of(ctx),
        )


def _stale(calls: tuple[int, ...]) -> int:
    """How many of the newest were made before with the same result; of polling tools every fourth counts."""
    known: set[int] = set()
    quarters = 0
    for call in calls:
        if call in known:
            quarters += 1 if polls(call) else POLLERS_TIMES
        elif answered(call):
            known.add(call)
            quarters = 0
    return quarters // POLLERS_TIMES
