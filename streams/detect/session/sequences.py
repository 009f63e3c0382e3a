"""A few calls that an agent makes in turn, over and over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Finding, Severity
from ..detector import releases_of
from .repeats import CALL, CALLS_MAX, POLLERS_TIMES, TURN_MAX, Again, LoopDetector, polls, raised

Length = Annotated[int, Meta(ge=2, le=TURN_MAX)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lengths: Annotated[tuple[Length, ...], Meta(min_length=1, max_length=TURN_MAX)] = (2, 3)  # calls in one turn
    turns_min: Annotated[int, Meta(ge=2, le=10)] = 3


class Sequences(LoopDetector[Thresholds]):
    """The last calls are the same two or three in turn, tool and arguments, several times. Subject: agent and tools.

    One call in turn with itself is `tool.identical_call`. Results do not matter, other arguments do.
    """

    name = "loop.sequence"
    severity: Severity = "medium"  # one step more at twice as many turns
    runbook = (
        "Open the session: it makes the listed calls in turn, always with the same arguments.\n"
        "Look whether each of them undoes the other, or waits for something that does not come.\n"
        "Stop it if it still runs, or list a tool that is meant to be polled under `pollers` of the agent."
    )
    limits = Thresholds
    minimum = "3 turns of calls with a hash of their arguments"
    false_alarms = (
        "none of the 202 successful sessions of tau2, 1 of the 125 failed ones (benchmarks/detecting/loops.py)"
    )

    def look(self, again: Again) -> Finding | None:
        limits = self.limits_for(again.record.data.ctx.agent.id)
        calls, shorter = again.calls, _run(again.calls, 1)
        for length in sorted(limits.lengths):
            run = _run(calls, length)
            times = POLLERS_TIMES if any(map(polls, calls[-length:])) else 1
            least = min(limits.turns_min * times, CALLS_MAX // length)
            if run // length + 1 >= least and run % length == 0 and shorter < length:
                return self._finding(again, length, run // length + 1, least)
            shorter = max(shorter, run)
        return None

    def _finding(self, again: Again, length: int, turns: int, least: int) -> Finding:
        ctx, turn = again.record.data.ctx, again.evidence[-length:]
        agent = ctx.agent.id
        severity, circle = self.chosen(agent).severity, " → ".join(_from_the_first([one.tool or "" for one in turn]))
        return self.found(
            {"agent": agent, "tools": circle},
            f"{agent}: a session makes the same calls in turn: {circle}",
            severity=raised(severity) if turns >= min(2 * least, CALLS_MAX // length) else severity,
            at=again.record.at,
            count=turns,
            observed=f"{turns} turns of the same {length} calls",
            expected=f"fewer than {least}",
            evidence=turn,
            releases=releases_of(ctx),
        )


def _run(calls: tuple[int, ...], length: int) -> int:
    """How many of the newest are the call that was made `length` calls before them."""
    run = 0
    for call, before in zip(reversed(calls), reversed(calls[:-length]), strict=False):
        if (call ^ before) & CALL:
            break
        run += 1
    return run


def _from_the_first(tools: list[str]) -> list[str]:
    """The same circle has the same name, wherever it was noticed."""
    return min(tools[at:] + tools[:at] for at in range(len(tools)))
