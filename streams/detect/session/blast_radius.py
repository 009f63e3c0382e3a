"""A session that writes much more, or elsewhere, than sessions do."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import Finding, Severity, Tick, ToolCalled
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector, releases_of
from ..evidence import excerpt
from ..traits import EFFECT, TOUCHES
from .approval_missing import HAPPENED
from .outside import path_of, top, written
from .tables import HASH, has, key

FILES_MAX = 2000  # 16 kB of memory


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    targets_max: Annotated[int, Meta(ge=1, le=FILES_MAX)] = 30  # distinct files and other targets of one root session


class Written(Struct, frozen=True, array_like=True, gc=False):
    targets: bytes = b""  # hashes; one more than allowed is enough to know


NONE = Written()


class BlastRadius(SessionDetector[Thresholds]):
    """Counts what the root session and its subagents wrote. Subject: agent; or agent and a directory outside its paths.

    The number only grows and is told at once; late events count.
    """

    name, version, memory = "blast.radius", 1, Written
    reads: tuple[type, ...] = (ToolCalled,)
    order: Order = "free"
    only = EFFECT | TOUCHES
    of_root = True
    severity: Severity = "medium"
    runbook = (
        "Look at the session's diff, or at the list of what it wrote: is it what was asked for?\n"
        "Pause the session while it is still writing.\n"
        "Roll back to its last checkpoint, or raise the limit for agents that are meant to write that much."
    )
    limits = Thresholds
    minimum = "none: an absolute limit"
    false_alarms = "rule: no statistics"

    def step(self, memory: Written | None, record: Any) -> Step[Written]:
        if isinstance(record, Tick) or record.data.status not in HAPPENED:
            return Step(memory)
        targets = _targets(record)
        if not targets:
            return Step(memory)
        known, agent = memory or NONE, record.data.ctx.agent.id
        limit = self.limits_for(agent).targets_max
        hashes = known.targets
        for target in targets:
            if len(hashes) <= limit * HASH and not has(hashes, name := key(target)):
                hashes += name
        said = [] if len(hashes) <= limit * HASH else [self._many(record, limit)]
        said += self._elsewhere(record)
        return Step(memory if hashes is known.targets else Written(hashes), tuple(said))

    def _elsewhere(self, record: ToolCalled) -> list[Finding]:
        paths = self.rules(record.data.ctx.agent.id).paths if self.given.agents else None
        if paths is None:
            return []
        outside = [path for path in written(record) if not matches(path, paths)]
        return [self._strange(record, place, paths) for place in dict.fromkeys(top(path) for path in outside)]

    def _many(self, record: ToolCalled, limit: int) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id},
            f"{ctx.agent.id}: a session writes to very many places",
            at=record.at,
            observed=f"more than {limit} distinct files and targets",
            expected=f"at most {limit} in a session",
            evidence=(_shown(record),),
            releases=releases_of(ctx),
        )

    def _strange(self, record: ToolCalled, place: str, paths: list[str]) -> Finding:
        ctx = record.data.ctx
        return self.found(
            {"agent": ctx.agent.id, "directory": place},
            f"{ctx.agent.id}: a session writes in {place}",
            at=record.at,
            observed=f"a file in {place}, where this agent does not work",
            expected=f"files that the policy names: {', '.join(paths[:3]) or 'none'}",
            evidence=(_shown(record),),
            releases=releases_of(ctx),
        )


def _shown(record: ToolCalled) -> Any:
    data = record.data
    return excerpt(record, status=data.status.value, tool=data.tool.name, text=_targets(record)[0][:300])


def _targets(record: ToolCalled) -> list[str]:
    """What a call wrote; a file is the same however its address is spelt."""
    data = record.data
    found = [one.uri for one in data.resources or () if one.op == "write"]
    if data.effect is not None and data.effect.target:
        found.append(data.effect.target)
    return list(dict.fromkeys(path_of(uri) or uri for uri in found))
