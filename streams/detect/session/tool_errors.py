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
from ..evidence import excerpt
from ..fingerprint import error_id, skeleton
from ..likeness import alike, templates

EVIDENCE_MAX = 5
KIND_CHARS_MAX = 128
TOLD_MAX = 8
TOOLS_MAX = 4096  # remembered marks
COMMON_MAX = 64  # the errors of a window are mostly those of a call ago
_MARK = 8  # bytes a call: seven of its tool's hash, and whether it failed
_WORKED, _FAILED = b"\0", b"\1"
_ERROR, _TIMEOUT = Status.error, Status.timeout  # a person's denial is neither


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    calls: Annotated[int, Meta(ge=1, le=200)] = 20  # the last calls of the session that are looked at
    errors_min: Annotated[int, Meta(ge=1)] = 3
    share_min: Annotated[float, Meta(ge=0, le=1)] = 0.5  # of that tool's calls, when the errors differ


class Failed(Struct, frozen=True, array_like=True, gc=False):
    tool: bytes  # the first seven bytes of its mark
    kind: str  # the error's class, or `timeout`
    words: str  # the skeleton of what it said
    evidence: Excerpt | None = None  # of the newest few


class Told(Struct, frozen=True, array_like=True, gc=False):
    """A trouble that people know under these words, whatever words it gives up later."""

    tool: bytes
    kind: str
    words: str


class Calls(Struct, frozen=True, array_like=True, gc=False):
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

    def _failed(self, memory: Calls, record: ToolCalled, tool: bytes, limits: Thresholds) -> Step[Calls]:
        last = memory.last + tool + _FAILED
        beyond = max(0, len(last) - limits.calls * _MARK)
        failed = (*memory.failed, _error(record, tool))
        if beyond:
            failed = _left(failed, last, beyond)
        if len(failed) > EVIDENCE_MAX:
            old = failed[-EVIDENCE_MAX - 1]  # those before it have lost theirs already
            failed = (*failed[: -EVIDENCE_MAX - 1], Failed(old.tool, old.kind, old.words), *failed[-EVIDENCE_MAX:])
        last, told = last[beyond:], memory.told
        if len(failed) < limits.errors_min:
            return Step(Calls(last, failed, told))
        errors = tuple(one for one in failed if one.tool == tool)
        trouble = _trouble(errors, told, last, limits) if len(errors) >= limits.errors_min else None
        if trouble is None:
            return Step(Calls(last, failed, told))
        if trouble.words and not any(one.tool == tool and (one.kind, one.words) == trouble[1:] for one in told):
            told = (*told, Told(tool, trouble.kind, trouble.words))[-TOLD_MAX:]
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


def _error(record: ToolCalled, tool: bytes) -> Failed:
    data = record.data
    status, error = data.status.value, data.error
    kind = (error.type if error is not None and error.type else status)[:KIND_CHARS_MAX]
    words = (skeleton(error.template) if error is not None and error.template else "") or kind
    hashes = (data.args_hash, data.result_hash)
    return Failed(tool, kind, words, excerpt(record, status, data.tool.name, words, hashes=hashes))


def _trouble(errors: tuple[Failed, ...], told: tuple[Told, ...], last: bytes, limits: Thresholds) -> Trouble | None:
    """About the tool of the newest call, which failed. Under the words that people know, if they know it."""
    newest = errors[-1]
    known = [one for one in told if one.tool == newest.tool]
    for one in known:
        if _is(one, newest) and sum(_is(one, error) for error in errors) >= limits.errors_min:
            return Trouble(errors, one.kind, one.words)
    named = _named(errors)
    counts = Counter(named)
    kind, words = named[-1]
    if counts[kind, words] < limits.errors_min:
        worked = sum(last[at : at + _MARK] == newest.tool + _WORKED for at in range(0, len(last), _MARK))
        if len(errors) < limits.share_min * (worked + len(errors)):
            return None
        (kind, words), most = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if most < limits.errors_min:
            return Trouble(errors)
    words = next((one.words for one in known if one.kind == kind and alike(one.words, words)), words)
    return Trouble(errors, kind, words)


def _is(told: Told, error: Failed) -> bool:
    return told.kind == error.kind and (told.words == error.words or alike(told.words, error.words))


def _named(errors: tuple[Failed, ...]) -> list[tuple[str, str]]:
    """What each error is: its class, and what its words have in common with others of that class."""
    kinds = {error.kind for error in errors}
    common = {kind: _common(tuple(sorted({one.words for one in errors if one.kind == kind}))) for kind in kinds}
    return [(error.kind, common[error.kind][error.words]) for error in errors]


@lru_cache(maxsize=COMMON_MAX)
def _common(words: tuple[str, ...]) -> dict[str, str]:
    return templates(words)
