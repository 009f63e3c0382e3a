"""How much of an agent's work detectors may stop by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from .holds import Hold

RATIO_MIN = 0.01


class Fit(NamedTuple):
    """The hold as far as it may go; None, and why, where it may not be done at all."""

    hold: Hold | None
    why: str = ""


def fitting(radius: float, hold: Hold, affected: float | None, others: Iterable[Hold]) -> Fit:
    """`affected` is the scope's share of the agent's sessions; unknown, it may be all of them.

    A throttle is made weaker until it fits. A stop that does not fit is left to the people who are paged.
    """
    share = 1.0 if affected is None else min(max(affected, 0.0), 1.0)
    left = radius - sum(other.share for other in others if not other.actor)
    ratio = 1.0 if hold.ratio is None else hold.ratio
    if share * ratio <= left + 1e-9:
        return Fit(replace(hold, share=share * ratio))
    if hold.want == "throttle" and share and (less := int(left / share * 100) / 100) >= RATIO_MIN:
        return Fit(replace(hold, ratio=less, share=share * less))
    stops = "an unknown share" if affected is None else f"{share * ratio:.0%}"
    return Fit(None, f"it would stop {stops} of the agent's sessions, and {max(left, 0.0):.0%} is what may be")
