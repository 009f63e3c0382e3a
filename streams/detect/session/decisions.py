"""An agent that decides on one tool and calls another."""

from __future__ import annotations

from datetime import datetime
from struct import Struct as Layout
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import DecisionMade, Excerpt, Finding, Severity, Tick, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from ..shelf import moment
from .tables import SHORT, short
from .waiting import Held, at_most, held, releases

KEPT = 5  # calls that are remembered for a decision that arrives after them
CALLS_MAX = 64  # while decisions wait
WAITING_MAX = 16  # decisions without a call
SHOWN_MAX = 3
_ROW = Layout(f">d{SHORT}s")
_pack, ROW = _ROW.pack, _ROW.size


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mismatches_min: Annotated[int, Meta(ge=1, le=10**6)] = 2
    medium_min: Annotated[int, Meta(ge=1, le=10**6)] = 5  # from so many on in one session it is medium, before low


class Choices(Struct, frozen=True, array_like=True, gc=False):
    calls: bytes = b""  # the agent's last ones in rows: time and a short hash of the name
    waiting: tuple[Held, ...] = ()  # decisions whose call has not been judged
    count: int = 0
    last: tuple[Excerpt, ...] = ()  # the decisions that were not followed


NONE = Choices()


class DecisionMismatch(SessionDetector[Thresholds]):
    """The next call after a decision for a tool is of another tool. Subject: agent.

    Of several decisions without a call between them any one may come first; calls at the same time count together.
    Judged once all events of the call's time are in.
    """

    name, version, memory = "decision.mismatch", 2, Choices
    reads: tuple[type, ...] = (DecisionMade, ToolCalled)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Read the decisions and the calls that followed them in the session.\n"
        "Look for a prompt or a parser that turns one tool's name into another's.\n"
        "If the decision is only a note that the agent may depart from, raise `mismatches_min` for it."
    )
    limits = Thresholds
    minimum = "2 decisions of a session that were not followed"
    false_alarms = "rule: no statistics"

    def step(self, memory: Choices | None, record: Any) -> Step[Choices]:
        if type(record) is ToolCalled:
            if record.data.by != "agent":
                return Step(memory, (), _wake(memory) if memory else None)
            call = _pack(record.time.timestamp(), short(record.data.tool.name))
            if memory is None:
                return Step(Choices(call))
            if not memory.waiting:
                return Step(Choices(memory.calls[(1 - KEPT) * ROW :] + call, (), memory.count, memory.last))
            after = _followed_by(memory, call)
            return Step(after, (), _wake(after))
        if isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        known, data = memory or NONE, record.data
        if data.kind != "tool" or _forgotten(known, record.time):
            return Step(memory, (), _wake(known))
        name = data.chosen.partition("(")[0].strip()[:256]
        keys = b"".join(dict.fromkeys(short(name.rpartition(mark)[2]) for mark in ("\0", "/", ".", "__")))
        waiting = (*known.waiting, held(record, (name,), keys, tool=name))[-WAITING_MAX:]
        after = Choices(known.calls, waiting, known.count, known.last)
        return Step(after, (), _wake(after))

    def _judged(self, memory: Choices | None, at_s: float) -> Step[Choices]:
        if memory is None:
            return Step(None)
        calls = _timed(memory.calls)
        waiting: list[Held] = []
        groups: dict[float, list[Held]] = {}
        for one in memory.waiting:
            next_s = next((call_s for call_s, _ in calls if call_s >= one.due_s), None)
            if next_s is None or next_s > at_s:
                waiting.append(one)
            else:
                groups.setdefault(next_s, []).append(one)
        missed = [_last(group) for next_s, group in sorted(groups.items()) if not _followed(group, calls, next_s)]
        if not groups:
            return Step(memory, (), _wake(memory))
        last = (*memory.last, *(one.evidence for one in missed))[-SHOWN_MAX:]
        kept = memory.calls if waiting else b"".join(_pack(*call) for call in calls[-KEPT:])
        after = Choices(kept, tuple(waiting), memory.count + len(missed), last)
        enough = missed and after.count >= self.limits_for(missed[-1].agent).mismatches_min
        return Step(after, (self._finding(after, missed[-1]),) if enough else (), _wake(after))

    def _finding(self, choices: Choices, one: Held) -> Finding:
        limits, severity = self.limits_for(one.agent), self.chosen(one.agent).severity
        return self.found(
            {"agent": one.agent},
            f"{one.agent}: decides on one tool and calls another",
            severity=severity if choices.count >= limits.medium_min else at_most(severity, "low"),
            at=one.evidence.at,
            count=choices.count,
            observed=f"{choices.count} decisions in a session were followed by a call of another tool",
            expected=f"fewer than {limits.mismatches_min}",
            evidence=choices.last,
            releases=releases(one),
        )


def _followed_by(known: Choices, call: bytes) -> Choices:
    """Decisions whose call may be the one that is forgotten are not judged."""
    calls, waiting = known.calls + call, known.waiting
    if len(calls) > CALLS_MAX * ROW:
        gone_s = _ROW.unpack_from(calls)[0]
        calls, waiting = calls[ROW:], tuple(one for one in waiting if one.due_s > gone_s)
    return Choices(calls, waiting, known.count, known.last)


def _forgotten(known: Choices, at: datetime) -> bool:
    """Whether the call after a decision that comes late may be among those not remembered any more."""
    return len(known.calls) >= KEPT * ROW and not known.waiting and _timed(known.calls)[0][0] > at.timestamp()


def _timed(calls: bytes) -> list[tuple[float, bytes]]:
    return sorted(_ROW.iter_unpack(calls))


def _followed(group: list[Held], calls: list[tuple[float, bytes]], next_s: float) -> bool:
    chosen = {one.keys[at : at + SHORT] for one in group for at in range(0, len(one.keys), SHORT)}
    return any(call_s == next_s and name in chosen for call_s, name in calls)


def _last(group: list[Held]) -> Held:
    return max(group, key=lambda one: (one.due_s, one.evidence.position))


def _wake(known: Choices) -> datetime | None:
    """The first call after a decision: then it is known whether it was the chosen one."""
    if not known.waiting or not known.calls:
        return None
    first_s = min(one.due_s for one in known.waiting)
    times = [call_s for call_s, _ in _timed(known.calls) if call_s >= first_s]
    return moment(times[0]) if times else None
