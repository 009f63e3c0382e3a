"""Evidence that may be looked at as often as one likes: e-values of counts, and one sequence of intervals for quantities.

An e-value is what a bet against a claim has made of 1: while the claim holds, the chance that it *ever* reaches 1/alpha is
at most alpha (Ville's inequality), however often somebody looks. Sources: Netflix, "Anytime-Valid Inference for
Multinomial Count Data" (two arms, one arm); Waudby-Smith et al., arXiv 2103.06476, as GrowthBook uses it (quantities).
Shares and rates are between 0 and 1, counts are sessions, ratios are candidate to baseline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from ...records import GateCell, GateShare, Measure

GRID = 32
RATIO_MIN, RATIO_MAX = 0.05, 20.0  # how far bets go
E_MAX = 1e300  # JSON knows no infinity
LOG_E_MAX = math.log(E_MAX)
MEASURES_MAX = 5  # of one gate: each gets its part of alpha
SESSIONS_USUAL = 5_000  # n*: where the sequence is tightest
SAMPLE_RATIO_E = 1_000.0  # from here on the declared share is not the one that was served
TERMS_MAX, CLOSE = 300, 1e-15


class Bet(NamedTuple):
    """Against `null`, the ratio that is claimed: money is spread evenly over `ratios`."""

    null: float
    ratios: tuple[float, ...]


@lru_cache(maxsize=64)
def worse(tolerance: float = 0.0) -> Bet:
    """Wins when the candidate fails more than 1 + tolerance times as often as the baseline."""
    null = 1.0 + tolerance
    top = max(RATIO_MAX, 2 * null)
    return Bet(null, tuple(null * (top / null) ** ((n + 1) / GRID) for n in range(GRID)))


@lru_cache(maxsize=64)
def safe(margin: float = 2.0) -> Bet:
    """Wins when the candidate fails less than `margin` times as often as the baseline."""
    return Bet(margin, tuple(RATIO_MIN * (margin / RATIO_MIN) ** (n / GRID) for n in range(GRID)))


@lru_cache(maxsize=1)
def _skewed() -> Bet:
    """Wins when sessions are not split as declared, to either side."""
    half = GRID // 2
    up = [RATIO_MAX ** ((n + 1) / half) for n in range(half)]
    return Bet(1.0, tuple(sorted([*up, *(1 / ratio for ratio in up)])))


@lru_cache(maxsize=8192)
def weights(bet: Bet, share: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What one bad session adds to the logarithm of each bet, while the candidate has `share` of the sessions.

    The first is for one of the candidate, the second for one of the baseline. At ratio r a bad session is the candidate's
    with probability r·w / (r·w + 1 - w).
    """
    if not 0.0 < share < 1.0:
        nothing = (0.0,) * len(bet.ratios)
        return nothing, nothing  # one arm alone says nothing about their ratio
    claimed = math.log(bet.null * share + 1.0 - share)
    candidate, baseline = [], []
    for ratio in bet.ratios:
        whole = claimed - math.log(ratio * share + 1.0 - share)
        candidate.append(math.log(ratio / bet.null) + whole)
        baseline.append(whole)
    return tuple(candidate), tuple(baseline)


def grown(logs: Sequence[float], bet: Bet, cell: GateCell) -> list[float]:
    """The logarithms of the bets after these bad sessions as well. They are additive: order does not matter."""
    candidate, baseline = weights(bet, cell.share)
    mine, theirs = cell.candidate, cell.baseline
    return [log + mine * a + theirs * b for log, a, b in zip(logs, candidate, baseline, strict=True)]


def e_value(logs: Sequence[float]) -> float:
    """The mean of the bets."""
    top = max(logs)
    if top > LOG_E_MAX:
        return E_MAX
    return math.fsum(map(math.exp, logs)) / len(logs)


@lru_cache(maxsize=8192)
def evidence(bet: Bet, cells: tuple[GateCell, ...]) -> float:
    """The e-value of the bet. Costs as much as there are different shares, however many minutes they come from."""
    logs = [0.0] * len(bet.ratios)
    for cell in cells:
        logs = grown(logs, bet, cell)
    return e_value(logs)


def skew(shares: Iterable[GateShare]) -> float:
    """The e-value against "sessions are split as declared": from SAMPLE_RATIO_E on, the comparison cannot be believed."""
    return evidence(_skewed(), tuple(GateCell(one.declared, one.candidate, one.baseline) for one in shares))


def threshold(error: float, measures: int = 1) -> float:
    """The e-value that is needed when so many measures share the error between them."""
    return min(max(1, measures), MEASURES_MAX) / error


def above(limit: float, bad: int, sessions: int) -> float:
    """The e-value against "the share of bad sessions is at most `limit`": money spread evenly over (limit, 1)."""
    good = sessions - bad
    log = _log_beta(bad + 1, good + 1) + log_share_below(1.0 - limit, good + 1, bad + 1)
    return _bounded(log - math.log1p(-limit) - bad * math.log(limit) - good * math.log1p(-limit))


def below(limit: float, bad: int, sessions: int) -> float:
    """The e-value against "the share of bad sessions is at least `limit`": money spread evenly over (0, limit)."""
    good = sessions - bad
    log = _log_beta(bad + 1, good + 1) + log_share_below(limit, bad + 1, good + 1)
    return _bounded(log - math.log(limit) - bad * math.log(limit) - good * math.log1p(-limit))


def clean_needed(limit: float, error: float = 0.05) -> int:
    """Sessions without a bad one after which a share of `limit` is ruled out. For a single look: use it as a floor."""
    return math.ceil(math.log(error) / math.log1p(-limit))


def share_below(x: float, a: float, b: float) -> float:
    """I_x(a, b), the regularised incomplete beta function: the mass of Beta(a, b) below x."""
    return math.exp(log_share_below(x, a, b))


def log_share_below(x: float, a: float, b: float) -> float:
    """Its logarithm, also where the share itself is too small for a number."""
    if x <= 0.0:
        return -math.inf
    if x >= 1.0:
        return 0.0
    if x <= (a + 1.0) / (a + b + 2.0):
        return a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b) - math.log(a) + math.log(_fraction(x, a, b))
    rest = b * math.log1p(-x) + a * math.log(x) - _log_beta(a, b) - math.log(b) + math.log(_fraction(1.0 - x, b, a))
    return math.log1p(-math.exp(min(rest, -1e-16)))


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's way."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for n in range(1, TERMS_MAX):
        even = n * (b - n) * x / ((a + 2 * n - 1.0) * (a + 2 * n))
        odd = -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1.0))
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d, tiny)
            c = _away(1.0 + term / c, tiny)
            value *= c * d
        if abs(c * d - 1.0) < CLOSE:
            break
    return value


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _bounded(log: float) -> float:
    return E_MAX if log > LOG_E_MAX else math.exp(log)


class Interval(NamedTuple):
    """Of the candidate's mean logarithm minus the baseline's: exp of it is a ratio."""

    low: float
    mean: float
    high: float


def half_width(sigma: float, n: int, alpha: float, usual: int = SESSIONS_USUAL) -> float:
    """Of an interval that holds at every n at once (asymptotically). `sigma` is of one observation, `usual` is n*."""
    once = -2.0 * math.log(alpha)
    rho2 = (once + math.log(once + 1.0)) / usual
    spread = n * rho2 + 1.0
    return sigma * math.sqrt(2.0 * spread / (n * n * rho2) * math.log(math.sqrt(spread) / alpha))


def difference(candidate: Measure, baseline: Measure, alpha: float) -> Interval | None:
    """How much more of a quantity sessions of the candidate take, in logarithms. None: there are too few of them."""
    if min(candidate.count, baseline.count) < 2:
        return None
    n = candidate.count + baseline.count
    error = _variance(candidate) / candidate.count + _variance(baseline) / baseline.count
    half = half_width(math.sqrt(error * n), n, alpha)
    mean = candidate.total / candidate.count - baseline.total / baseline.count
    return Interval(mean - half, mean, mean + half)


def _variance(of: Measure) -> float:
    return max(0.0, (of.squares - of.total * of.total / of.count) / (of.count - 1))


def bad_needed(bet: Bet, share: float, e: float) -> float:
    """How many bad sessions it takes to win `e` with this bet, about, when the candidate is as good as the baseline."""
    if not 0.0 < share < 1.0:
        return math.inf
    candidate, baseline = weights(bet, share)
    gain = max(share * a + (1.0 - share) * b for a, b in zip(candidate, baseline, strict=True))
    return (math.log(e) + math.log(GRID) / 2) / gain if gain > 0 else math.inf
