"""A session that goes in circles: for a while nothing it asks or hears is new."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import CheckpointRecorded, Excerpt, Finding, Severity, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from .sameness import ID_BYTES, POLLERS_TIMES, evidence_of, polls, progress, raised, seen_id

EVIDENCE_MAX = 5


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stale_min: Annotated[int, Meta(ge=2, le=1000)] = 6  # calls in a row that were made before, with the same result
    remembered: Annotated[int, Meta(ge=2, le=1000)] = 64  # calls with their results that are known again
    pollers: list[str] = []  # globs of tools that are asked again and again on purpose


class Known(Struct, frozen=True, array_like=True):
    ids: bytes  # of calls with their results, eight bytes each, each once
    stale: int = 0  # calls since something was new, in quarters: a poller's is one, any other's four
    evidence: tuple[Excerpt, ...] = ()


class StaleLoops(SessionDetector[Thresholds]):
    """Several calls in a row that were made before with the same results, in whatever order. Subject: the agent.

    What was known is forgotten when there is progress: a checkpoint, something written that was not written before, a
    call by the user. After it the same question may have another answer.
    """

    name, version, memory = "loop.stale", 1, Known
    reads: tuple[type, ...] = (ToolCalled, CheckpointRecorded)
    order: Order = "near"
    severity: Severity = "medium"  # one step more at twice the limit
    runbook = (
        "Open the session: the calls listed as evidence have all been made before, with the same results.\n"
        "Stop it if it still runs; what it costs from here on buys nothing.\n"
        "Give the agent a limit of iterations, or list a tool that is meant to be polled under `pollers`."
    )
    limits = Thresholds
    minimum = "6 repeated calls with hashes of arguments and result"
    false_alarms = "none of the 202 successful sessions of tau2, 8 of the 125 failed ones (benchmarks/detecting/loops.py)"

    def step(self, memory: Known | None, record: ToolCalled | CheckpointRecorded) -> Step[Known]:
        if isinstance(record, CheckpointRecorded):
            return Step(None if progress(record) else memory)
        data = record.data
        one = seen_id(data)
        if one is None:
            return Step(None if progress(record) else memory)
        if memory is None:
            return Step(Known(one))
        if memory.ids.find(one) >= 0:  # `in` on bytes costs half a microsecond
            return self._again(memory, record)
        if (data.effect is not None or data.resources) and progress(record):
            return Step(Known(one))
        limits = self.limits_for(data.ctx.agent.id) if self._overrides else self.thresholds
        return Step(Known((memory.ids + one)[-limits.remembered * ID_BYTES :]))

    def _again(self, memory: Known, record: ToolCalled) -> Step[Known]:
        agent, tool = record.data.ctx.agent.id, record.data.tool.name
        limits = self.limits_for(agent)
        polling = polls(tool, limits.pollers, self.rules(agent).pollers)
        stale = memory.stale + (1 if polling else POLLERS_TIMES)
        now = Known(memory.ids, stale, (*memory.evidence, evidence_of(record))[-EVIDENCE_MAX:])
        return Step(now, (self._finding(record, now, limits),) if stale >= limits.stale_min * POLLERS_TIMES else ())

    def _finding(self, record: ToolCalled, now: Known, limits: Thresholds) -> Finding:
        ctx, calls = record.data.ctx, now.stale // POLLERS_TIMES
        agent, usual = ctx.agent.id, self.chosen(ctx.agent.id).severity
        tools = ", ".join(sorted({one.tool for one in now.evidence if one.tool}))
        return self.found(
            {"agent": agent},
            f"{agent}: a session goes in circles, nothing it asks or hears is new",
            severity=raised(usual) if calls >= 2 * limits.stale_min else usual,
            at=record.at,
            count=calls,
            observed=f"{calls} calls in a row that were made before with the same results: {tools}",
            expected=f"fewer than {limits.stale_min}",
            evidence=now.evidence,
            releases=releases_of(ctx),
        )
