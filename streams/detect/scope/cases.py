"""Cases of an evaluator: one that flips back and forth at one release is a flake, one that stays failed a regression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..evidence import judges_of
from ..methods.surprise import surprise
from .banks import lowered
from .bucketed import Bucket, Bucketed, Words

CASES_MAX = 500  # of one evaluator; those not evaluated for longest are forgotten
NAME_MAX = 100
STALE_S = 7 * 86400  # not evaluated for so long: it was taken away
NAMED = 5  # cases in a sentence
BETWEEN = "\x1f"
HISTORY = 100  # evaluations of a case; then half of them are forgotten
FLIPS_OF = 40
RELEASES_MAX = 8

Count = Annotated[int, Meta(ge=1, le=10**6)]
T = TypeVar("T", bound=Struct)
S = TypeVar("S", bound=Struct)


class Result(NamedTuple):
    """What one closed bucket says of a case at a release. In which order is unknown."""

    case: str
    release: str
    passed: int
    failed: int


class OfCases(Bucketed[T, S], Generic[T, S]):
    """What both detectors share: whose memory it is, and what of a fact is summed."""

    kinds = ("case",)

    def words(self, fact: Fact) -> Words | None:
        agent, evaluator, _, environment = fact.subject
        return ("evaluation", agent, evaluator, environment)

    def taken(self, fact: Fact) -> Mapping[str, int]:
        release = fact.subject[2]
        return {f"{name[0]}{release}{BETWEEN}{name[1:NAME_MAX]}": n for name, n in fact.sums.items() if name[0] in "+-"}


def results(bucket: Bucket) -> list[Result]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for name, n in bucket.sums.items():
        release, between, case = name[1:].partition(BETWEEN)
        if between:
            passed, failed = found.get((case, release), (0, 0))
            found[case, release] = (passed + n, failed) if name[0] == "+" else (passed, failed + n)
    return [Result(*where, *counts) for where, counts in sorted(found.items())]


# -- flakes -----------------------------------------------------------------------------------------------------------


class FlakeLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flips_min: Count = 6


class Flake(Struct, frozen=True, array_like=True, gc=False):
    at_s: int = 0
    release: str = ""
    last: int = 0  # 1 passed, -1 failed, 0 both
    n: int = 0
    flips: int = 0
    flaky: bool = False  # until it has clearly ended


class Flakes(Struct, frozen=True, array_like=True, gc=False):
    cases: dict[str, Flake] = {}


class EvaluatorFlakes(OfCases[FlakeLimits, Flakes]):
    """Cases that flip between passed and failed at one and the same release, again and again.

    Subject: agent and evaluator; the cases are named in what was observed.
    """

    name = "eval.flake"
    state = Flakes
    severity: Severity = "low"
    runbook = (
        "Run one of the named cases ten times at the same release.\n"
        "Look for chance in it: temperature, time, order, a judge that is not sure, data that others change.\n"
        "Make it decide by several runs, or take it out of the gate until it is repaired."
    )
    limits = FlakeLimits
    minimum = "6 flips among the last 20 to 40 evaluations of a case"
    false_alarms = (
        "a case that fails by chance in 1 % of its runs is named once in 90 such cases of 200 runs (simulation)"
    )

    def closed(self, state: Flakes, bucket: Bucket, words: Words) -> tuple[Flakes, tuple[Finding, ...]]:
        _, agent, evaluator, environment = words
        least = self.limits_for(agent).flips_min
        cases = dict(state.cases)
        for result in results(bucket):
            cases[result.case] = _flipped(cases.get(result.case, Flake()), result, bucket.at_s, least)
        cases = _latest(cases, bucket.at_s)
        flaky = sorted(((-one.flips, name, one) for name, one in cases.items() if one.flaky), key=_first_two)
        if not flaky:
            return Flakes(cases), ()
        finding = self.found(
            {"agent": agent, "evaluator": evaluator},
            f"{agent}: cases of {evaluator} pass and fail by chance",
            identity=(agent, evaluator, environment),
            at=self.when(bucket, words),
            count=len(flaky),
            observed=_listed(f"{name} ({one.flips} flips in {one.n} runs)" for _, name, one in flaky),
            expected="the same result at the same release",
            releases=_releases(one.release for _, _, one in flaky),
            evidence=bucket.samples,
            judges=judges_of(bucket.marks),
        )
        return Flakes(cases), (finding,)


def _flipped(one: Flake, result: Result, at_s: int, least: int) -> Flake:
    last = 0 if result.passed and result.failed else 1 if result.passed else -1
    known = one.release == result.release and one.n > 0
    turned = known and one.last != 0 and last not in (0, one.last)
    n, flips = one.n + result.passed + result.failed, one.flips + int(turned or last == 0)
    while n > FLIPS_OF:
        n, flips = n // 2, flips // 2
    flaky = flips >= least or (one.flaky and flips > least // 3)
    return Flake(at_s, result.release, last, n, flips, flaky)


# -- regressions ------------------------------------------------------------------------------------------------------


class RegressionLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    failures_min: Count = 3  # in a row, of a case that passed before
    chance_max: Annotated[float, Meta(gt=0, lt=1)] = 0.000001  # of failing so often in a row when nothing is wrong
    cases_min: Count = 3  # falling with one release


class Case(Struct, frozen=True, array_like=True, gc=False):
    at_s: int = 0
    release: str = ""
    passed: int = 0  # before it began to fail
    failed: int = 0
    streak: int = 0  # failures in a row by now
    fell: bool = False  # they began with a release
    new: bool = False  # this release has not run it before: it cannot have fallen with it


class Past(Struct, frozen=True, array_like=True, gc=False):
    cases: dict[str, Case] = {}


class EvaluatorRegressions(OfCases[RegressionLimits, Past]):
    """Cases that passed before and now fail run after run, or many at once with a new release: one finding for all.

    Subject: agent and evaluator; the cases are named in what was observed.
    """

    name = "eval.regression"
    state = Past
    severity: Severity = "high"
    runbook = (
        "Run the first named case at the release before and at this one.\n"
        "Compare prompt, model, tools and the case's own data between the two.\n"
        "Hold the release; a case whose expectation is out of date is a false positive."
    )
    limits = RegressionLimits
    minimum = "one pass before; as many failures in a row as its history makes unlikely (1 in a million), at least 3"
    false_alarms = (
        "cases that fail by chance in 200 runs, named once: of 1,000 at 5 % less than 1, at 30 % 1; 100 cases over a new "
        "release: 0 of 100 (python -m benchmarks.detection --only scopes)"
    )

    def closed(self, state: Past, bucket: Bucket, words: Words) -> tuple[Past, tuple[Finding, ...]]:
        _, agent, evaluator, environment = words
        limits = self.limits_for(agent)
        cases, said = dict(state.cases), results(bucket)
        for result in said:
            cases[result.case] = _run(cases.get(result.case), result, bucket.at_s)
        cases = _latest(cases, bucket.at_s)
        stuck = {name for name, one in cases.items() if _stays_failed(one, limits)}
        fallen = {
            name for release in sorted({each.release for each in said}) for name in _fallen(cases, release, limits)
        }
        names = sorted(stuck | fallen, key=lambda name: (-cases[name].streak, name))
        if not names:
            return Past(cases), ()
        many, chosen = len(names) >= limits.cases_min, self.chosen(agent).severity
        finding = self.found(
            {"agent": agent, "evaluator": evaluator},
            f"{agent}: cases of {evaluator} fail that passed before",
            identity=(agent, evaluator, environment),
            at=self.when(bucket, words),
            severity=chosen if many else lowered(chosen),
            count=len(names),
            observed=_listed(f"{name} ({cases[name].streak} in a row)" for name in names),
            expected=f"passes, as before; {len(cases)} cases are known",
            releases=_releases(cases[name].release for name in names),
            evidence=bucket.samples,
            judges=judges_of(bucket.marks),
        )
        return Past(cases), (finding,)


def _run(one: Case | None, result: Result, at_s: int) -> Case:
    """A bucket with both is no run of failures."""
    one = one or Case(new=True)
    passed, failed = one.passed + result.passed, one.failed
    changed = bool(one.release) and one.release != result.release
    new = one.new and (not one.release or one.release == result.release)
    if result.passed:
        failed += one.streak + result.failed
        streak, fell = 0, False
    else:
        streak = one.streak + result.failed
        fell = changed if not one.streak else one.fell
    while passed + failed > HISTORY:
        passed, failed = (passed + 1) // 2, failed // 2
    return Case(at_s, result.release, passed, failed, streak, fell, new)


def _usually(one: Case) -> float:
    """How often it fails when nothing is wrong: the mean after Jeffreys' prior (1946)."""
    return (one.failed + 0.5) / (one.passed + one.failed + 1)


def _stays_failed(one: Case, limits: RegressionLimits) -> bool:
    enough = one.passed > 0 and one.streak >= limits.failures_min
    return enough and _usually(one) ** one.streak <= limits.chance_max


def _fallen(cases: Mapping[str, Case], release: str, limits: RegressionLimits) -> list[str]:
    """Those that fell with a release, if they are more than chance: each alone would need more runs."""
    cohort = {name: one for name, one in cases.items() if one.release == release and one.passed and not one.new}
    fallen = [name for name, one in cohort.items() if one.streak and one.fell]
    failed, runs = sum(one.failed for one in cohort.values()), sum(one.passed + one.failed for one in cohort.values())
    expected = len(cohort) * (failed + 0.5) / (runs + 1)
    unlikely = len(fallen) >= limits.cases_min and 10 ** -surprise(len(fallen), expected) <= limits.chance_max
    return fallen if unlikely else []


# -- both -------------------------------------------------------------------------------------------------------------


def _latest(cases: dict[str, Any], at_s: int) -> dict[str, Any]:
    cases = {name: one for name, one in cases.items() if at_s - one.at_s < STALE_S}
    if len(cases) <= CASES_MAX:
        return cases
    return dict(sorted(cases.items(), key=lambda item: (-item[1].at_s, item[0]))[:CASES_MAX])


def _listed(said: Iterable[str]) -> str:
    every = list(said)
    more = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _releases(releases: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({release for release in releases if release})[-RELEASES_MAX:])


def _first_two(one: tuple[Any, ...]) -> tuple[Any, ...]:
    return one[:2]
