"""One tool that keeps failing in one session."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, Severity, Status, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector
from ..fingerprint import error_id, fingerprint, skeleton
from ..fold import excerpt


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=1, le=200)] = 20  # the last calls of the session that are looked at
    errors_min: Annotated[int, Meta(ge=1)] = 3
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.5  # of that tool's calls, when the errors differ


class Call(Struct, frozen=True, array_like=True):
    tool: str
    error: str | None = None  # which error it was
    evidence: Excerpt | None = None


class Calls(Struct, frozen=True, array_like=True):
    last: tuple[Call, ...]


class RepeatedToolError(SessionDetector[Thresholds]):
    """In the last calls at least three errors of one tool that are the same error, or at least half of its calls.

    Subject: agent, tool and server, and the error where it is the same one. A person's denial is not a tool error.
    """

    name, version, memory = "tool.repeated_error", 1, Calls
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "near"
    severity: Severity = "high"
    runbook = (
        "Open the session and read the failing call's error.\n"
        "Check whether the tool's service is up and its credentials are valid.\n"
        "Stop the agent's retries, or roll the release back if it began with one."
    )
    limits = Thresholds

    def step(self, memory: Calls | None, record: ToolCalled) -> Step[Calls]:
        call = _call(record)
        last = (*(memory.last if memory else ()), call)[-self.thresholds.calls :]
        said = (self._finding(record, last, call),) if call.error and self._repeated(last, call) else ()
        return Step(Calls(last), said)

    def _repeated(self, last: tuple[Call, ...], call: Call) -> bool:
        limits = self.thresholds
        errors = [other for other in last if other.tool == call.tool and other.error]
        same = sum(other.error == call.error for other in errors)
        calls = sum(other.tool == call.tool for other in last)
        enough = len(errors) >= limits.errors_min
        return same >= limits.errors_min or (enough and len(errors) >= limits.share_min * calls)

    def _finding(self, record: ToolCalled, last: tuple[Call, ...], call: Call) -> Finding:
        data = record.data
        errors = [other for other in last if other.tool == call.tool and other.error]
        same = sum(other.error == call.error for other in errors) >= self.thresholds.errors_min
        text = _text(record) if same else "different errors"
        tool = f"{data.tool.server}/{data.tool.name}" if data.tool.server else data.tool.name
        what = (call.error or "") if same else "several"
        return Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, data.ctx.agent.id, call.tool, what),
            subject={"agent": data.ctx.agent.id, "tool": tool},
            title=f"{data.ctx.agent.id}: tool {tool} keeps failing: {text}",
            severity=self.severity,
            at=record.at,
            count=len(errors),
            observed=f"{len(errors)} errors of {tool} in the last {len(last)} calls of a session",
            expected=f"fewer than {self.thresholds.errors_min}",
            evidence=tuple(other.evidence for other in errors if other.evidence),
            releases=(data.ctx.agent.version,) if data.ctx.agent.version else (),
            dependency=data.tool.server,  # what other agents may be suffering from as well
        )


def _call(record: ToolCalled) -> Call:
    data = record.data
    tool = f"{data.tool.server or ''}/{data.tool.name}"
    if data.status not in (Status.error, Status.timeout):
        return Call(tool)
    kind = data.error.type if data.error else data.status.value
    message = data.error.template if data.error else None
    evidence = excerpt(
        record,
        status=data.status.value,
        tool=data.tool.name,
        text=_text(record),
        args_hash=data.args_hash,
        result_hash=data.result_hash,
    )
    return Call(tool, error_id(tool, kind, message), evidence)


def _text(record: ToolCalled) -> str:
    """The error's skeleton: the same words for the same trouble."""
    error = record.data.error
    if error is None:
        return record.data.status.value
    return skeleton(error.template or "") or (error.type or record.data.status.value)
