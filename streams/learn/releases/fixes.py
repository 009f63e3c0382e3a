"""Whether a fix holds in a release that contains it: by its regression case, by calls of the tool, by what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, Protocol

from ...records import CaseScoredData, GateFix
from ..cases import making as cases
from . import lineage

RELEASES_MAX = 100  # of one incident, the nearest to the fix
State = Literal["unverified", "verified", "failed", "unreliable"]


class Trouble(NamedTuple):
    """An incident that people call fixed, of one of its agents."""

    incident: str
    agent: str
    fixed_in: str | None
    outcome_at: datetime
    names: tuple[str, ...]  # what releases may call it in `fixes`: incident, ticket
    releases: tuple[str, ...]  # in which it was sighted before it was decided
    again: frozenset[str]  # in which it came back since
    tool: str | None = None  # whose errors it is about


class Evidence(NamedTuple):
    """Of one trouble, by release."""

    case: str | None  # its regression case, if somebody said what is expected
    scores: Mapping[str, Sequence[CaseScoredData]]
    calls: Mapping[str, int]  # of the tool: those that count


class Limits(NamedTuple):
    calls_min: int = 50
    runs_min: int = cases.RUNS_MIN


NEVER = datetime.max.replace(tzinfo=UTC)
USUAL = Limits()


class Row(Protocol):
    """An incident that people call fixed, as it was read."""

    @property
    def incident(self) -> str: ...
    @property
    def fixed_in(self) -> str | None: ...
    @property
    def outcome_at(self) -> datetime | None: ...
    @property
    def names(self) -> Iterable[str]: ...
    @property
    def releases(self) -> Iterable[str]: ...
    @property
    def again(self) -> Iterable[str]: ...
    @property
    def tool(self) -> str | None: ...


class Seen(Protocol):
    """What speaks for or against it, as it was read."""

    @property
    def case(self) -> str | None: ...
    @property
    def scores(self) -> Mapping[str, Sequence[CaseScoredData]]: ...
    @property
    def calls(self) -> Mapping[str, int]: ...


def judging(limits: Limits) -> Callable[[str, Row, lineage.Releases, Seen], tuple[GateFix, ...]]:
    """`fixes` over what was read. A decision without a time is one of which nothing can come after."""

    def judge(agent: str, row: Row, releases: lineage.Releases, seen: Seen) -> tuple[GateFix, ...]:
        trouble = Trouble(
            incident=row.incident,
            agent=agent,
            fixed_in=row.fixed_in,
            outcome_at=row.outcome_at or NEVER,
            names=tuple(row.names),
            releases=tuple(row.releases),
            again=frozenset(row.again),
            tool=row.tool,
        )
        return fixes(trouble, releases, Evidence(seen.case, seen.scores, seen.calls), limits)

    return judge


def fixes(
    trouble: Trouble, releases: lineage.Releases, evidence: Evidence, limits: Limits = USUAL
) -> tuple[GateFix, ...]:
    """What is known of the fix where it is, and in each release that contains it. The same inputs give the same answer."""
    where = lineage.fix_release(
        releases, trouble.agent, trouble.fixed_in, trouble.outcome_at, trouble.names, sighted=trouble.releases
    )
    found = []
    for release in lineage.containing(releases, trouble.agent, where)[:RELEASES_MAX]:
        state, how, detail = _state(trouble, release, evidence, limits)
        if state == "unverified" and release not in (where.release, *where.also):
            continue  # nothing is known of it: what holds where the fix is, holds here
        more = {"inferred": True} if where.inferred else {}
        found.append(GateFix(trouble.incident, trouble.agent, release, state, how, {**detail, **more}))
    return tuple(found)


def _state(trouble: Trouble, release: str, evidence: Evidence, limits: Limits) -> tuple[State, str, dict[str, Any]]:
    """What was seen beats what was tried; a failing case beats any number of calls."""
    if release in trouble.again:
        return "failed", "sighted", {}
    scores = evidence.scores.get(release, ()) if evidence.case else ()
    judged = cases.judged(scores, limits.runs_min)
    runs = {"case": evidence.case, "runs": sum(one.runs for one in scores), "passes": sum(one.passes for one in scores)}
    if judged in ("verified", "failed"):
        return judged, "case", runs
    calls = min(evidence.calls.get(release, 0), limits.calls_min)
    seen = {"tool": trouble.tool, "calls": calls, "need": limits.calls_min}
    if trouble.tool and calls >= limits.calls_min:
        return "verified", "calls", seen
    if judged == "unreliable":
        return "unreliable", "case", runs
    return "unverified", "", seen if trouble.tool else {}
