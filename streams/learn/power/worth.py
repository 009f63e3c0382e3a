"""How good an evaluator is, from few decisions: intervals, evidence against it, and rates corrected for its errors.

Formulas: Wilson 1927; mixture e-values after Ramdas et al. 2023; CUSUM after Page 1954; Rogan and Gladen 1978.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, inf, lgamma, log, log1p, sqrt
from typing import NamedTuple

Z90 = 1.6448536269514722  # two-sided 90 %, one-sided 95 %
BLOCK, PAGE, TICKET = 0.9, 0.75, 0.5  # how precise one has to be for that power
LOST, RUINED = 20.0, 400.0  # e-values
CUSUM_REJECTED, CUSUM_CONFIRMED, CUSUM_MAX = 1.386, 0.172, 5.0  # .95 against .80
WEIGHT_MAX = 100.0
INHERITED_SHARE, INHERITED_MAX = 0.2, 10.0
TINY, EPS, ROUNDS_MAX = 1e-300, 1e-14, 1000


class Interval(NamedTuple):
    low: float
    high: float


class Rate(NamedTuple):
    value: float
    low: float
    high: float


class Agreement(NamedTuple):
    """Percent agreement misleads on unbalanced labels: beside it what always saying the same would have reached."""

    kappa: float
    agreed: float
    constant: float  # agreement of the one who always says what is most frequent
    of: int


def mean(good: float, bad: float) -> float:
    """Of the posterior that a Beta(1/2, 1/2) becomes."""
    return (good + 0.5) / (good + bad + 1.0)


def wilson(good: float, bad: float, z: float = Z90) -> Interval:
    n = good + bad
    if n <= 0:
        return Interval(0.0, 1.0)
    share, square = good / n, z * z
    middle, half = share + square / (2 * n), z * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Interval(max(0.0, (middle - half) / (1 + square / n)), min(1.0, (middle + half) / (1 + square / n)))


def lower(good: float, bad: float) -> float:
    """One-sided 95 %."""
    return wilson(good, bad).low


def below(p: float, good: float, bad: float) -> float:
    """How probable it is that the precision is less than p."""
    return beta_share(p, good + 0.5, bad + 0.5)


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by the continued fraction of DLMF 8.17.22 (dlmf.nist.gov/8.17)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    front = exp(a * log(x) + b * log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1 - x, b, a) / b


def e_value(good: float, bad: float, p: float) -> float:
    """Evidence against "it is right with probability p or more", spread evenly over all that is less. May be looked at any time."""
    share = beta_share(p, good + 1, bad + 1)
    if share <= 0.0:
        return 0.0
    grown = _log_beta(good + 1, bad + 1) + log(share) - log(p) - good * log(p) - bad * log1p(-p)
    return exp(grown) if grown < 700 else inf


def cusum(rights: Iterable[bool]) -> float:
    """Of decisions in their order: whether one with a good record has gone bad."""
    sum_ = 0.0
    for right in rights:
        sum_ = max(0.0, sum_ + (-CUSUM_CONFIRMED if right else CUSUM_REJECTED))
    return sum_


def decayed(age_d: float, half_life_d: float) -> float:
    return exp(-log(2) * max(0.0, age_d) / half_life_d)


def capped(weights: tuple[float, ...], most: float = WEIGHT_MAX) -> tuple[float, ...]:
    """All of them smaller alike, should they be more than `most` together."""
    total = sum(weights)
    return weights if total <= most else tuple(weight * most / total for weight in weights)


def inherited(weights: tuple[float, ...]) -> tuple[float, ...]:
    """What a new version is believed to have of the one before."""
    return capped(tuple(weight * INHERITED_SHARE for weight in weights), INHERITED_MAX)


def corrected(seen: tuple[int, int], of_bad: tuple[int, int], of_good: tuple[int, int]) -> Rate | None:
    """The rate of bad sessions behind the one that an imperfect evaluator reports (Rogan-Gladen), with its 90 % interval.

    Each is a count and its total: flagged of all, flagged of those known to be bad, passed of those known to be good.
    None: the evaluator is no better than chance, or nobody knows. The interval is Lang and Reiczigel's (2014).
    """
    if not seen[1] or not of_bad[1] or not of_good[1]:
        return None
    square = Z90 * Z90
    observed, n = (seen[0] + square / 2) / (seen[1] + square), seen[1] + square
    found, found_n = (of_bad[0] + 1) / (of_bad[1] + 2), of_bad[1] + 2
    passed, passed_n = (of_good[0] + 1) / (of_good[1] + 2), of_good[1] + 2
    raw = of_bad[0] / of_bad[1] + of_good[0] / of_good[1] - 1
    better = found + passed - 1
    if better <= 0 or raw <= 0:
        return None
    value = (seen[0] / seen[1] + of_good[0] / of_good[1] - 1) / raw
    near = (observed + passed - 1) / better
    spread = observed * (1 - observed) / n + near**2 * found * (1 - found) / found_n
    spread += (1 - near) ** 2 * passed * (1 - passed) / passed_n
    shift = 2 * square * (near * found * (1 - found) / found_n - (1 - near) * passed * (1 - passed) / passed_n)
    half = Z90 * sqrt(spread) / better
    ends = sorted(min(1.0, max(0.0, near + shift + sign * half)) for sign in (-1, 1))
    value = min(1.0, max(0.0, value))
    return Rate(value, min(value, ends[0]), max(value, ends[1]))


def agreement(both: int, only_first: int, only_second: int, neither: int) -> Agreement | None:
    """Cohen's kappa of two who said yes or no to the same."""
    n = both + only_first + only_second + neither
    if n == 0:
        return None
    first, second = (both + only_first) / n, (both + only_second) / n
    agreed, chance = (both + neither) / n, first * second + (1 - first) * (1 - second)
    kappa = (agreed - chance) / (1 - chance) if chance < 1 else 0.0
    return Agreement(kappa, agreed, max(second, 1 - second), n)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's method, as modified by Thompson and Barnett (1986)."""
    over, under = 1.0, _away(1.0 - (a + b) * x / (a + 1))
    under = 1.0 / under
    found = under
    for m in range(1, ROUNDS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            under, over = 1.0 / _away(1.0 + term * under), _away(1.0 + term / over)
            found *= under * over
        if abs(under * over - 1.0) < EPS:
            break
    return found


def _away(value: float) -> float:
    return value if abs(value) > TINY else TINY
