"""One call that an agent makes again and again, with the same result each time."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Finding, Severity, Status
from ..detector import releases_of
from .repeats import CALLS_MAX, POLLERS_TIMES, Again, LoopDetector, answered, polls, raised

FAILED = (Status.error, Status.timeout)


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=2, le=CALLS_MAX)] = 20  # the last calls of the session that are looked at
    same_min: Annotated[int, Meta(ge=2, le=CALLS_MAX)] = 4  # of them that are the same call with the same result
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.6  # of the calls since the first of those
    page_min: Annotated[int, Meta(ge=2, le=CALLS_MAX)] = 10  # in a row: somebody is paged


class IdenticalCalls(LoopDetector[Thresholds]):
    """Among the last calls the same call with the same result several times. Subject: agent and tool.

    Most calls since the first of them must be that call: asking the same between others is looking whether they helped,
    and several in turn are a loop. Another result is progress, so a call without hashes of arguments and result is not
    judged. One that fails again and again is `tool.repeated_error`.
    """

    name = "tool.identical_call"
    severity: Severity = "low"  # one step more at twice the limit, a page at `page_min` in a row
    runbook = (
        "Open the session and read what the repeated call answers: the agent does not take it for an answer.\n"
        "Stop the session if it still runs, or lower its number of iterations.\n"
        "If the tool is meant to be asked again and again, list it under `pollers` of the agent."
    )
    limits = Thresholds
    minimum = "4 calls with hashes of arguments and result"
    false_alarms = (
        "none of the 202 successful sessions of tau2, 6 of the 125 failed ones (benchmarks/detecting/loops.py)"
    )

    def look(self, again: Again) -> Finding | None:
        record, one = again.record, again.calls[-1]
        limits = self.limits_for(record.data.ctx.agent.id)
        if record.data.status in FAILED or not answered(one) or again.calls.count(one) < limits.same_min:
            return None
        last = again.calls[-limits.calls :]
        count, run = last.count(one), _run(again.calls)
        if max(count, run) < limits.same_min or count < limits.share_min * (len(last) - last.index(one)):
            return None
        times = POLLERS_TIMES if polls(one) else 1
        return self._finding(again, max(count, run), run, times) if max(count, run) >= limits.same_min * times else None

    def _finding(self, again: Again, count: int, run: int, times: int) -> Finding:
        data = again.record.data
        agent, tool = data.ctx.agent.id, data.tool
        limits, severity = self.limits_for(agent), self.chosen(agent).severity
        name = f"{tool.server}/{tool.name}" if tool.server else tool.name
        if run >= limits.page_min * times:
            severity = raised(severity, "high")
        elif count >= 2 * limits.same_min * times:
            severity = raised(severity)
        calls = max(run, min(limits.calls, len(again.calls)))
        return self.found(
            {"agent": agent, "tool": name},
            f"{agent}: tool {name} is called again and again with the same arguments and the same result",
            severity=severity,
            at=again.record.at,
            count=count,
            observed=f"{count} of the last {calls} calls are the same, {run} in a row",
            expected=f"fewer than {limits.same_min * times}",
            evidence=tuple(one for one in again.evidence if one.args_hash == data.args_hash),
            releases=releases_of(data.ctx),
        )


def _run(calls: tuple[int, ...]) -> int:
    """How many of the newest are the same."""
    one = calls[-1]
    return next((at for at, other in enumerate(reversed(calls)) if other != one), len(calls))
