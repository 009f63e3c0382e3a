"""How surprising a count is, given the rate that is usual."""

from __future__ import annotations

import math

SERIES_MAX = 1000  # above, the terms become too many and the approximation is exact to four digits
SURPRISE_MAX = 1e6
LN10 = math.log(10)


def surprise(n: int, expected: float) -> float:
    """-log10 P(Poisson(expected) >= n): 6 is one chance in a million.

    The upper tail as a series from its first term (Abramowitz and Stegun 26.4), in logarithms; for large counts the
    saddlepoint formula of Lugannani and Rice (1980) with Daniels' continuity correction (1987).
    """
    if n <= 0 or expected == math.inf:
        return 0.0
    if not expected > 0:
        return SURPRISE_MAX
    log_tail = _series(n, expected) if max(n, expected) <= SERIES_MAX else _saddlepoint(n, expected)
    return min(SURPRISE_MAX, max(0.0, -log_tail / LN10))


def _series(n: int, expected: float) -> float:
    log_first = n * math.log(expected) - expected - math.lgamma(n + 1)
    total = term = 1.0
    k = n
    while term > 1e-16 * total:
        k += 1
        term *= expected / k
        total += term
        if total > 1e290:  # far below the expected: the tail is everything
            return 0.0
    return log_first + math.log(total)


def _saddlepoint(n: int, expected: float) -> float:
    if abs(n - 0.5 - expected) < 1e-6 * expected + 1e-3:
        return math.log(0.5)  # in the very middle the formula is 0/0
    x = n - 0.5
    s = math.log(x / expected)
    w = math.copysign(math.sqrt(2 * max(0.0, x * s - (x - expected))), s)
    u = 2 * math.sinh(s / 2) * math.sqrt(x)
    density = -w * w / 2 - math.log(2 * math.pi) / 2
    if w > 30:  # beyond what erfc can hold
        return density + math.log(max(1 / u, 1e-300))
    tail = math.erfc(w / math.sqrt(2)) / 2 + math.exp(density) * (1 / u - 1 / w)
    return math.log(min(1.0, max(tail, 1e-300)))
