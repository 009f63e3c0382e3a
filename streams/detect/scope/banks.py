"""A failure rate that rose, release by release: each begins with what the release before has learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from ...records import Excerpt, Severity
from ..facts import latest
from ..methods.cusum import INHERITED_MIN, PRIOR, Bank, Scores, normal, step, successor, upper
from .bucketed import Bucket

RELEASES_MAX = 8  # the last ones that were seen
HEADROOM = 2.0  # above the page: how far a score may climb, so that it can come down again
GUESSED = 300  # outcomes after which a rate is normal that was only ever compared with a guess: people know by then
RISING = 1.0  # a score from which on a rise is counted
PAGING, WARNING = 2, 1


class Limits(NamedTuple):
    page: float
    warn: float
    least: int  # outcomes before the bank is believed, without a release before


class Arm(Struct, frozen=True, array_like=True, gc=False):
    """One release."""

    release: str
    bank: Bank
    seen_s: int = 0
    passed: int = 0
    failed: int = 0
    rise: int = 0  # outcomes since the scores left the ground
    rise_failed: int = 0
    samples: tuple[Excerpt, ...] = ()  # while it is suspicious


Arms = tuple[Arm, ...]


def named(release: str, passed: int, failed: int) -> dict[str, int]:
    """Sums as `stepped` wants to find them in the bucket."""
    sums = {f"+{release}": passed} if passed > 0 else {}
    if failed > 0:
        sums[f"-{release}"] = failed
    return sums


def stepped(arms: Arms, bucket: Bucket, limits: Limits, first: Bank) -> tuple[Arms, Arms]:
    """All that are remembered after a closed bucket, and those that it was about. `first`: of the first release ever.

    A new release is the successor of the one that was seen last before this bucket.
    """
    counts = _counts(bucket.sums)
    known, before = {arm.release: arm for arm in arms}, max(arms, key=_seen, default=None)
    for release in sorted(counts):
        arm = known.get(release) or Arm(release, _begun(before, limits) if before else first)
        known[release] = _moved(arm, counts[release], bucket, limits)
    after = tuple(sorted(known.values(), key=_seen)[-RELEASES_MAX:])
    return after, tuple(arm for arm in after if arm.release in counts)


def of_rate(rate: float, weight: float = 200.0) -> Bank:
    """A bank that begins with a failure rate that is known."""
    failed, passed = max(rate * weight, 0.5), weight - max(rate * weight, 0.5)
    return Bank(failed=failed, passed=passed, rate=upper(failed, passed))


def score(arm: Arm, limits: Limits) -> float:
    """Before there are enough outcomes to believe a rate: the arm of a collapse alone, six failures in a row."""
    bank = arm.bank
    if bank.evaluations >= (INHERITED_MIN if bank.inherited else limits.least):
        return max(*bank.scores, *bank.against)
    return bank.scores[2]


def level(arm: Arm, limits: Limits) -> int:
    height = score(arm, limits)
    return PAGING if height >= limits.page else WARNING if height >= limits.warn else 0


def told(touched: Arms, limits: Limits, severity: Severity) -> dict[str, Any]:
    """What a finding says: of the worst release, and which others are in trouble too. Nothing: all is well."""
    wrong = sorted((score(arm, limits), arm.release, arm) for arm in touched if level(arm, limits))
    if not wrong:
        return {}
    arm, releases = wrong[-1][2], [release for _, release, _ in wrong]
    bank = arm.bank
    usual = bank.before if max(bank.against) > max(bank.scores) else normal(bank)
    share = arm.rise_failed / max(1, arm.rise)
    return {
        "severity": severity if level(arm, limits) == PAGING else lowered(severity),
        "count": arm.rise_failed,
        "observed": f"{arm.rise_failed} of {arm.rise} failed ({share:.0%}) in release {arm.release or 'unknown'}",
        "expected": f"about {usual:.0%}",
        "evidence": arm.samples,
        "releases": tuple(release for release in releases if release),
    }


def lowered(severity: Severity) -> Severity:
    """Of a warning: a ticket at most."""
    return severity if severity == "low" else "medium"


def _counts(sums: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, value in sums.items():
        sign, release = name[:1], name[1:]
        if sign in "+-":
            passed, failed = found.get(release, (0, 0))
            found[release] = (passed + value, failed) if sign == "+" else (passed, failed + value)
    return found


def _begun(before: Arm, limits: Limits) -> Bank:
    """What the release before came to. What is suspicious there is left out, unless it was only compared with a guess:
    a release that is better than the one before must not be told for being worse than the guess."""
    bank, enough = before.bank, before.bank.inherited or before.bank.evaluations >= limits.least
    failed, passed = bank.failed, bank.passed
    if _guessed(bank) and enough:
        failed, passed = failed + before.failed, passed + before.passed
    elif max(bank.scores) < limits.page / 2:
        failed, passed = failed + bank.batch_failed, passed + bank.batch - bank.batch_failed
    after = successor(replace(bank, failed=failed, passed=passed, rate=upper(failed, passed)))
    return after if enough else replace(after, inherited=False, before=0.0)  # too little to be measured by


def _guessed(bank: Bank) -> bool:
    """Whether it has learned nothing yet."""
    return not bank.inherited and (bank.failed, bank.passed) == PRIOR


def _moved(arm: Arm, counts: tuple[int, int], bucket: Bucket, limits: Limits) -> Arm:
    passed, failed = counts
    bank = _clipped(step(arm.bank, passed, failed, limits.page), limits.page + HEADROOM)
    highest = max(*bank.scores, *bank.against)
    n, bad = (arm.rise + passed + failed, arm.rise_failed + failed) if highest >= RISING else (0, 0)
    if n >= GUESSED and _guessed(bank):
        bank, n, bad = replace(of_rate(bad / n), evaluations=bank.evaluations), 0, 0
    samples = latest(arm.samples + bucket.samples) if failed else arm.samples
    kept = samples if highest >= limits.warn / 2 else ()
    return Arm(arm.release, bank, bucket.at_s, arm.passed + passed, arm.failed + failed, n, bad, kept)


def _clipped(bank: Bank, cap: float) -> Bank:
    if max(*bank.scores, *bank.against) <= cap:
        return bank
    return replace(bank, scores=_below(bank.scores, cap), against=_below(bank.against, cap))


def _below(scores: Scores, cap: float) -> Scores:
    two, four, twelve = scores
    return min(two, cap), min(four, cap), min(twelve, cap)


def _seen(arm: Arm) -> tuple[int, int, str]:
    return arm.seen_s, arm.bank.evaluations, arm.release
