"""A producer whose events cannot be used: one incident per agent and reason, with a corrected example."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Finding, IntakeRejected, Severity
from ...step import Order, Step
from ..detector import SessionDetector
from ..evidence import excerpt
from ..fingerprint import fingerprint


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rejected_min: Annotated[int, Meta(ge=1)] = 1
    page_min: Annotated[int, Meta(ge=1)] = (
        10  # that many of one kind: the agent is flying blind, somebody should look now
    )


class Seen(Struct, frozen=True, array_like=True, gc=False):
    reasons: dict[str, int] = {}


class IntakeRejections(SessionDetector[Thresholds]):
    """Subject: agent (or the source partition where no agent could be read) and reason."""

    name, version, memory = "intake.rejected", 1, Seen
    reads: tuple[type, ...] = (IntakeRejected,)
    order: Order = "free"
    severity: Severity = "high"
    runbook = (
        "Run `tocsin deadletters list` and `show` one of them.\n"
        "Check the producer with `tocsin check --events FILE`.\n"
        "After the fix, `tocsin deadletters resend` brings the repaired events back."
    )
    limits = Thresholds
    minimum = "one rejected event"
    false_alarms = "rule: no statistics; every rejection is one"
    REASONS_MAX = 64

    def step(self, memory: Seen | None, record: IntakeRejected) -> Step[Seen]:
        seen = memory or Seen()
        data = record.data
        if data.reason not in seen.reasons and len(seen.reasons) >= self.REASONS_MAX:
            return Step(seen)
        count = seen.reasons.get(data.reason, 0) + 1
        after = Seen({**seen.reasons, data.reason: count})
        return Step(after, (self._finding(record, count),) if count >= self.thresholds.rejected_min else ())

    def _finding(self, record: IntakeRejected, count: int) -> Finding:
        data = record.data
        agent = data.ctx.agent.id
        return Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, agent, data.reason),
            subject={"agent": agent, "reason": data.reason},
            title=f"{agent}: events are rejected: {data.reason}",
            severity=self.severity if count >= self.thresholds.page_min else "medium",
            at=record.at,
            count=count,
            observed=f"{data.detail} at {data.pointer or 'the message'}",
            expected="events that follow the published schemas",
            evidence=(excerpt(record, status=data.reason, text=f"{data.pointer} {data.detail}"[:300]),),
            hint=data.example,
        )
