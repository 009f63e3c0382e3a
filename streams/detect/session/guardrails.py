"""A session that runs into guardrails again and again: somebody tries, or something leads it astray."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct, field

from ...records import Excerpt, Finding, PermissionChecked, PermissionResult, Severity
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt

KINDS = ("guardrail", "model")  # of who decided
KEPT_MAX = 20
TEXT_MAX = 200


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    denied_min: Annotated[int, Meta(ge=1, le=KEPT_MAX)] = 3
    window_s: Annotated[float, Meta(gt=0, le=1e9)] = 600.0
    # globs of policies and their rules
    guardrails: list[str] = field(default_factory=lambda: ["*guardrail*"])


class Denials(Struct, frozen=True, array_like=True, gc=False):
    last: tuple[Excerpt, ...]


class GuardrailTriggered(SessionDetector[Thresholds]):
    """Subject: the agent. Denials by a guardrail or a model, or under a policy or rule that the policy calls a guardrail.

    A person who says no, and a policy about permissions, are no guardrails; evaluators neither.
    """

    name, version, memory = "guardrail.triggered", 1, Denials
    reads: tuple[type, ...] = (PermissionChecked,)
    order: Order = "free"
    severity: Severity = "high"
    runbook = (
        "Read what was denied, and what the session read before: instructions may have come in with a document.\n"
        "Stop the session if somebody is trying; block the user or the source.\n"
        "If the guardrail is wrong, mark it a false positive and correct its rule."
    )
    limits = Thresholds
    minimum = "3 denials"
    false_alarms = "rule: no statistics"

    def step(self, memory: Denials | None, record: PermissionChecked) -> Step[Denials]:
        data = record.data
        if data.result is not PermissionResult.denied:
            return Step(memory)
        limits = self.limits_for(data.ctx.agent.id)
        if not _guards(record, limits.guardrails):
            return Step(memory)
        what = (data.policy.rule or data.policy.id if data.policy else data.decided_by.id) or data.decided_by.kind
        fresh = excerpt(record, status="denied", text=f"{data.action}: {what}"[:TEXT_MAX])
        kept = sorted((*(memory.last if memory else ()), fresh), key=lambda one: (one.at, one.position))[-KEPT_MAX:]
        said = self._near(kept, record.at, limits)
        finding = (self._finding(record, said, limits),) if len(said) >= limits.denied_min else ()
        return Step(Denials(tuple(kept)), finding)

    @staticmethod
    def _near(kept: list[Excerpt], at: datetime, limits: Thresholds) -> list[Excerpt]:
        """The most denials of one window that this one is part of."""
        window = timedelta(seconds=limits.window_s)
        best: list[Excerpt] = []
        for first in kept:
            some = [one for one in kept if first.at <= one.at <= first.at + window]
            if first.at <= at <= first.at + window and len(some) > len(best):
                best = some
        return best

    def _finding(self, record: PermissionChecked, denials: list[Excerpt], limits: Thresholds) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id},
            f"{ctx.agent.id}: a session keeps running into guardrails",
            at=record.at,
            count=len(denials),
            observed=f"{len(denials)} denials by guardrails in {limits.window_s / 60:g} min",
            expected=f"fewer than {limits.denied_min}",
            evidence=tuple(denials),
            releases=releases_of(ctx),
        )


def _guards(record: PermissionChecked, globs: list[str]) -> bool:
    data = record.data
    if data.decided_by.kind in KINDS:
        return True
    policy = data.policy
    names = (policy.id, policy.rule) if policy is not None else ()
    return any(name and matches(name, globs) for name in names)
