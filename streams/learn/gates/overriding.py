"""An override's life: asked for, approved, ended or expired; each told to people. Freezes are only written down."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ...records import Freeze, Frozen, Notice, Overridden, Override, OverrideApproved, OverrideEnded, Tick
from ...step import Order, Step
from .overrides import approvable, second

NOTICES_MAX = 5  # of the incidents that one covers


class Kept(Struct, frozen=True, array_like=True):
    override: Override


class Overriding:
    """Keyed by override. Says it anew whenever it changed; after its end it is not remembered."""

    name, version, memory = "override", 1, Kept
    reads: tuple[type, ...] = (Override, OverrideApproved, OverrideEnded)
    order: Order = "near"

    def key(self, record: Override | OverrideApproved | OverrideEnded) -> str | None:
        return record.id

    def step(self, memory: Kept | None, record: Any) -> Step[Kept]:
        if isinstance(record, Override):
            return Step(memory, wake=_wake(memory)) if memory else _asked(record)
        if memory is None:
            return Step(None)  # over, or never asked for
        override = memory.override
        if isinstance(record, OverrideApproved):
            return _approved(memory, record)
        if isinstance(record, OverrideEnded):
            ended = replace(override, ended_at=record.at)
            over = Overridden(ended, "ended" if record.actor else "voided", record.at, record.why)
            return Step(None, _said(over, _ended_words(record)))
        if isinstance(record, Tick) and record.at >= override.expires_at:
            return _expired(override, record.at)
        return Step(memory, wake=_wake(memory))


class Freezing:
    """Keyed by freeze: the last word counts."""

    name, version, memory = "freeze", 1, Kept
    reads: tuple[type, ...] = (Freeze,)
    order: Order = "near"

    def key(self, record: Freeze) -> str | None:
        return record.id

    def step(self, memory: Kept | None, record: Any) -> Step[Kept]:
        del memory
        return Step(None, (Frozen(record, record.at),)) if isinstance(record, Freeze) else Step(None)


def _asked(override: Override) -> Step[Kept]:
    who = "A second person has" if second(override) else "Somebody has"
    lines = (
        f"{override.requested_by} asks: {override.reason}",
        f"It covers {', '.join(override.reasons)} until {_moment(override.expires_at)}.",
        f"{who} to approve it: tocsin gate override approve {override.id}, or on the gate's page.",
    )
    said = _said(Overridden(override, "requested", override.created_at), ("asked for", lines))
    memory = Kept(override)
    return Step(memory, said, _wake(memory))


def _approved(memory: Kept, record: OverrideApproved) -> Step[Kept]:
    override = memory.override
    if approvable(override, record.actor, record.at):
        return Step(memory, wake=_wake(memory))
    override = replace(override, approved_by=record.actor)
    once = " It counts for one answer." if override.single_use else ""
    lines = (
        f"Asked by {override.requested_by}, approved by {override.approved_by}: {override.reason}",
        f"It covers {', '.join(override.reasons)} until {_moment(override.expires_at)}; new evidence voids it.{once}",
        "This changes what the gate answers, not what was found: it says nothing about whether the finding was right.",
    )
    said = _said(Overridden(override, "approved", record.at), ("given", lines))
    memory = Kept(override)
    return Step(memory, said, _wake(memory))


def _expired(override: Override, at: datetime) -> Step[Kept]:
    lines: tuple[str, ...] = ()
    if override.approved_by:
        lines = (
            f"It was given to {override.requested_by} because: {override.reason}",
            "Was the block right? The incident's outcome says so: false_positive if it was not.",
        )
    over = Overridden(override, "expired", at)
    return Step(None, _said(over, ("over", lines)) if lines else (over,))


def _ended_words(record: OverrideEnded) -> tuple[str, tuple[str, ...]]:
    if record.actor:
        return "ended", (f"Ended by {record.actor}.",)
    return "void", (f"Voided: {record.why}.", "Somebody has to look again: ask anew, if it should still go on.")


def _said(overridden: Overridden, words: tuple[str, tuple[str, ...]]) -> tuple[Any, ...]:
    what, lines = words
    return (overridden, *_notices(overridden, what, lines))


def _notices(overridden: Overridden, what: str, lines: tuple[str, ...]) -> tuple[Notice, ...]:
    """Under each incident that it covers; where it covers none, to the agent's owner."""
    override = overridden.override
    about = [one for one in override.reasons if one in override.known][:NOTICES_MAX]
    headline = f"Gate {override.gate}: override {what} for {override.release} in {override.environment}"
    return tuple(
        Notice(
            id=f"{override.id}:{what}:{number}",
            at=overridden.at,
            headline=headline,
            lines=lines,
            incident=incident,
            agent=override.agent,
            environment=override.environment,
            link=f"/overrides/{override.id}",
        )
        for number, incident in enumerate(about or ("",))
    )


def _wake(memory: Kept | None) -> datetime | None:
    return memory.override.expires_at if memory else None


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
