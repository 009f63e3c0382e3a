"""A trouble that is not seen any more: told once, proposed for closing, and closed when nobody answers."""

from __future__ import annotations

from datetime import datetime

from ..records import Passed
from ..step import Step
from .life import Life
from .routing import BookValues


def passed(values: BookValues, life: Life, record: Passed) -> Step[Life]:
    """Event time has gone on without it."""
    del values, record
    return Step(life)


def due(values: BookValues, life: Life, at: datetime) -> Step[Life] | None:
    """Nobody has answered the proposal to close it. None: that is not what the clock is about."""
    del values, at
    return None if life.close_at is None else Step(life)
