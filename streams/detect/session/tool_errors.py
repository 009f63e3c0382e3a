"""One tool that keeps failing in one session."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from ...records import Excerpt, Finding, Severity, Status, ToolCalled
from ...step import Order, Step
from ..detector import SessionDetector, releases_of
from ..fingerprint import error_id, skeleton
from ..fold import excerpt
from ..likeness import template, templates

EVIDENCE_MAX = 5
KIND_CHARS_MAX = 128
TOLD_MAX = 8
TOOLS_MAX = 4096  # remembered marks
_MARK = 8  # bytes a call: seven of its tool's hash, and whether it failed
_WORKED, _FAILED = b"\0", b"\1"
_ERROR, _TIMEOUT = Status.error, Status.timeout  # a person's denial is neither


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=1, le=200)] = 20  # the last calls of the session that are looked at
    errors_min: Annotated[int, Meta(ge=1)] = 3
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.5  # of that tool's calls, when the errors differ


class Failed(Struct, frozen=True, array_like=True):
    kind: str  # the error's class, or `timeout`
    words: str  # the skeleton of what it said
    evidence: Excerpt | None = None  # of the newest few


class Told(Struct, frozen=True, array_like=True):
    """A trouble that people know under these words, whatever words it gives up later."""

    tool: bytes
    kind: str
    words: str


class Calls(Struct, frozen=True, array_like=True):
    last: bytes  # a mark for each of the last calls, the newest at the end
    failed: tuple[Failed, ...] = ()  # those of them that failed, in the same order
    told: tuple[Told, ...] = ()


class Trouble(NamedTuple):
    """What is wrong with one tool; without `kind` and `words` it is several things."""

    errors: tuple[Failed, ...]
    kind: str = ""
    words: str = ""


class RepeatedToolError(SessionDetector[Thresholds]):
    """In the last calls at least three errors of one tool that are the same error, or at least half of its calls.

    Subject: agent, tool and server, and the error where it is the same one: what its messages have in common. A
    person's denial is not a tool error.
    """

    name, version, memory = "tool.repeated_error", 2, Calls
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "near"
    severity: Severity = "high"
    runbook = (
        "Open the session and read the failing call's error.\n"
        "Check whether the tool's service is up and its credentials are valid.\n"
        "Stop the agent's retries, or roll the release back if it began with one."
    )
    limits = Thresholds
    minimum = "3 errors of one tool"
    false_alarms = "found in 13 of the 327 tau2 sessions that call tools, 12 of which failed; 1 of 202 successful ones"

    def step(self, memory: Calls | None, record: ToolCalled) -> Step[Calls]:
        data = record.data
        tool, status = data.tool, data.status
        limits = self.limits_for(data.ctx.agent.id) if self._overrides else self.thresholds
        worked = _mark(tool.server, tool.name)
        if status is _ERROR or status is _TIMEOUT:
            return self._failed(memory or Calls(b""), record, worked[:-1], limits)
        if memory is None:
            return Step(Calls(worked))
        last = memory.last + worked
        beyond = len(last) - limits.calls * _MARK
        if beyond <= 0:
            return Step(Calls(last, memory.failed, memory.told))
        failed, last = memory.failed, last[beyond:]
        if failed:
            failed = _left(failed, memory.last, beyond)
        if last == memory.last and failed is memory.failed:
            return Step(memory)
        return Step(Calls(last, failed, memory.told))

    def _failed(self, memory: Calls, record: ToolCalled, mark: bytes, limits: Thresholds) -> Step[Calls]:
        last = memory.last + mark + _FAILED
        beyond = max(0, len(last) - limits.calls * _MARK)
        failed = _left((*memory.failed, _error(record)), last, beyond)
        failed = _without_evidence(failed[:-EVIDENCE_MAX]) + failed[-EVIDENCE_MAX:]
        last, told = last[beyond:], memory.told
        trouble = _trouble(last, failed, mark, limits)
        if trouble is None:
            return Step(Calls(last, failed, told))
        if trouble.words:
            known = next((one for one in told if _same(one, mark, trouble)), None)
            if known is None:
                told = (*told, Told(mark, trouble.kind, trouble.words))[-TOLD_MAX:]
            else:
                trouble = trouble._replace(words=known.words)
        return Step(Calls(last, failed, told), (self._finding(record, trouble, len(last) // _MARK, limits),))

    def _finding(self, record: ToolCalled, trouble: Trouble, calls: int, limits: Thresholds) -> Finding:
        ctx, tool, errors = record.data.ctx, record.data.tool, trouble.errors
        agent, name = ctx.agent.id, f"{tool.server}/{tool.name}" if tool.server else tool.name
        place = f"{tool.server or ''}/{tool.name}"
        what = error_id(place, trouble.kind, trouble.words) if trouble.words else "several"
        return self.found(
            {"agent": agent, "tool": name},
            f"{agent}: tool {name} keeps failing: {trouble.words or 'different errors'}",
            identity=(agent, place, what),
            at=record.at,
            count=len(errors),
            observed=f"{len(errors)} errors of {name} in the last {calls} calls of a session",
            expected=f"fewer than {limits.errors_min}",
            evidence=tuple(error.evidence for error in errors if error.evidence),
            releases=releases_of(ctx),
            dependency=tool.server or tool.name,  # what other agents may be suffering from as well
        )


@lru_cache(maxsize=TOOLS_MAX)
def _mark(server: str | None, name: str) -> bytes:
    """Of a call that worked."""
    return blake2b(f"{server or ''}\x1f{name}".encode(), digest_size=_MARK - 1).digest() + _WORKED


def _left(failed: tuple[Failed, ...], last: bytes, beyond: int) -> tuple[Failed, ...]:
    """Without those whose calls fall out of the window with the first `beyond` bytes."""
    gone = last[_MARK - 1 : beyond : _MARK].count(_FAILED)
    return failed[gone:] if gone else failed


def _without_evidence(failed: tuple[Failed, ...]) -> tuple[Failed, ...]:
    return tuple(Failed(one.kind, one.words) if one.evidence else one for one in failed)


def _error(record: ToolCalled) -> Failed:
    data = record.data
    status, error = data.status.value, data.error
    kind = (error.type if error and error.type else status)[:KIND_CHARS_MAX]
    words = skeleton(error.template or "") if error else ""
    evidence = excerpt(
        record,
        status=status,
        tool=data.tool.name,
        text=words or kind,
        args_hash=data.args_hash,
        result_hash=data.result_hash,
    )
    return Failed(kind, words or kind, evidence)


def _same(told: Told, mark: bytes, trouble: Trouble) -> bool:
    known = told.tool == mark and told.kind == trouble.kind
    return known and template(told.words, trouble.words) is not None


def _named(errors: tuple[Failed, ...]) -> list[tuple[str, str]]:
    """What each error is: its class, and what its words have in common with others of that class."""
    common: dict[str, dict[str, str]] = {}
    for kind in {error.kind for error in errors}:
        common[kind] = templates(error.words for error in errors if error.kind == kind)
    return [(error.kind, common[error.kind][error.words]) for error in errors]


def _trouble(last: bytes, failed: tuple[Failed, ...], mark: bytes, limits: Thresholds) -> Trouble | None:
    """About the tool of the newest call, which failed."""
    tools = [last[at : at + _MARK] for at in range(0, len(last), _MARK)]
    marks = [tool for tool in tools if tool[-1:] == _FAILED]
    errors = tuple(error for tool, error in zip(marks, failed, strict=True) if tool[:-1] == mark)
    if len(errors) < limits.errors_min:
        return None
    named = _named(errors)
    counts, newest = Counter(named), named[-1]
    if counts[newest] >= limits.errors_min:
        return Trouble(errors, *newest)
    calls = tools.count(mark + _WORKED) + tools.count(mark + _FAILED)
    if len(errors) < limits.share_min * calls:
        return None
    (kind, words), most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return Trouble(errors, kind, words) if most >= limits.errors_min else Trouble(errors)
