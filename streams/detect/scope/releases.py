"""A release against the one before, on the same kinds of tasks: failures, cost, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from ...records import Fact, Finding, Severity
from ..methods.proportions import exceeds, higher
from ..methods.sketch import Sketch, add, mean
from ..methods.surprise import surprise
from .banks import lowered
from .bucketed import Bucket, Bucketed, Words
from .session_failures import bad_of

BETWEEN = "\x1f"
RELEASES_MAX = 6  # those seen last: a release that runs on is kept, however many are tried beside it
KINDS_MAX = 8  # of tasks, of one release; the rarest are forgotten
COARSE = 4  # steps of a sketch in one: 20 % are enough, and a tenth of the memory
TWICE = 2.0
BAD_MIN = 5
MEASURES = ("failure rate", "cost", "duration")
LETTERS = {"cost#": "c", "ms#": "m"}


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sessions_min: Annotated[int, Meta(ge=10, le=10**6)] = 30  # of a kind of task, at each of the two releases
    times: Annotated[float, Meta(ge=1, le=100)] = 1.25  # worse than before, at least
    chance_max: Annotated[float, Meta(gt=0, lt=0.5)] = (
        0.0005  # that it only looks so; ten times as much at twice as bad
    )


class Kind(Struct, frozen=True, array_like=True, gc=False):
    """Sessions of one kind of task at one release."""

    n: int = 0
    bad: int = 0
    cost: Sketch = Sketch()
    ms: Sketch = Sketch()
    looked: int = 0  # sessions at the last look: each look doubles them, so that looking often finds nothing by chance
    worse: dict[str, tuple[float, str]] = {}  # by measure: how many times, and in words


class Release(Struct, frozen=True, array_like=True, gc=False):
    name: str
    begun_s: int
    seen_s: int
    kinds: dict[str, Kind] = {}


class Known(Struct, frozen=True, array_like=True, gc=False):
    releases: tuple[Release, ...] = ()  # by their beginning


class Worse(NamedTuple):
    measure: str
    times: float
    observed: str
    releases: tuple[str, ...]


class VersionRegression(Bucketed[Thresholds, Known]):
    """A release fails more often, costs more or takes longer than the one before it, on the same kinds of tasks.

    Subject: agent and measure.
    """

    name = "version.regression"
    state = Known
    kinds = ("session",)
    by_sums = ("ended",)
    severity: Severity = "high"
    runbook = (
        "Compare sessions of the same task at both releases: prompt, model, tools, number of steps.\n"
        "Ask whether it was wanted: a better model may cost more.\n"
        "Hold the release, or resolve as accepted risk."
    )
    limits = Thresholds
    minimum = "30 ended sessions of the same kind of task at both releases; before that nothing is said"
    false_alarms = (
        "2 of 100 releases that changed nothing, in 1,000 sessions, all three measures together "
        "(python -m benchmarks.detection --only scopes)"
    )

    def words(self, fact: Fact) -> Words | None:
        return super().words(fact) if "ended" in fact.sums else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        _, release, _, kind = fact.subject
        place = f"{release}{BETWEEN}{kind}{BETWEEN}"
        sums = {f"{place}n": fact.sums["ended"]}
        if bad := bad_of(fact):
            sums[f"{place}b"] = bad
        for name, n in fact.sums.items():
            family, mark, index = name.partition("#")
            if mark and family + mark in LETTERS:
                named = f"{place}{LETTERS[family + mark]}{int(index) // COARSE}"
                sums[named] = sums.get(named, 0) + n
        return sums

    def closed(self, state: Known, bucket: Bucket, words: Words) -> tuple[Known, tuple[Finding, ...]]:
        _, agent, environment = words
        limits = self.limits_for(agent)
        parts = _parts(bucket.sums)
        state = _gathered(state, parts, bucket.at_s)
        state = _looked(state, {release for release, _ in parts}, limits)
        found = []
        for one in _worse(state, {release for release, _ in parts}):
            chosen = self.chosen(agent).severity
            serious = one.measure == MEASURES[0] or one.times >= TWICE
            found.append(
                self.found(
                    {"agent": agent, "measure": one.measure},
                    f"{agent}: a release is worse than the one before: {one.measure}",
                    identity=(agent, one.measure, environment),
                    at=self.when(bucket, words),
                    severity=chosen if serious else lowered(chosen),
                    observed=one.observed,
                    expected=f"less than {limits.times:g} times the release before",
                    evidence=bucket.samples if one.measure == MEASURES[0] else (),
                    releases=one.releases,
                )
            )
        return state, tuple(found)


Place = tuple[str, str]  # release and kind of task


def _parts(sums: Mapping[str, int]) -> dict[Place, dict[str, int]]:
    found: dict[Place, dict[str, int]] = {}
    for name, n in sums.items():
        words = name.split(BETWEEN)
        if len(words) == 3:
            found.setdefault((words[0], words[1]), {})[words[2]] = n
    return found


def _gathered(state: Known, parts: Mapping[Place, Mapping[str, int]], at_s: int) -> Known:
    known = {release.name: release for release in state.releases}
    for release, kind in sorted(parts):
        one = known.get(release) or Release(release, at_s, at_s)
        kinds = {**one.kinds, kind: _more(one.kinds.get(kind, Kind()), parts[release, kind])}
        if len(kinds) > KINDS_MAX:
            kinds = dict(sorted(kinds.items(), key=lambda item: (-item[1].n, item[0]))[:KINDS_MAX])
        known[release] = Release(release, one.begun_s, at_s, kinds)
    kept = sorted(known.values(), key=_seen)[-RELEASES_MAX:]
    return Known(tuple(sorted(kept, key=_begun)))


def _more(kind: Kind, part: Mapping[str, int]) -> Kind:
    cost, ms = (
        {int(name[1:]) * COARSE + COARSE // 2: n for name, n in part.items() if name[0] == letter} for letter in "cm"
    )
    n, bad = kind.n + part.get("n", 0), kind.bad + part.get("b", 0)
    return Kind(n, bad, add(kind.cost, cost), add(kind.ms, ms), kind.looked, kind.worse)


def _looked(state: Known, touched: set[str], limits: Thresholds) -> Known:
    """A look at every doubling of the sessions of a release that has one before it."""
    after = list(state.releases)
    for place, release in enumerate(state.releases):
        if release.name not in touched:
            continue
        kinds = dict(release.kinds)
        for name, kind in release.kinds.items():
            before = _before(state.releases[:place], name, limits.sessions_min)
            if before and kind.n >= max(limits.sessions_min, 2 * kind.looked):
                worse = dict(_compared(kind, before, limits))
                kinds[name] = Kind(kind.n, kind.bad, kind.cost, kind.ms, kind.n, worse)
        after[place] = Release(release.name, release.begun_s, release.seen_s, kinds)
    return Known(tuple(after))


def _before(earlier: tuple[Release, ...], kind: str, least: int) -> Kind | None:
    found = (release.kinds[kind] for release in reversed(earlier) if kind in release.kinds)
    return next((one for one in found if one.n >= least), None)


def _compared(now: Kind, before: Kind, limits: Thresholds) -> Iterator[tuple[str, tuple[float, str]]]:
    rate, usual = now.bad / now.n, (before.bad + 0.5) / (before.n + 1)
    p = max(exceeds(now.bad, now.n, before.bad, before.n), 10 ** -surprise(now.bad, usual * now.n))
    if now.bad >= BAD_MIN and _matters(p, rate / usual, limits):
        said = f"{now.bad} of {now.n} sessions failed ({rate:.0%}), {before.bad} of {before.n} before"
        yield MEASURES[0], (rate / usual, said)
    pairs = ((MEASURES[1], now.cost, before.cost), (MEASURES[2], now.ms, before.ms))
    for measure, one, other in pairs:
        if min(one.total, other.total) < limits.sessions_min:
            continue
        compared = higher(one, other)
        if _matters(compared.p, compared.ratio, limits):
            said = f"{_amount(measure, one)} a session on average, {_amount(measure, other)} before"
            yield measure, (compared.ratio, said)


def _matters(p: float, times: float, limits: Thresholds) -> bool:
    return times >= limits.times and p <= limits.chance_max * (10 if times >= TWICE else 1)


def _amount(measure: str, sketch: Sketch) -> str:
    value = mean(sketch)
    return f"{value:.3g}" if measure == MEASURES[1] else f"{value / 1000:.3g} s"


def _worse(state: Known, touched: set[str]) -> Iterator[Worse]:
    """By measure, whatever the kinds of tasks: one finding each."""
    found: dict[str, list[tuple[float, str, str]]] = {}
    for release in state.releases:
        for name, kind in sorted(release.kinds.items() if release.name in touched else ()):
            for measure, (times, said) in kind.worse.items():
                task = f"{name}: " if name else ""
                found.setdefault(measure, []).append((times, f"{task}{said}", release.name))
    for measure, each in sorted(found.items()):
        times, said, _ = max(each)
        yield Worse(measure, times, said, tuple(dict.fromkeys(release for _, _, release in each if release)))


def _begun(release: Release) -> tuple[int, str]:
    return release.begun_s, release.name


def _seen(release: Release) -> tuple[int, int, str]:
    return release.seen_s, sum(kind.n for kind in release.kinds.values()), release.name
