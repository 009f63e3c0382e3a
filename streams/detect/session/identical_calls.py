"""One call that an agent makes again and again, with the same result each time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import CheckpointRecorded, Excerpt, Finding, Severity, Status, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from .sameness import ID_BYTES, POLLERS_TIMES, evidence_of, polls, progress, raised, seen_id

EVIDENCE_MAX = 5
FAILED = (Status.error, Status.timeout)
WORTH_KEEPING = 3  # from the third time on a call is evidence


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=2, le=200)] = 20  # the last calls of the session that are looked at
    same_min: Annotated[int, Meta(ge=2)] = 4  # of them that are the same call with the same result
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.6  # of the calls since the first of those
    page_min: Annotated[int, Meta(ge=2)] = 10  # in a row: somebody is paged
    pollers: list[str] = []  # globs of tools that are asked again and again on purpose


class Recent(Struct, frozen=True, array_like=True):
    ids: bytes  # of the last calls with their results, eight bytes each
    run: int = 1  # how many of the newest are the same
    evidence: tuple[Excerpt, ...] = ()


class IdenticalCalls(SessionDetector[Thresholds]):
    """Among the last calls the same call with the same result several times. Subject: agent and tool.

    Most calls since the first of them must be that call: asking the same between others is looking whether they helped,
    and several in turn are a loop. Another result is progress, so a call without hashes of arguments and result is not
    judged. One that fails again and again is `tool.repeated_error`.
    """

    name, version, memory = "tool.identical_call", 1, Recent
    reads: tuple[type, ...] = (ToolCalled, CheckpointRecorded)
    order: Order = "near"
    severity: Severity = "low"  # one step more at twice the limit, a page at `page_min` in a row
    runbook = (
        "Open the session and read what the repeated call answers: the agent does not take it for an answer.\n"
        "Stop the session if it still runs, or lower its number of iterations.\n"
        "If the tool is meant to be asked again and again, list it under `pollers`."
    )
    limits = Thresholds
    minimum = "4 calls with hashes of arguments and result"
    false_alarms = (
        "none of the 202 successful sessions of tau2, 6 of the 125 failed ones (benchmarks/detecting/loops.py)"
    )

    def step(self, memory: Recent | None, record: ToolCalled | CheckpointRecorded) -> Step[Recent]:
        if isinstance(record, CheckpointRecorded):
            return Step(None if progress(record) else memory)
        data = record.data
        one = seen_id(data)
        if one is None:
            return Step(None if progress(record) else memory)
        if memory is None:
            return Step(Recent(one))
        limits = self.limits_for(data.ctx.agent.id) if self._overrides else self.thresholds
        before = memory.ids
        ids = (before + one)[-limits.calls * ID_BYTES :]
        if before.find(one) >= 0:  # `in` on bytes costs half a microsecond
            return self._again(memory, record, ids, limits)
        if (data.effect is not None or data.resources) and progress(record):
            return Step(Recent(one))
        return Step(Recent(ids, 1, memory.evidence))

    def _again(self, memory: Recent, record: ToolCalled, ids: bytes, limits: Thresholds) -> Step[Recent]:
        one = ids[-ID_BYTES:]
        run = memory.run + 1 if memory.ids.endswith(one) else 1
        count, evidence = ids.count(one), memory.evidence
        if count >= WORTH_KEEPING:
            evidence = (*evidence, evidence_of(record))[-EVIDENCE_MAX:]
        now = Recent(ids, run, evidence)
        if record.data.status in FAILED or max(count, run) < limits.same_min:
            return Step(now)
        if count < limits.share_min * _since_first(ids):
            return Step(now)
        times = POLLERS_TIMES if self._polls(record, limits) else 1
        said = (self._finding(record, now, limits, times),) if max(count, run) >= limits.same_min * times else ()
        return Step(now, said)

    def _polls(self, record: ToolCalled, limits: Thresholds) -> bool:
        data = record.data
        return polls(data.tool.name, limits.pollers, self.rules(data.ctx.agent.id).pollers)

    def _finding(self, record: ToolCalled, now: Recent, limits: Thresholds, times: int) -> Finding:
        ctx, tool = record.data.ctx, record.data.tool
        agent, name = ctx.agent.id, f"{tool.server}/{tool.name}" if tool.server else tool.name
        count = max(now.ids.count(now.ids[-ID_BYTES:]), now.run)
        severity = self.chosen(agent).severity
        if now.run >= limits.page_min * times:
            severity = raised(severity, "high")
        elif count >= 2 * limits.same_min * times:
            severity = raised(severity)
        same = record.data.args_hash
        return self.found(
            {"agent": agent, "tool": name},
            f"{agent}: tool {name} is called again and again with the same arguments and the same result",
            severity=severity,
            at=record.at,
            count=count,
            observed=f"{count} of the last {len(now.ids) // ID_BYTES} calls are the same, {now.run} in a row",
            expected=f"fewer than {limits.same_min * times}",
            evidence=tuple(one for one in now.evidence if one.args_hash == same) or (evidence_of(record),),
            releases=releases_of(ctx),
        )


def _since_first(ids: bytes) -> int:
    """How many calls there are from the first one like the newest on."""
    at = ids.find(ids[-ID_BYTES:])
    return (len(ids) - at) // ID_BYTES
