"""A session was taken back to an earlier state: that it was, whether it worked, and whether there was such a state."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import CheckpointRecorded, CheckpointRecordedData, Finding, Severity, Status, Tick
from ...step import Order, Step
from ..detector import Nothing, SessionDetector, releases_of
from ..evidence import excerpt
from .tables import HASH, has, key
from .waiting import Held, at_most, due, held, holding, parted, releases

CREATED_MAX = 64
TEXT_MAX = 300  # of each part that a producer wrote
NAMED_MAX = 3


class NoThresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None but severity, runbook and trial."""


class RollbackPerformed(SessionDetector[NoThresholds]):
    """Every restore, with its checkpoint, what changed, and who decided it. Subject: agent, and whether it worked."""

    name, version, memory = "rollback.performed", 1, Nothing
    reads: tuple[type, ...] = (CheckpointRecorded,)
    order: Order = "free"
    severity: Severity = "high"
    runbook = (
        "Read who asked for the rollback and why; the checkpoint and the size of the change are in the evidence.\n"
        "If it failed, or something could not be restored, compare the listed resources with what they should be.\n"
        "Find the step that made it necessary: it is before the rollback in the same session."
    )
    limits = NoThresholds
    false_alarms = "rule: no statistics"

    def step(self, memory: Nothing | None, record: Any) -> Step[Nothing]:
        if isinstance(record, Tick) or record.data.op != "restore":
            return Step(memory)
        data: CheckpointRecordedData = record.data
        agent, result = data.ctx.agent.id, _result(data)
        severity = self.chosen(agent).severity
        text = "; ".join(part for part in (_path(data), _extent(data), _lost(data)) if part)
        finding = self.found(
            {"agent": agent, "rollback": "done" if result == "done" else "failed"},
            f"{agent}: a session was rolled back" if result == "done" else f"{agent}: a rollback did not work",
            severity=at_most(severity, "medium") if result == "done" else severity,
            at=record.at,
            observed=f"restore of checkpoint {data.checkpoint_id[:TEXT_MAX]}: {result}; {text}",
            expected="no rollback is needed" if result == "done" else "a rollback restores everything",
            evidence=(excerpt(record, status=data.result.value, text=text),),
            releases=releases_of(data.ctx),
        )
        return Step(memory, (finding,))


def _result(data: CheckpointRecordedData) -> str:
    if data.result is not Status.ok:
        return data.result.value
    return "done, but not for everything" if data.unrecoverable else "done"


def _path(data: CheckpointRecordedData) -> str:
    """Who decided it, on what permission, why."""
    by = data.initiated_by
    who = f"by {by.kind} {by.id or ''}".strip() if by else "nobody says who asked for it"
    permission = f"permission {data.permission_id}" if data.permission_id else "no permission named"
    return ", ".join(part[:TEXT_MAX] for part in (who, permission, data.reason or "") if part)


def _extent(data: CheckpointRecordedData) -> str:
    diff = data.diff
    return f"{diff.files} files, +{diff.insertions} -{diff.deletions} lines" if diff else ""


def _lost(data: CheckpointRecordedData) -> str:
    lost = data.unrecoverable or []
    if not lost:
        return ""
    more = f" and {len(lost) - NAMED_MAX} more" if len(lost) > NAMED_MAX else ""
    return f"not restored: {', '.join(uri[:TEXT_MAX] for uri in lost[:NAMED_MAX])}{more}"


class Grace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    grace_s: Annotated[float, Meta(ge=0, le=3600)] = 30.0  # of event time, for a checkpoint that is said late


class Created(Struct, frozen=True, array_like=True, gc=False):
    created: bytes = b""  # hashes of checkpoint ids
    waiting: tuple[Held, ...] = ()


NONE = Created()


class RollbackWithoutCheckpoint(SessionDetector[Grace]):
    """A restore of a checkpoint that the root session and its subagents never made. Subject: agent."""

    name, version, memory = "rollback.without_checkpoint", 1, Created
    reads: tuple[type, ...] = (CheckpointRecorded,)
    order: Order = "free"
    of_root = True
    severity: Severity = "high"
    runbook = (
        "Look at what the session's state is now: nobody knows what was restored.\n"
        "Check whether the checkpoint belongs to another session, or was never said.\n"
        "Make the producer say every checkpoint that it creates."
    )
    limits = Grace
    minimum = "none; the last 64 checkpoints of a session are known"
    false_alarms = "rule: no statistics"

    def step(self, memory: Created | None, record: Any) -> Step[Created]:
        if isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        known, data = memory or NONE, record.data
        after, name = known, key(data.checkpoint_id)
        if data.op == "create" and data.result is Status.ok:
            if not has(known.created, name):
                after = Created(known.created[-(CREATED_MAX - 1) * HASH :] + name, known.waiting)
        elif data.op == "restore" and not has(known.created, name):
            text = f"checkpoint {data.checkpoint_id}"[:TEXT_MAX]
            wait_s = self.limits_for(data.ctx.agent.id).grace_s
            restore = held(record, (text,), name, wait_s=wait_s, status=data.result.value, text=text)
            waiting = holding(known.waiting, restore)
            after = known if waiting is known.waiting else Created(known.created, waiting)
        return Step(memory if after is known else after, (), due(after.waiting))

    def _judged(self, memory: Created | None, at_s: float) -> Step[Created]:
        if memory is None:
            return Step(None)
        ripe, waiting = parted(memory.waiting, at_s)
        if not ripe:
            return Step(memory, (), due(waiting))
        said = tuple(self._finding(one) for one in ripe if not has(memory.created, one.keys))
        return Step(Created(memory.created, waiting) if memory.created or waiting else None, said, due(waiting))

    def _finding(self, restore: Held) -> Finding:
        return self.found(
            {"agent": restore.agent},
            f"{restore.agent}: rolled back to a checkpoint that was never made",
            at=restore.evidence.at,
            observed=f"restore of {restore.words[0]}, unknown in this session",
            expected="a checkpoint that the session created before",
            evidence=(restore.evidence,),
            releases=releases(restore),
        )
