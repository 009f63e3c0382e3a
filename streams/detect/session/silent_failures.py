"""A session that says it succeeded and left nothing behind: no expected effect, empty results, an empty answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import (
    Excerpt,
    Finding,
    LlmCalled,
    SessionEnded,
    SessionStarted,
    SessionStatus,
    Severity,
    Status,
    Tick,
    ToolCalled,
)
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector
from ..evidence import excerpt
from ..shelf import moment
from ..traits import EFFECT, PRICED, RETRIEVAL
from .waiting import Held, at_most, held, releases

KINDS_MAX = 32  # of effects that are expected, and of those that were made
KIND_MAX = 128
RESULTS_MAX = 20


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    empty_min: Annotated[int, Meta(ge=0, le=RESULTS_MAX)] = 3  # so many of the last results were empty; 0: never mind
    answer_tokens_max: Annotated[int, Meta(ge=0, le=1000)] = 3  # of an empty answer; 0: never mind


class Work(Struct, frozen=True, array_like=True, gc=False):
    expected: tuple[str, ...] = ()  # kinds of effects that the root session's start names
    made: tuple[str, ...] = ()  # kinds that were made
    results: tuple[float, ...] = ()  # when a result said whether it was empty, with a minus if it was
    answered: datetime | None = None  # when the root session's last model call was
    answer: Excerpt | None = None  # that call, when its answer was next to nothing
    ended: Held | None = None
    due_s: float = 0.0


NONE = Work()


class SilentFailure(SessionDetector[Thresholds]):
    """Judged when all events of the root session's end are in. Subject: agent, and what is missing or empty.

    Expected are the effects that the start names and those that the policy names for the agent; its subagents' count.
    """

    name, version, memory = "session.silent_failure", 1, Work
    reads: tuple[type, ...] = (SessionStarted, ToolCalled, LlmCalled, SessionEnded)
    order: Order = "free"
    only = EFFECT | RETRIEVAL | PRICED
    of_root = True
    severity: Severity = "medium"
    runbook = (
        "Check the result by hand: the session says it succeeded, and nothing shows that it did.\n"
        "Look for the step that should have had the effect: was it tried, refused, answered with nothing?\n"
        "Let the agent fail when it did not do what it was asked for."
    )
    limits = Thresholds
    minimum = "none: expected effects as declared, else the last results and the last answer"
    false_alarms = "rule: no statistics; of 27 tau-bench sessions without the write they needed all had failed"

    def step(self, memory: Work | None, record: Any) -> Step[Work]:
        known = memory or NONE
        kind = type(record)
        if kind is ToolCalled:
            after = self._called(known, record)
        elif kind is LlmCalled:
            after = self._answered(known, record)
        elif isinstance(record, Tick):
            return self._judge(memory, record.at.timestamp())
        else:
            after = _framed(known, record)
        return Step(memory if after is known else after, (), moment(after.due_s) if after.due_s else None)

    def _called(self, known: Work, record: ToolCalled) -> Work:
        data, made, results = record.data, known.made, known.results
        if data.status is not Status.ok:
            return known
        if data.effect is not None and (kind := data.effect.kind[:KIND_MAX]) not in made and len(made) < KINDS_MAX:
            made = tuple(sorted((*made, kind)))
        if data.empty is not None or data.hits is not None:
            at_s, most = record.time.timestamp(), self.limits_for(data.ctx.agent.id).empty_min
            results = _newest(results, -at_s if data.empty or data.hits == 0 else at_s, most)
        if made is known.made and results is known.results:
            return known
        return Work(known.expected, made, results, known.answered, known.answer, known.ended, known.due_s)

    def _answered(self, known: Work, record: LlmCalled) -> Work:
        data, at, last = record.data, record.time, known.answered
        ctx = data.ctx
        if (last is not None and at < last) or (
            ctx.root_session_id is not None and ctx.root_session_id != ctx.session_id
        ):
            return known
        answer = None
        output = data.tokens.output if data.tokens is not None and data.status is Status.ok else None
        if output is not None and output <= self.limits_for(ctx.agent.id).answer_tokens_max:
            answer = excerpt(record, status=data.status.value, value=float(output))
        if at == last and (known.answer is None or answer is not None):
            return known
        return Work(known.expected, known.made, known.results, at, answer, known.ended, known.due_s)

    def _judge(self, memory: Work | None, at_s: float) -> Step[Work]:
        if memory is None or memory.due_s == 0.0:
            return Step(memory)
        if memory.due_s > at_s:
            return Step(memory, (), moment(memory.due_s))
        end = memory.ended
        said: tuple[Finding, ...] = ()
        if end is not None and end.words[0] == SessionStatus.succeeded:
            said = tuple(self._missing(memory, end))
            if not said and not memory.made:  # what changed something may well answer with "Done."
                said = tuple(self._empty(memory, end))
        return Step(Work(memory.expected, memory.made, memory.results, memory.answered, memory.answer, end), said)

    def _missing(self, memory: Work, end: Held) -> Iterator[Finding]:
        for kind in dict.fromkeys((*memory.expected, *self.rules(end.agent).expected_effects)):
            if not any(matches(made, (kind,)) for made in memory.made):
                observed = f"the session ended as succeeded; of its successful calls none had the effect {kind}"
                yield self._finding(end, {"effect": kind}, f"succeeded without {kind}", observed)

    def _empty(self, memory: Work, end: Held) -> Iterator[Finding]:
        limits = self.limits_for(end.agent)
        last = memory.results[-limits.empty_min :] if limits.empty_min else ()
        if limits.empty_min and len(last) == limits.empty_min and max(last) < 0:
            yield self._finding(
                end, {"empty": "results"}, "succeeded on empty results", f"the last {len(last)} results were empty"
            )
        answer = memory.answer
        if answer is not None and limits.answer_tokens_max:
            observed = f"{answer.value:g} tokens in the last model call"
            yield self._finding(end, {"empty": "answer"}, "succeeded with next to no answer", observed, answer)

    def _finding(
        self, end: Held, what: dict[str, str], title: str, observed: str, shown: Excerpt | None = None
    ) -> Finding:
        severity = self.chosen(end.agent).severity
        return self.found(
            {"agent": end.agent, **what},
            f"{end.agent}: {title}",
            identity=(end.agent, *what, *what.values()),
            severity=severity if "effect" in what else at_most(severity, "low"),
            at=end.evidence.at,
            observed=observed,
            expected="a session that succeeded leaves something behind",
            evidence=(shown, end.evidence) if shown else (end.evidence,),
            releases=releases(end),
        )


def _newest(results: tuple[float, ...], one: float, most: int) -> tuple[float, ...]:
    """The newest few, the oldest first; of two at the same time the empty one goes first."""
    if most == 0 or (len(results) >= most and abs(one) < abs(results[0])):
        return results
    return tuple(sorted((*results, one), key=lambda at_s: (abs(at_s), at_s)))[-most:]


def _framed(known: Work, record: SessionStarted | SessionEnded) -> Work:
    """The root session's start and its end; its subagents' own do not matter."""
    ctx = record.data.ctx
    if ctx.root != ctx.session_id:
        return known
    return _started(known, record) if isinstance(record, SessionStarted) else _ended(known, record)


def _started(known: Work, record: SessionStarted) -> Work:
    wanted = tuple(kind[:KIND_MAX] for kind in record.data.expected_effects or ())
    expected = tuple(sorted({*known.expected, *wanted}))[:KINDS_MAX]
    if expected == known.expected:
        return known
    return Work(expected, known.made, known.results, known.answered, known.answer, known.ended, known.due_s)


def _ended(known: Work, record: SessionEnded) -> Work:
    status = record.data.status.value
    end, before = held(record, (status,), status=status), known.ended
    if before is not None and (before.due_s, before.evidence.position) >= (end.due_s, end.evidence.position):
        return known
    return Work(known.expected, known.made, known.results, known.answered, known.answer, end, end.due_s)
