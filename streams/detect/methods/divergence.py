"""How differently two mixes are made up."""

from __future__ import annotations

import math
from collections.abc import Mapping


def jensen_shannon(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Jensen-Shannon divergence in bits (Lin 1991) of two dictionaries of counts: 0 the same mix, 1 nothing in common.

    Nothing is known of an empty one: 0.
    """
    total_one, total_other = sum(one.values()), sum(other.values())
    if total_one <= 0 or total_other <= 0:
        return 0.0
    divergence = 0.0
    for name in sorted(one.keys() | other.keys()):  # sorted: sums of floats depend on their order
        p, q = one.get(name, 0) / total_one, other.get(name, 0) / total_other
        middle = (p + q) / 2
        divergence += sum(share * math.log2(share / middle) for share in (p, q) if share > 0) / 2
    return min(1.0, max(0.0, divergence))
