"""The same error across sessions and agents: the trouble is not theirs but that of what they depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from ...records import Fact, Finding, Severity
from ..likeness import merged
from ..methods.surprise import surprise
from .bucketed import Bucket, Bucketed, Words

ERRORS_MAX = 64  # different ones of one dependency; the longest silent is forgotten
DIFFERENT_MAX = 200  # in one bucket; the rarest are left out
AGENTS_MAX = 20
WHO_MAX = 20  # agents and sessions of one part of the window
WHO_CHARS_MAX = 256 * 1024  # of all; beyond, FEW of each part
FEW = 3
PARTS_MAX = 500
DAY_S = 86_400
FIRST_S = 600  # a rate is not known better than over ten minutes
ACUTE_S = 3600  # what is trouble is not learned as usual for an hour, then three times slower
SLOWER = 3
TIMES = 2.0  # the usual, at least: where errors are many, Poisson takes every swing of the traffic for trouble
HOLDS_TIMES = 1.5
HOUR_S = 3600
TROUBLED_S = 16 * HOUR_S  # until most of what was told at first is known as usual
FADES_S = 30 * DAY_S  # of the busiest hour: nights and weekends make no working day surprising
TITLE_WORDS = 12

Part = tuple[int, int, tuple[str, ...]]  # start, errors, "agent\x1fsession"


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Annotated[int, Meta(ge=10, le=86_400)] = 300
    errors_min: Annotated[int, Meta(ge=1)] = 10  # in the window
    sessions_min: Annotated[int, Meta(ge=1)] = 3
    surprise_min: Annotated[float, Meta(ge=0)] = 6.0  # 6: one chance in a million, at the usual rate of this error
    holds_min: Annotated[int, Meta(ge=1)] = 3  # errors in the window: while there are as many, it is not over


class Known(Struct, frozen=True, array_like=True, gc=False):
    """One error of the dependency, over all who met it."""

    began_s: int
    parts: tuple[Part, ...] = ()
    usual: float = 0.0  # errors a second, over a day
    learned_s: int = 0
    told_s: int = 0  # since when it is trouble; 0: it is not
    lately: float = 0.0  # errors a second, over an hour
    busiest: float = 0.0  # … in the busiest hour, fading

    @property
    def expected(self) -> float:
        """Errors a second: agents that work by day are judged by their days, not by the mean with their nights."""
        return max(self.usual, self.busiest)


class Errors(Struct, frozen=True, array_like=True, gc=False):
    known: dict[str, Known] = {}  # tool, kind and template


class DependencyErrors(Bucketed[Thresholds, Errors]):
    """Poisson surprise of an error's count in the window against its own rate over a day, from several sessions.

    Subject: the dependency, the tool's server or the tool itself. Messages that differ in a name only are one error.
    """

    name, version, state = "tool.dependency", 1, Errors
    kinds = ("tool_error",)
    severity: Severity = "high"
    runbook = (
        "Look at the dependency, not at the agents: status page, credentials, quota, last deployment.\n"
        "Compare the agents below: those that do not fail tell what is different.\n"
        "Pause what cannot do without it; the sessions' own tickets are attached here."
    )
    limits = Thresholds
    minimum = "10 errors from 3 sessions in 5 minutes, twice the usual; without history the usual rate counts as none"
    false_alarms = "one window in a million at a steady rate (Poisson); a chatty error is told until it is known, a day"

    def words(self, fact: Fact) -> Words | None:
        return ("dependency", fact.subject[0])

    def stale_s(self, words: Words) -> float:
        return self.thresholds.window_s if words else 0

    def restless(self, state: Errors) -> bool:
        """Once the window is empty it is over: what comes after is judged anew."""
        return any(one.told_s for one in state.known.values())

    def closed(self, state: Errors, bucket: Bucket, words: Words) -> tuple[Errors, tuple[Finding, ...]]:
        known = _with(dict(state.known), bucket, max(WHO_MAX, self.thresholds.sessions_min))
        for name, one in known.items():
            known[name] = self._judged(one, bucket.at_s + self.span_s(words))
        told = {name: one for name, one in known.items() if one.told_s}
        found = (self._finding(told, bucket, words),) if told and bucket.sums else ()
        return Errors(_bounded(known)), found

    def _judged(self, one: Known, now_s: int) -> Known:
        """What leaves the window is learned, what is in it is judged by what was learned before."""
        limits = self.thresholds
        one = self._learned(one, now_s - limits.window_s)
        errors, expected = _errors(one), one.expected * limits.window_s
        if one.told_s:
            told = errors >= max(limits.holds_min, HOLDS_TIMES * expected)
            told = told and surprise(errors, expected) >= limits.surprise_min / 2
        else:
            told = errors >= max(limits.errors_min, TIMES * expected) and _sessions(one) >= limits.sessions_min
            told = told and surprise(errors, expected) >= limits.surprise_min
        return replace(one, told_s=(one.told_s or now_s) if told else 0)

    def _learned(self, one: Known, until_s: int) -> Known:
        since_s = one.learned_s or one.began_s
        if until_s <= since_s:
            return one
        left = tuple(part for part in one.parts if part[0] < until_s)
        age_s = until_s - one.began_s
        weight = min(1.0, (until_s - since_s) / min(DAY_S, max(FIRST_S, age_s))) / (SLOWER if one.told_s else 1)
        if one.told_s and until_s < one.told_s + ACUTE_S:
            weight = 0.0
        rate = _errors(Known(0, left)) / (until_s - since_s)
        usual = one.usual + weight * (rate - one.usual)
        lately, busiest = one.lately, one.busiest * math.exp((since_s - until_s) / FADES_S)
        if not one.told_s:
            lately += min(1.0, (until_s - since_s) / HOUR_S) * (rate - lately)
            busiest = max(busiest, lately)
        else:
            busiest += min(1.0, (until_s - since_s) / TROUBLED_S) * max(0.0, rate - busiest)
        return Known(one.began_s, one.parts[len(left) :], usual, until_s, one.told_s, lately, busiest)

    def _finding(self, told: dict[str, Known], bucket: Bucket, words: Words) -> Finding:
        dependency = words[1]
        worst = min(told, key=lambda name: (-_errors(told[name]), name))
        tool, kind, said = worst.split("\x1f", 2)
        who = {one for known in told.values() for one in _who(known)}
        agents = sorted({one.partition("\x1f")[0] for one in who})
        errors = sum(map(_errors, told.values()))
        minutes = self.thresholds.window_s / 60
        usual = sum(one.expected for one in told.values()) * self.thresholds.window_s
        title = " ".join((said or kind).split()[:TITLE_WORDS])
        more = f" and {len(told) - 1} other errors" if len(told) > 1 else ""
        return self.found(
            {"dependency": dependency},
            f"{dependency}: {tool} fails for {len(agents)} agents: {title}{more}",
            severity=self.severity if len(agents) > 1 else "medium",  # one agent may just use it wrongly
            at=self.when(bucket, words),
            count=errors,
            observed=f"{errors} errors in {minutes:g} minutes, {len(who)} sessions of {', '.join(agents[:5])}",
            expected=f"about {usual:.1f}",
            evidence=bucket.samples,
            dependency=dependency,
            agents=tuple(agents[:AGENTS_MAX]),
        )


def _with(known: dict[str, Known], bucket: Bucket, most: int) -> dict[str, Known]:
    """The bucket's errors under their templates; one that widens takes what it was known by along."""
    met = _met(bucket)
    for name in _most(bucket.sums):
        tool, kind, said = [*name.split("\x1f", 2), "", ""][:3]
        alike = [one.split("\x1f", 2)[2] for one in known if one.startswith(f"{tool}\x1f{kind}\x1f")]
        template, before = merged(alike, said)
        place = f"{tool}\x1f{kind}\x1f{template}"
        if before is not None:
            known[place] = known.pop(f"{tool}\x1f{kind}\x1f{before}")
        one = known.get(place) or Known(bucket.at_s)
        parts = (*one.parts, (bucket.at_s, bucket.sums[name], tuple(met.get(name, ())[:most])))[-PARTS_MAX:]
        known[place] = replace(one, parts=parts)
    return known


def _most(sums: Mapping[str, int]) -> list[str]:
    """Thousands of different errors, each compared with all that are known, would take longer than the bucket."""
    if len(sums) <= DIFFERENT_MAX:
        return sorted(sums)
    return sorted(sorted(sums, key=lambda name: (-sums[name], name))[:DIFFERENT_MAX])


def _met(bucket: Bucket) -> dict[str, list[str]]:
    """Who met which error in the bucket: `agent`, `session`."""
    found: dict[str, list[str]] = {}
    for mark in bucket.marks:
        name, _, who = mark.partition("\x1e")
        found.setdefault(name, []).append(who)
    return found


def _errors(one: Known) -> int:
    return sum(count for _, count, _ in one.parts)


def _sessions(one: Known) -> int:
    return len({who.partition("\x1f")[2] for who in _who(one)})


def _who(one: Known) -> set[str]:
    return {who for _, _, some in one.parts for who in some}


def _bounded(known: dict[str, Known]) -> dict[str, Known]:
    if sum(len(one) for error in known.values() for one in _who(error)) > WHO_CHARS_MAX:
        known = {name: _thinned(one) for name, one in known.items()}
    if len(known) <= ERRORS_MAX:
        return known
    kept = sorted(known, key=lambda name: (known[name].told_s, known[name].parts[-1:], name))[-ERRORS_MAX:]
    return {name: known[name] for name in sorted(kept)}


def _thinned(one: Known) -> Known:
    parts = tuple((at_s, errors, who[:FEW]) for at_s, errors, who in one.parts)
    return replace(one, parts=parts)
