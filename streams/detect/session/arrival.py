"""When an event counts as seen: by its own clock, unless Kafka knows that this one is an hour off."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

from ...records import AgentEvent, EvalScored, Event

# Whoever sends one of these is there; an evaluator may speak of a session long after it is gone.
SIGNS_OF_LIFE: tuple[type, ...] = tuple(kind for kind in get_args(AgentEvent) if kind is not EvalScored)
LATE = timedelta(minutes=2)  # after its own time; a Collector may hold events back that long
AHEAD = timedelta(minutes=5)  # of its arrival; such an event moves no clock either


def seen(event: Event) -> datetime:
    """What absence is counted from.

    Whoever asks to be woken five minutes after an event's own time would be woken at once by an event an hour late:
    a clock that is off, or somebody who brings in the past, would look like a session that stands still.
    """
    at, recorded = event.time, event.recordedtime
    if recorded is None:
        return at
    if recorded >= at:
        return at if recorded - at <= LATE else recorded
    return at if at - recorded <= AHEAD else recorded


def minutes(span: timedelta) -> str:
    """A span of time for people."""
    total = round(span.total_seconds() / 60)
    return f"{total // 60} h {total % 60} min" if total >= 120 else f"{total} min"
