"""How long carriers wait for what, and what they tell tests of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Pace(NamedTuple):
    """When what is done, in seconds."""

    call_timeout_s: float = 15.0
    ask_after_s: float = 45.0
    poll_s: float = 1.0
    audits_s: Sequence[float] = (60.0, 300.0, 1800.0)  # after a doubt: look for a second one


def audits(first_s: float) -> tuple[float, ...]:
    """Soon for the people who look at it, and late for an index that lags or a call that was committed late."""
    return (first_s, 5 * first_s, 30 * first_s)


def nothing(_step: str) -> None:
    pass
