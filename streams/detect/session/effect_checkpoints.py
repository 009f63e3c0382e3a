"""Something that cannot be undone was done without a checkpoint to go back to."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from ...records import CheckpointRecorded, Finding, Severity, Status, Tick, ToolCalled
from ...step import Order, Step
from ..agents import matches
from ..detector import SessionDetector
from ..traits import EFFECT
from .approval_missing import HAPPENED
from .waiting import Held, due, held, holding, parted, releases

TIMES_MAX = 16


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kinds: list[str] = []  # globs of kinds of effects that need one, besides those that say they cannot be undone
    within_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0  # how old it may be; 0: any of the session will do


class Times(Struct, frozen=True, array_like=True, gc=False):
    made: tuple[float, ...] = ()  # checkpoints: the first, and the newest ones, in order
    waiting: tuple[Held, ...] = ()


NONE = Times()


class EffectWithoutCheckpoint(SessionDetector[Thresholds]):
    """Checkpoints of the root session and of its subagents count, and one that the call names.

    Subject: agent, tool and kind of effect.
    """

    name, version, memory = "effect.no_checkpoint", 1, Times
    reads: tuple[type, ...] = (ToolCalled, CheckpointRecorded)
    order: Order = "free"
    only = EFFECT
    of_root = True
    severity: Severity = "low"
    runbook = (
        "Decide whether this kind of effect needs a checkpoint before it.\n"
        "If it does, make the agent create one; if not, leave it out for this agent in the policy.\n"
        "Look at how you would undo the effect in the evidence, should it turn out to be wrong."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics"

    def step(self, memory: Times | None, record: Any) -> Step[Times]:
        if isinstance(record, Tick):
            return self._judged(memory, record.at.timestamp())
        known = memory or NONE
        after = self._made(known, record) if isinstance(record, CheckpointRecorded) else self._called(known, record)
        return Step(memory if after is known else after, (), due(after.waiting))

    def _made(self, known: Times, record: CheckpointRecorded) -> Times:
        at_s = record.time.timestamp()
        if record.data.op != "create" or record.data.result is not Status.ok or at_s in known.made:
            return known
        made = tuple(sorted((*known.made, at_s)))
        kept = made if len(made) <= TIMES_MAX else (made[0], *made[-(TIMES_MAX - 1) :])
        return known if kept == known.made else Times(kept, known.waiting)

    def _called(self, known: Times, record: ToolCalled) -> Times:
        data, effect = record.data, record.data.effect
        if effect is None or data.status not in HAPPENED or data.checkpoint_id is not None:
            return known
        limits = self.limits_for(data.ctx.agent.id)
        if effect.reversible is not False and not matches(effect.kind, limits.kinds):
            return known
        if limits.within_s == 0 and known.made and known.made[0] <= record.time.timestamp():
            return known
        words = (data.tool.name, effect.kind)
        call = held(record, words, status=data.status.value, tool=data.tool.name, text=effect.kind)
        waiting = holding(known.waiting, call)
        return known if waiting is known.waiting else Times(known.made, waiting)

    def _judged(self, memory: Times | None, at_s: float) -> Step[Times]:
        if memory is None:
            return Step(None)
        ripe, waiting = parted(memory.waiting, at_s)
        if not ripe:
            return Step(memory, (), due(waiting))
        said = tuple(self._finding(call) for call in ripe if not self._covered(memory.made, call))
        return Step(Times(memory.made, waiting) if memory.made or waiting else None, said, due(waiting))

    def _covered(self, made: tuple[float, ...], call: Held) -> bool:
        within_s = self.limits_for(call.agent).within_s
        before = [at_s for at_s in made if at_s <= call.due_s]
        if not before:
            return False
        forgotten = len(made) == TIMES_MAX and len(before) == 1  # there were more between the first and the next
        return within_s == 0 or forgotten or before[-1] >= call.due_s - within_s

    def _finding(self, call: Held) -> Finding:
        (tool, effect), within_s = call.words, self.limits_for(call.agent).within_s
        return self.found(
            {"agent": call.agent, "tool": tool, "effect": effect},
            f"{call.agent}: {tool} changed something for good without a checkpoint",
            at=call.evidence.at,
            observed=f"{effect or 'an effect'} of {tool}, no checkpoint before it",
            expected=f"a checkpoint in the {within_s:g} s before it" if within_s else "a checkpoint in its session",
            evidence=(call.evidence,),
            releases=releases(call),
        )
