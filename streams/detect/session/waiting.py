"""What is judged only when every event of its time is in: held until a tick has passed it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct

from ...records import Excerpt, Severity
from ...records.stream import SEVERITIES
from ..evidence import excerpt
from ..shelf import moment

HELD_MAX = 64  # of one session at a time; what comes beyond them is a burst of the same


class Held(Struct, frozen=True, array_like=True, gc=False):
    """An event until it is judged: what a finding about it needs, and nothing else."""

    due_s: float
    agent: str
    release: str
    words: tuple[str, ...]
    keys: bytes
    evidence: Excerpt


H = TypeVar("H", bound=Held)


def held(record: Any, words: tuple[str, ...] = (), keys: bytes = b"", *, wait_s: float = 0.0, **shown: Any) -> Held:
    """`shown` is what the excerpt says besides who and where."""
    agent = record.data.ctx.agent
    return Held(record.time.timestamp() + wait_s, agent.id, agent.version, words, keys, excerpt(record, **shown))


def holding(waiting: tuple[H, ...], one: H) -> tuple[H, ...]:
    return (*waiting, one) if len(waiting) < HELD_MAX else waiting


def parted(waiting: tuple[H, ...], at_s: float) -> tuple[list[H], tuple[H, ...]]:
    """Those whose time has passed, in the order in which they happened, and the others."""
    ripe = sorted((one for one in waiting if one.due_s <= at_s), key=lambda one: (one.due_s, one.evidence.position))
    return ripe, tuple(one for one in waiting if one.due_s > at_s)


def due(waiting: Iterable[Held]) -> datetime | None:
    """When to be woken for them."""
    first_s = min((one.due_s for one in waiting), default=None)
    return None if first_s is None else moment(first_s)


def releases(one: Held) -> tuple[str, ...]:
    return (one.release,) if one.release else ()


def at_most(severity: Severity, limit: Severity) -> Severity:
    """The milder of the two: what is less bad than the worst that the policy's severity is meant for."""
    return max(severity, limit, key=SEVERITIES.index)
