"""Who is told next when nobody answers, and who has answered."""

from __future__ import annotations

from datetime import datetime

from ..records import Assignment
from ..step import Step
from .life import Life
from .routing import BookValues


def assigned(life: Life, record: Assignment) -> Step[Life]:
    """Whoever it is given to is on it."""
    del record
    return Step(life)


def due(values: BookValues, life: Life, at: datetime) -> Step[Life] | None:
    """The next level asks to be told, if nobody has answered by now. None: that is not what the clock is about."""
    del values, at
    return None if life.escalate_at is None else Step(life)
