"""A failure rate that rose: three Bernoulli CUSUMs over a baseline that is learned with its uncertainty."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

ODDS = (2.0, 4.0, 12.0)  # a doubling, a clear shift, a collapse: no single design finds all three early
GAINS = tuple(math.log(odds) for odds in ODDS)
LIMIT = 9.0  # pages; 7 warns
PRIOR = (1.0, 19.0)  # Beta: one failure in twenty
BOUND_Z = 1.28  # 90 %: a plug-in rate of 100 evaluations gives eight times the false alarms
RATE_MIN, RATE_MAX = 0.005, 0.95
BATCH = 64
KEPT = 2000
INHERITED = 200
EVALUATIONS_MIN, INHERITED_MIN = 30, 5
COMPARED = 2000
Scores = tuple[float, float, float]
ZERO: Scores = (0.0, 0.0, 0.0)


def upper(failed: float, passed: float) -> float:
    """The 90 % upper bound of a Beta posterior's rate (normal approximation, Gelman et al., Bayesian Data Analysis)."""
    n = failed + passed
    mean = failed / n
    return min(RATE_MAX, max(RATE_MIN, mean + BOUND_Z * math.sqrt(mean * (1 - mean) / (n + 1))))


class Bank(Struct, frozen=True, array_like=True, gc=False):
    """What is remembered for one (agent, evaluator, release)."""

    scores: Scores = ZERO
    evaluations: int = 0
    failed: float = PRIOR[0]  # the Beta posterior of what is normal
    passed: float = PRIOR[1]
    batch_failed: int = 0
    batch: int = 0
    rate: float = upper(*PRIOR)  # of failures that is still normal
    inherited: bool = False  # the baseline comes from the release before
    before: float = 0.0  # that release's rate, frozen; 0: none
    against: Scores = ZERO  # scores against it


def step(bank: Bank, passed: int, failed: int, limit: float = LIMIT) -> Bank:
    """Page's CUSUM (1954) on Bernoulli log likelihood ratios (Reynolds and Stoumbos 1999), three odds ratios at once.

    One outcome, or the counts of one closed bucket. Inside a bucket the order is unknown, so a bucket is one jump by
    its sums: the smallest score that any order could end with. Whatever order the outcomes had, the result is the
    same, and a bucket never raises a false alarm that its outcomes one by one would not have raised.
    """
    n = passed + failed
    if n <= 0:
        return bank
    cap = 2 * limit  # so that it can come down again
    scores = _moved(bank.scores, bank.rate, failed, n, cap)
    evaluations = bank.evaluations + n
    compared = bank.before > 0 and bank.evaluations < COMPARED
    against = _moved(bank.against, bank.before, failed, n, cap) if compared else ZERO
    batch, batch_failed = bank.batch + n, bank.batch_failed + failed
    if batch < BATCH:
        return replace(
            bank, scores=scores, evaluations=evaluations, batch=batch, batch_failed=batch_failed, against=against
        )
    after = replace(bank, scores=scores, evaluations=evaluations, batch=0, batch_failed=0, against=against)
    return _learned(after, batch - batch_failed, batch_failed) if max(scores) < limit / 2 else after


def successor(previous: Bank) -> Bank:
    """A new release's bank: the old release's counts, scaled down, as prior; its rate, frozen, as what to beat.

    The power prior of Ibrahim and Chen (2000). The frozen rate finds a slow doubling that would be learned away.
    """
    if not previous.inherited and (previous.failed, previous.passed) == PRIOR:
        return Bank()  # it never learned anything
    scale = min(1.0, INHERITED / (previous.failed + previous.passed))
    failed, passed = previous.failed * scale, previous.passed * scale
    return Bank(failed=failed, passed=passed, rate=upper(failed, passed), inherited=True, before=previous.rate)


def score(bank: Bank) -> float:
    """The highest of the bank's scores; 0 as long as there are too few evaluations to say anything (Page 1954)."""
    least = INHERITED_MIN if bank.inherited else EVALUATIONS_MIN
    return max(*bank.scores, *bank.against) if bank.evaluations >= least else 0.0


def normal(bank: Bank) -> float:
    """The mean of the learned Beta posterior: the failure rate to tell people as the usual one."""
    return bank.failed / (bank.failed + bank.passed)


def _moved(scores: Scores, rate: float, failed: int, n: int, cap: float) -> Scores:
    two, four, twelve = scores
    two += failed * GAINS[0] - n * math.log(1 + rate * (ODDS[0] - 1))
    four += failed * GAINS[1] - n * math.log(1 + rate * (ODDS[1] - 1))
    twelve += failed * GAINS[2] - n * math.log(1 + rate * (ODDS[2] - 1))
    return min(cap, max(0.0, two)), min(cap, max(0.0, four)), min(cap, max(0.0, twelve))


def _learned(bank: Bank, passed: int, failed: int) -> Bank:
    a, b = bank.failed + failed, bank.passed + passed
    scale = min(1.0, KEPT / (a + b))
    return replace(bank, failed=a * scale, passed=b * scale, rate=upper(a * scale, b * scale))
