"""When a call is the same again: eight bytes for a call, and for a call with its result. What loops have in common."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from zlib import crc32

from ...records import SEVERITIES, CheckpointRecorded, Excerpt, Severity, Status, ToolCalled
from ...records.calls import ToolCalledData
from ..agents import matches
from ..fingerprint import skeleton
from ..fold import excerpt

ID_BYTES = 8
TOOLS_MAX = 4096
# Two checksums rather than a cryptographic hash: what goes in are hashes already, nobody gains by a collision, and it
# is a third of the cost of the detectors that ask for it at every call.
_pack = Struct("<II").pack
POLLERS_TIMES = 4  # tools that are asked again and again on purpose may do so that many times as often
_OK = Status.ok


def call_id(data: ToolCalledData) -> bytes | None:
    """Tool and arguments. None: nobody said which arguments, or it was not the agent who called."""
    args, tool = data.args_hash, data.tool
    if not args or data.by == "user":
        return None
    called = args.encode()
    return _pack(crc32(called, _tool(tool.server, tool.name)), crc32(called))


def seen_id(data: ToolCalledData) -> bytes | None:
    """Tool, arguments and result. None: nobody can say whether it is the same again.

    An error is known by its skeleton, as its text may name another request every time.
    """
    args, tool = data.args_hash, data.tool
    result = data.result_hash if data.status is _OK else _trouble(data)
    if not args or not result or data.by == "user":
        return None
    return _pack(crc32(args.encode(), _tool(tool.server, tool.name)), crc32(result.encode()))


def progress(record: ToolCalled | CheckpointRecorded) -> bool:
    """After it the same question may have another answer: the user acted, something was written, a checkpoint stands.

    Of writes only the first counts: making the same one again is no progress.
    """
    if isinstance(record, CheckpointRecorded):
        return record.data.op == "create" and record.data.result is _OK
    data = record.data
    if data.by == "user":
        return True
    if (data.effect is None and not data.resources) or data.status is not _OK:
        return False
    return data.effect is not None or any(one.op == "write" for one in data.resources or ())


def polls(tool: str, pollers: list[str], more: list[str]) -> bool:
    return matches(tool, pollers) or matches(tool, more)


def evidence_of(record: ToolCalled) -> Excerpt:
    data = record.data
    known = {"args_hash": data.args_hash, "result_hash": data.result_hash}
    return excerpt(record, status=data.status.value, tool=data.tool.name, **known)


def raised(severity: Severity, to: Severity | None = None) -> Severity:
    """One step higher, or to `to` if that is higher than it."""
    at = SEVERITIES.index(severity)
    return SEVERITIES[max(0, at - 1) if to is None else min(at, SEVERITIES.index(to))]


def _trouble(data: ToolCalledData) -> str:
    error = data.error
    if error is None:
        return data.result_hash or data.status.value
    return "\x1e".join((data.status.value, error.type or "", skeleton(error.template or "")))


@lru_cache(maxsize=TOOLS_MAX)
def _tool(server: str | None, name: str) -> int:
    return crc32(f"{server or ''}\x1f{name}\x1f".encode())
