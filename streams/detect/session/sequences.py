"""A few calls that an agent makes in turn, over and over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from .sameness import ID_BYTES, POLLERS_TIMES, call_id, evidence_of, polls, raised

EVIDENCE_MAX = 5

Length = Annotated[int, Meta(ge=2, le=10)]


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lengths: Annotated[tuple[Length, ...], Meta(min_length=1, max_length=5)] = (2, 3)  # calls in one turn
    turns_min: Annotated[int, Meta(ge=2, le=1000)] = 3
    pollers: list[str] = []  # globs of tools that are asked again and again on purpose


class Turns(Struct, frozen=True, array_like=True):
    ids: bytes  # of the last calls, eight bytes each, as many as the longest turn has
    runs: tuple[int, ...] = ()  # per length, 1 before all others: how many of the newest calls are those of a turn ago
    evidence: tuple[Excerpt, ...] = ()


class Sequences(SessionDetector[Thresholds]):
    """The last calls are the same two or three in turn, tool and arguments, several times. Subject: agent and tools.

    One call in turn with itself is `tool.identical_call`. Results do not matter, other arguments do.
    """

    name, version, memory = "loop.sequence", 1, Turns
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "near"
    severity: Severity = "medium"  # one step more at twice as many turns
    runbook = (
        "Open the session: it makes the listed calls in turn, always with the same arguments.\n"
        "Look whether each of them undoes the other, or waits for something that does not come.\n"
        "Stop it if it still runs, or list a tool that is meant to be polled under `pollers`."
    )
    limits = Thresholds
    minimum = "3 turns of calls with a hash of their arguments"
    false_alarms = (
        "none of the 202 successful sessions of tau2, 1 of the 125 failed ones (benchmarks/detecting/loops.py)"
    )

    def step(self, memory: Turns | None, record: ToolCalled) -> Step[Turns]:
        data = record.data
        one = call_id(data)
        if one is None:
            return Step(None if data.by == "user" else memory)
        if memory is None:
            return Step(Turns(one))
        limits = self.limits_for(data.ctx.agent.id) if self._overrides else self.thresholds
        ids = (memory.ids + one)[-max(limits.lengths) * ID_BYTES :]
        if memory.ids.find(one) < 0:
            return Step(Turns(ids))
        return self._again(memory, record, ids, limits)

    def _again(self, memory: Turns, record: ToolCalled, ids: bytes, limits: Thresholds) -> Step[Turns]:
        lengths, one = (1, *sorted(limits.lengths)), ids[-ID_BYTES:]
        before = memory.runs if len(memory.runs) == len(lengths) else (0,) * len(lengths)
        runs = tuple(
            run + 1 if _ago(memory.ids, length) == one else 0 for length, run in zip(lengths, before, strict=True)
        )
        kept = max(EVIDENCE_MAX, *lengths)
        evidence = (*memory.evidence, evidence_of(record))[-kept:] if any(runs[1:]) else ()
        now = Turns(ids, runs, evidence)
        shorter = runs[0]
        for length, run in zip(lengths[1:], runs[1:], strict=True):
            turns = run // length + 1
            if turns >= limits.turns_min and shorter < length and run % length == 0:
                return Step(now, self._finding(record, evidence[-length:], turns, limits))
            shorter = max(shorter, run)
        return Step(now)

    def _finding(
        self, record: ToolCalled, turn: tuple[Excerpt, ...], turns: int, limits: Thresholds
    ) -> tuple[Finding, ...]:
        ctx = record.data.ctx
        agent, tools = ctx.agent.id, [one.tool or "" for one in turn]
        pollers = self.rules(agent).pollers
        times = POLLERS_TIMES if any(polls(tool, limits.pollers, pollers) for tool in tools) else 1
        if turns < limits.turns_min * times:
            return ()
        usual, circle = self.chosen(agent).severity, " → ".join(_from_the_first(tools))
        return (
            self.found(
                {"agent": agent, "tools": circle},
                f"{agent}: a session makes the same calls in turn: {circle}",
                severity=raised(usual) if turns >= 2 * limits.turns_min * times else usual,
                at=record.at,
                count=turns,
                observed=f"{turns} turns of the same {len(turn)} calls",
                expected=f"fewer than {limits.turns_min * times}",
                evidence=turn,
                releases=releases_of(ctx),
            ),
        )


def _ago(ids: bytes, length: int) -> bytes:
    """The call before the newest `length - 1` ones, if that many are known."""
    at = len(ids) - length * ID_BYTES
    return ids[at : at + ID_BYTES] if at >= 0 else b""


def _from_the_first(tools: list[str]) -> list[str]:
    """The same circle has the same name, wherever it was noticed."""
    return min(tools[at:] + tools[:at] for at in range(len(tools)))
