"""A session that says it succeeded and never called a tool without which its work is not done."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...records import Finding, SessionEnded, SessionStarted, SessionStatus, Severity, Tick, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from .rollbacks import NoThresholds
from .tables import SHORT, has, short
from .tools_unknown import spellings
from .waiting import Held, due, held, releases

EXPECTED_MAX = 32
CALLED_MAX = 128  # names of tools before the start is seen; with more of them nothing is said


class Plan(Struct, frozen=True, array_like=True, gc=False):
    begun: bool = False
    expected: tuple[str, ...] = ()
    called: bytes = b""  # short hashes: all tools until the start is seen, then the expected ones
    ended: tuple[Held, ...] = ()  # the last end of all, with its status


NONE = Plan()


class ToolSkipped(SessionDetector[NoThresholds]):
    """What the root session's start expects, by whichever of its agents. Subject: agent and tool."""

    name, version, memory = "tool.skipped", 1, Plan
    reads: tuple[type, ...] = (SessionStarted, ToolCalled, SessionEnded)
    order: Order = "free"
    of_root = True
    severity: Severity = "medium"
    runbook = (
        "Open the session: what did the agent do instead of calling the tool?\n"
        "Check the result by hand; the session says that it succeeded.\n"
        "Fix the instructions, or take the tool out of `expected_tools` when it is not always needed."
    )
    limits = NoThresholds
    minimum = "none: only what a session's start declares"
    false_alarms = "rule: no statistics"

    def step(self, memory: Plan | None, record: Any) -> Step[Plan]:
        nothing = memory is not None and memory.begun and not memory.expected and not memory.ended
        if nothing and type(record) is ToolCalled:  # as nearly always
            return Step(memory)
        known = memory or NONE
        if isinstance(record, ToolCalled):
            after = _called(known, record)
            if after is known and not known.ended:
                return Step(memory)
        elif isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        else:
            after = _framed(known, record)
        return Step(memory if after is known else after, (), due(after.ended) if after.ended else None)

    def _judged(self, memory: Plan | None, at_s: float) -> Step[Plan]:
        if memory is None:
            return Step(None)
        if not memory.ended or memory.ended[0].due_s > at_s:
            return Step(memory, (), due(memory.ended))
        end = memory.ended[0]
        skipped: tuple[str, ...] = ()
        if end.words[0] == SessionStatus.succeeded and len(memory.called) < CALLED_MAX * SHORT:
            skipped = tuple(name for name in memory.expected if not has(memory.called, short(name)))
        after = Plan(memory.begun, memory.expected, memory.called)
        return Step(after, tuple(self._finding(end, name) for name in skipped))

    def _finding(self, end: Held, tool: str) -> Finding:
        return self.found(
            {"agent": end.agent, "tool": tool},
            f"{end.agent}: succeeded without {tool}",
            at=end.evidence.at,
            observed=f"the session ended as succeeded, {tool} was never called",
            expected="every tool that the session's start expects is called",
            evidence=(end.evidence,),
            releases=releases(end),
        )


def _called(known: Plan, record: ToolCalled) -> Plan:
    if known.begun and not known.expected:
        return known
    tool, called = record.data.tool, known.called
    if tool.server is None and ((known.begun and tool.name not in known.expected) or has(called, short(tool.name))):
        return known
    for name in spellings(tool.name, tool.server or ""):
        wanted = not known.begun or name in known.expected
        if wanted and len(called) < CALLED_MAX * SHORT and not has(called, short(name)):
            called += short(name)
    return known if called is known.called else Plan(known.begun, known.expected, called, known.ended)


def _framed(known: Plan, record: SessionStarted | SessionEnded) -> Plan:
    """The root session's start and its end; its subagents' own do not matter."""
    ctx = record.data.ctx
    if ctx.root != ctx.session_id:
        return known
    return _started(known, record) if isinstance(record, SessionStarted) else _ended(known, record)


def _started(known: Plan, record: SessionStarted) -> Plan:
    expected = tuple(dict.fromkeys((*known.expected, *(record.data.expected_tools or ()))))[:EXPECTED_MAX]
    if known.begun and expected == known.expected:
        return known
    return Plan(True, expected, known.called, known.ended)


def _ended(known: Plan, record: SessionEnded) -> Plan:
    status = record.data.status.value
    end = held(record, (status,), status=status)
    if known.ended and _moment(known.ended[0]) >= _moment(end):
        return known
    return Plan(known.begun, known.expected, known.called, (end,))


def _moment(end: Held) -> tuple[float, str]:
    return end.due_s, end.evidence.position
