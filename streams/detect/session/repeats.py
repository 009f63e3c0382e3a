"""What loops are seen by: the last calls of a session, eight bytes each, remembered once for all detectors of loops."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as Layout
from typing import Any, ClassVar, NamedTuple, TypeVar
from zlib import crc32

from msgspec import Struct

from ...records import SEVERITIES, CheckpointRecorded, Excerpt, Finding, Severity, Status, ToolCalled
from ...records.calls import ToolCalledData
from ...step import Order, Step
from ..agents import matches
from ..detector import Nothing, SessionDetector
from ..evidence import excerpt
from ..fingerprint import skeleton

CALLS_MAX = 64
TURN_MAX = 5  # calls in one turn of a sequence
EVIDENCE_MAX = 5
POLLERS_TIMES = 4  # tools that are asked again and again on purpose may do so that many times as often
TOOLS_MAX = 4096
ID_BYTES = 8
CALL = 0xFFFF_FFFF  # of an id: tool and arguments; above it the result, and in the lowest bit of that whether it polls
_OK = Status.ok

# Two checksums rather than a cryptographic hash: what goes in are hashes already, nobody gains by a collision, and a hash
# of them would cost a third more at every call.
_pack = Layout("<II").pack

T = TypeVar("T", bound=Struct)


class LastCalls(Struct, frozen=True, array_like=True, gc=False):
    ids: bytes
    evidence: tuple[Excerpt, ...] = ()  # the newest calls, as far as they were made before


class Again(NamedTuple):
    """A call that was made before, whatever it answered then. `calls` are ids, it is the last of them."""

    record: ToolCalled
    calls: tuple[int, ...]
    evidence: tuple[Excerpt, ...]


class LoopDetector(SessionDetector[T]):
    """A kind of loop. Its `look` is only asked about calls that were made before; the others cost next to nothing."""

    memory = LastCalls
    reads: tuple[type, ...] = (ToolCalled, CheckpointRecorded)
    order: Order = "near"

    def step(self, memory: LastCalls | None, record: ToolCalled | CheckpointRecorded) -> Step[LastCalls]:
        return heard(memory, record, (self,))

    def look(self, again: Again) -> Finding | None:
        raise NotImplementedError


class Loops(SessionDetector[Nothing]):
    """Several kinds of loops over one memory: one step instead of one each. They say what each would say alone."""

    name, version, memory = "loops", 1, LastCalls
    reads: tuple[type, ...] = (ToolCalled, CheckpointRecorded)
    order: Order = "near"
    severity: Severity = "medium"
    runbook: ClassVar[str] = ""
    limits = Nothing

    def __init__(self, parts: tuple[LoopDetector[Any], ...]) -> None:
        super().__init__(given=parts[0].given)
        self.parts = parts

    def step(self, memory: LastCalls | None, record: ToolCalled | CheckpointRecorded) -> Step[LastCalls]:
        return heard(memory, record, self.parts)


def heard(memory: LastCalls | None, record: Any, detectors: tuple[LoopDetector[Any], ...]) -> Step[LastCalls]:
    """Remember the call; if it was made before, let the detectors look. Progress wipes what was known."""
    if type(record) is CheckpointRecorded:
        return Step(None if _stands(record) else memory)
    data = record.data
    args, tool = data.args_hash, data.tool
    if data.by == "user":
        return Step(None)
    if not args:
        return Step(None if _wrote(data) else memory)
    result = data.result_hash if data.status is _OK else _trouble(data)
    answer = (crc32(result.encode()) | 2) & ~1 if result else 0
    if detectors[0].given.agents and matches(tool.name, detectors[0].rules(data.ctx.agent.id).pollers):
        answer |= 1
    one = _pack(crc32(args.encode(), tool_sum(tool.server, tool.name)), answer)
    if memory is None:
        return Step(LastCalls(one))
    before = memory.ids
    ids, at = (before + one)[-CALLS_MAX * ID_BYTES :], before.rfind(one[:4])  # `in` would take four times as long
    if at < 0:
        return Step(LastCalls(one if _wrote(data) else ids))
    if at >= len(before) - TURN_MAX * ID_BYTES or before.rfind(one) >= 0:
        return _again(memory, record, ids, detectors)
    return Step(LastCalls(ids))


def _again(
    memory: LastCalls, record: ToolCalled, ids: bytes, detectors: tuple[LoopDetector[Any], ...]
) -> Step[LastCalls]:
    data = record.data
    hashes = (data.args_hash, data.result_hash)
    newest = excerpt(record, status=data.status.value, tool=data.tool.name, hashes=hashes)
    evidence = (*memory.evidence, newest)[-EVIDENCE_MAX:]
    again = Again(record, _layout(len(ids) // ID_BYTES).unpack(ids), evidence)
    said = tuple(found for one in detectors if (found := one.look(again)) is not None)
    return Step(LastCalls(ids, evidence), said)


def answered(call: int) -> bool:
    """Whether its result is known: otherwise nobody can say that it was the same."""
    return call >> 33 > 0


def polls(call: int) -> bool:
    return bool(call >> 32 & 1)


def raised(severity: Severity, to: Severity | None = None) -> Severity:
    """One step higher, or to `to` if that is higher than it."""
    at = SEVERITIES.index(severity)
    return SEVERITIES[max(0, at - 1) if to is None else min(at, SEVERITIES.index(to))]


def _stands(record: CheckpointRecorded) -> bool:
    """A checkpoint that was made, of something that changed as far as anybody says."""
    data = record.data
    changed = data.diff is None or bool(data.diff.files or data.diff.insertions or data.diff.deletions)
    return data.op == "create" and data.result is _OK and changed


def _wrote(data: ToolCalledData) -> bool:
    if data.status is not _OK or (data.effect is None and not data.resources):
        return False
    return data.effect is not None or any(one.op == "write" for one in data.resources or ())


def _trouble(data: ToolCalledData) -> str:
    """An error is known by its skeleton: its text may name another request every time."""
    error = data.error
    if error is None:
        return data.result_hash or data.status.value
    words = skeleton(error.template) if error.template else ""
    return f"{data.status.value}\x1e{error.type or ''}\x1e{words}"


@lru_cache(maxsize=TOOLS_MAX)
def tool_sum(server: str | None, name: str) -> int:
    return crc32(f"{server or ''}\x1f{name}\x1f".encode())


@lru_cache(maxsize=CALLS_MAX)
def _layout(calls: int) -> Layout:
    return Layout(f"<{calls}Q")
