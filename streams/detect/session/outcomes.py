"""A session that says it succeeded while what it did says otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from struct import Struct as Layout
from typing import Any

from msgspec import Struct

from ...records import EvalScored, Excerpt, Finding, SessionEnded, SessionStatus, Severity, Status, Tick, ToolCalled
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector
from ..evidence import excerpt, judge_of
from ..shelf import moment
from .tables import HASH, split
from .waiting import Held, held, releases

FAILING = (Status.error, Status.timeout)
OK = Status.ok
LABEL_MAX = 200
KEPT = 4
_pack = Layout(">d").pack


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    evaluators: tuple[str, ...] = (
        "*outcome*",
        "*success*",
        "*complet*",
        "*goal*",
        "*resol*",
    )  # globs, in small letters
    last_call: bool = True  # a failing last tool call contradicts, too


class Outcome(Struct, frozen=True, array_like=True, gc=False):
    worked: bytes = b""  # when the agent's last tool calls were that went well, in order: eight bytes each
    failed: tuple[Excerpt, ...] = ()  # the last that failed, in order
    judged: Excerpt | None = None  # the first evaluation that says the session failed
    ended: Held | None = None  # the last end of all: its status, and whether it was verified
    due_s: float = 0.0  # when to judge, 0: not now
    told: tuple[str, ...] = ()  # which contradictions
    judge: str = ""  # the evaluator, by id


NONE = Outcome()


class OutcomeContradiction(SessionDetector[Thresholds]):
    """Judged when all events of the end's time are in; an evaluation that comes later is judged when it comes.

    Subject: agent, and what contradicts: the last call's tool, the evaluator, or the verification.
    """

    name, version, memory = "outcome.contradiction", 2, Outcome
    reads: tuple[type, ...] = (ToolCalled, EvalScored, SessionEnded)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Check the session's result by hand before anybody relies on it.\n"
        "See whether the agent read the failing answer: the evidence has it.\n"
        "Make the agent report what did not work, or let its success be verified."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics; 1 of 202 successful tau2 sessions ends with a failing call"

    def step(self, memory: Outcome | None, record: Any) -> Step[Outcome]:
        known = memory or NONE
        if type(record) is ToolCalled:
            after = _called(known, record)
            if not after.due_s:  # as nearly always
                return Step(memory if after is known else after)
        elif isinstance(record, Tick):
            return self._judge(memory, record.at.timestamp())
        elif isinstance(record, SessionEnded):
            after = _ended(known, record)
        else:
            after = self._evaluated(known, record)
        return Step(memory if after is known else after, (), _wake(after))

    def _evaluated(self, known: Outcome, record: EvalScored) -> Outcome:
        data = record.data
        scope = data.target.scope if data.target else "session"
        if data.passed is not False or scope != "session":
            return known
        if not matches(data.evaluator.name.lower(), self.limits_for(data.ctx.agent.id).evaluators):
            return known
        shown = excerpt(record, status="failed", tool=data.evaluator.name, text=(data.label or "")[:LABEL_MAX] or None)
        before = known.judged
        if before is not None and (before.at, before.position) <= (shown.at, shown.position):
            return known
        due_s = known.due_s or (record.time.timestamp() if known.ended else 0.0)  # the end may have been judged
        return Outcome(known.worked, known.failed, shown, known.ended, due_s, known.told, judge_of(record))

    def _judge(self, memory: Outcome | None, at_s: float) -> Step[Outcome]:
        if memory is None or memory.due_s == 0.0 or memory.due_s > at_s:
            return Step(memory, (), _wake(memory) if memory else None)
        end = memory.ended
        found: tuple[tuple[str, Finding], ...] = ()
        if end is not None and end.words[0] == SessionStatus.succeeded:
            found = tuple(one for one in self._contradictions(memory, end) if one[0] not in memory.told)
        told = (*memory.told, *(what for what, _ in found))
        after = Outcome(memory.worked, memory.failed, memory.judged, end, 0.0, told, memory.judge)
        return Step(after, tuple(finding for _, finding in found))

    def _contradictions(self, memory: Outcome, end: Held) -> Iterator[tuple[str, Finding]]:
        if end.words[1] == "False":
            yield "verified", self._finding(end, {"check": "verified"}, "the session's own verification failed", None)
        failed, judged = _last(memory, end.due_s), memory.judged
        if judged is not None:
            name = judged.tool or ""
            why = f"evaluator {name} says that it failed"
            yield (
                "judged",
                self._finding(end, {"evaluator": name}, why, judged, (memory.judge,) if memory.judge else ()),
            )
        if failed is not None and self.limits_for(end.agent).last_call:
            tool = failed.tool or ""
            yield "failed", self._finding(end, {"tool": tool}, f"its last tool call, {tool}, failed", failed)

    def _finding(
        self, end: Held, what: dict[str, str], why: str, shown: Excerpt | None, judges: tuple[str, ...] = ()
    ) -> Finding:
        return self.found(
            {"agent": end.agent, **what},
            f"{end.agent}: says it succeeded, but {why}",
            identity=(end.agent, *what, *what.values()),
            at=end.evidence.at,
            observed=why,
            expected="a session that succeeded has nothing that says otherwise",
            evidence=(shown, end.evidence) if shown else (end.evidence,),
            releases=releases(end),
            judges=judges,
        )


def _called(known: Outcome, record: ToolCalled) -> Outcome:
    """A few calls are kept: an end may arrive after what a resumed session did next."""
    data, worked, failed = record.data, known.worked, known.failed
    if data.by != "agent":
        return known
    if data.status is OK or data.status not in FAILING:
        at = _pack(record.time.timestamp())
        if worked[-HASH:] < at:  # packed, they have the order of the times
            worked = worked[(1 - KEPT) * HASH :] + at
        else:
            worked = b"".join(sorted((*split(worked), at))[-KEPT:])
    else:
        kind = data.error.type if data.error is not None else None
        failed = tuple(sorted((*failed, excerpt(record, data.status.value, data.tool.name, kind)), key=_in_time))
    if failed:
        failed = _recent(worked, failed)
    return Outcome(worked, failed, known.judged, known.ended, known.due_s, known.told, known.judge)


def _in_time(one: Excerpt) -> tuple[datetime, str]:
    return one.at, one.position


def _recent(worked: bytes, failed: tuple[Excerpt, ...]) -> tuple[Excerpt, ...]:
    """Those for which it is known whether anything went well after them."""
    if len(worked) == KEPT * HASH and _pack(failed[0].at.timestamp()) < worked[:HASH]:
        failed = tuple(one for one in failed if _pack(one.at.timestamp()) >= worked[:HASH])
    return failed[-KEPT:]


def _last(known: Outcome, end_s: float) -> Excerpt | None:
    """The last call before the end, when it failed. Of two at the same time the one that went well comes last."""
    failed = [one for one in known.failed if one.at.timestamp() <= end_s]
    if not failed:
        return None
    at, end = _pack(failed[-1].at.timestamp()), _pack(end_s)
    return None if any(at <= one <= end for one in split(known.worked)) else failed[-1]


def _ended(known: Outcome, record: SessionEnded) -> Outcome:
    data = record.data
    end = held(record, (data.status.value, str(data.verified)), status=data.status.value)
    before = known.ended
    if before is not None and (before.due_s, before.evidence.position) >= (end.due_s, end.evidence.position):
        return known
    return Outcome(known.worked, known.failed, known.judged, end, end.due_s)


def _wake(known: Outcome) -> datetime | None:
    return moment(known.due_s) if known.due_s else None
