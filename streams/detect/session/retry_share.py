"""How much of a session's cost went into doing again what had failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from zlib import crc32

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, LlmCalled, Severity, Status, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from ..traits import FAILED, PRICED, RETRIED
from .amounts import CALL_NANO_MAX, NANO, money
from .repeats import tool_sum
from .tables import SHORT, has

AGAIN = timedelta(minutes=5)
FAILED_MAX = 32
EVIDENCE_MAX = 3
BROKEN = (Status.error, Status.timeout)


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    share_max: Annotated[float, Meta(gt=0, le=1)] = 0.3  # of the session's cost
    retry_cost_min: Annotated[float, Meta(ge=0, le=1e9)] = 0.25  # currency units that went into retries


class Retries(Struct, frozen=True, array_like=True, gc=False):
    nano: int = 0
    retry_nano: int = 0
    retries: int = 0
    failed: bytes = b""  # calls of tools, with their arguments, that failed: four bytes each
    told_at: datetime | None = None
    evidence: tuple[Excerpt, ...] = ()


class RetryShare(SessionDetector[Thresholds]):
    """Subject: the agent. A retry is a call that says so, or one of the same tool and arguments as a failed one."""

    name, version, memory = "cost.retry_share", 2, Retries
    reads: tuple[type, ...] = (LlmCalled, ToolCalled)
    order: Order = "near"  # whether a call comes after the failure that it repeats
    severity: Severity = "medium"
    runbook = (
        "Read the error of the call that is tried again: retrying does not repair it.\n"
        "Give the retries a limit and a growing pause, or let the agent stop at such an error.\n"
        "If the provider fails for everybody, see its own incident."
    )
    limits = Thresholds
    only = FAILED | PRICED | RETRIED
    minimum = "0.25 spent on retries"
    false_alarms = "rule: no statistics; none in the 140 priced sessions of the given tau2 files"

    def step(self, memory: Retries | None, record: Any) -> Step[Retries]:
        data = record.data
        cost = data.cost
        failed = data.status in BROKEN and type(record) is ToolCalled
        nano = cost.nano if cost is not None else 0
        if nano > CALL_NANO_MAX or (nano == 0 and not failed):
            return Step(memory)
        before = memory or Retries()
        again = data.retry_of is not None or (data.attempt or 0) > 1
        if failed or (before.failed and type(record) is ToolCalled):
            return self._tool(before, record, nano, again=again, failed=failed)
        if not again:
            return Step(_priced(before, nano))
        return self._retried(_priced(before, nano), record, nano)

    def _tool(self, before: Retries, record: ToolCalled, nano: int, *, again: bool, failed: bool) -> Step[Retries]:
        one = _call(record)
        known = one is not None and has(before.failed, one)
        after = _priced(before, nano) if nano else before
        if failed and one is not None and not known:
            ids = (after.failed + one)[-FAILED_MAX * SHORT :]
            after = Retries(after.nano, after.retry_nano, after.retries, ids, after.told_at, after.evidence)
        return self._retried(after, record, nano) if nano and (again or known) else Step(after)

    def _retried(self, before: Retries, record: Any, nano: int) -> Step[Retries]:
        limits = self.limits_for(record.data.ctx.agent.id)
        evidence = (*before.evidence, excerpt(record, status=record.data.status.value, value=nano / NANO))
        spent = before.retry_nano + nano
        enough = spent >= limits.retry_cost_min * NANO and spent >= limits.share_max * before.nano
        told = enough and (before.told_at is None or record.at - before.told_at >= AGAIN)
        told_at = record.at if told else before.told_at
        after = Retries(before.nano, spent, before.retries + 1, before.failed, told_at, evidence[-EVIDENCE_MAX:])
        return Step(after, (self._finding(after, record, limits),) if told else ())

    def _finding(self, now: Retries, record: Any, limits: Thresholds) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id},
            f"{ctx.agent.id}: a session spends its money on retries",
            at=record.at,
            count=now.retries,
            observed=f"{money(now.retry_nano)} of {money(now.nano)} in {now.retries} retries",
            expected=f"less than {limits.share_max:.0%} of a session's cost",
            evidence=now.evidence,
            releases=releases_of(ctx),
        )


def _call(record: ToolCalled) -> bytes | None:
    """Four bytes for tool and arguments; None: nobody said which arguments, or a person made the call."""
    data = record.data
    if not data.args_hash or data.by == "user":
        return None
    return crc32(data.args_hash.encode(), tool_sum(data.tool.server, data.tool.name)).to_bytes(SHORT)


def _priced(before: Retries, nano: int) -> Retries:
    return Retries(
        before.nano + nano, before.retry_nano, before.retries, before.failed, before.told_at, before.evidence
    )
