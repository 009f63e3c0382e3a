"""A model's window that is nearly full, or answers that end because it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, Heartbeat, LlmCalled, Severity
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt

AGAIN = timedelta(minutes=5)
RATIO_MAX = 1.5  # beyond, somebody counts in other units
LENGTH = ("length", "max_tokens", "MAX_TOKENS")
EVIDENCE_MAX = 3


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ratio_max: Annotated[float, Meta(gt=0, le=1)] = 0.9  # of the model's window
    cut_min: Annotated[int, Meta(ge=1)] = 3  # answers of a session that ended for want of room


class Pressed(Struct, frozen=True, array_like=True, gc=False):
    cut: int = 0
    evidence: tuple[Excerpt, ...] = ()  # of what was cut off
    full_at: datetime | None = None  # when it was told that the window is full
    cut_at: datetime | None = None


class ContextPressure(SessionDetector[Thresholds]):
    """Subject: the agent, and whether the window is full or answers are cut off. Ordinary sessions leave no memory."""

    name, version, memory = "context.pressure", 1, Pressed
    reads: tuple[type, ...] = (LlmCalled, Heartbeat)
    order: Order = "free"
    severity: Severity = "medium"
    runbook = (
        "Look at what fills the window: long tool results, or a history that nobody shortens.\n"
        "Let the agent summarise or hand over before the window is full; shorten results of tools.\n"
        "If answers are cut off, raise the limit of output tokens."
    )
    limits = Thresholds
    minimum = "one call with `context_limit`, or 3 answers that were cut off"
    false_alarms = "rule: no statistics"

    def step(self, memory: Pressed | None, record: Any) -> Step[Pressed]:
        ratio, cut = _ratio(record), type(record) is LlmCalled and _cut(record)
        limits = self.limits_for(record.data.ctx.agent.id)
        if not cut and (ratio is None or not limits.ratio_max <= ratio <= RATIO_MAX):
            return Step(memory)
        before = memory or Pressed()
        if cut:
            evidence = (*before.evidence, excerpt(record, status="length"))[-EVIDENCE_MAX:]
            before = Pressed(before.cut + 1, evidence, before.full_at, before.cut_at)
        full_at, cut_at, said = before.full_at, before.cut_at, []
        if ratio is not None and limits.ratio_max <= ratio <= RATIO_MAX and _due(full_at, record.at):
            full_at = record.at
            said.append(self._full(record, ratio, limits))
        if cut and before.cut >= limits.cut_min and _due(cut_at, record.at):
            cut_at = record.at
            said.append(self._cut_off(record, before, limits))
        if memory is not None and not cut and not said:
            return Step(memory)
        return Step(Pressed(before.cut, before.evidence, full_at, cut_at), tuple(said))

    def _full(self, record: Any, ratio: float, limits: Thresholds) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id, "pressure": "full"},
            f"{ctx.agent.id}: a session's context window is nearly full",
            at=record.at,
            observed=f"{ratio:.0%} of the window",
            expected=f"less than {limits.ratio_max:.0%}",
            evidence=(excerpt(record, value=round(ratio, 4)),),
            releases=releases_of(ctx),
        )

    def _cut_off(self, record: Any, now: Pressed, limits: Thresholds) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id, "pressure": "cut off"},
            f"{ctx.agent.id}: answers of a session are cut off",
            at=record.at,
            count=now.cut,
            observed=f"{now.cut} answers ended for want of room",
            expected=f"fewer than {limits.cut_min} in a session",
            evidence=now.evidence,
            releases=releases_of(ctx),
        )


def _ratio(record: Any) -> float | None:
    data = record.data
    if type(record) is Heartbeat:
        known: float | None = data.context_ratio
        return known
    limit, tokens = data.context_limit, data.tokens
    return tokens.input / limit if limit and tokens is not None else None


def _cut(record: LlmCalled) -> bool:
    reasons = record.data.finish_reasons
    return bool(reasons) and any(one in LENGTH for one in reasons or ())


def _due(told: datetime | None, at: datetime) -> bool:
    return told is None or at - told >= AGAIN
