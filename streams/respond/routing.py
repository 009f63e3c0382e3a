"""Who is owed: attribution in the event, then owner rules, then the fallback, always with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from msgspec import Struct, field

from ..records import PAGING, About, Incident, Severity

TEAM_CHARS_MAX = 64
PRIORITIES: dict[Severity, str] = {"critical": "Highest", "high": "High", "medium": "Medium", "low": "Low"}


class Owner(Struct, frozen=True, kw_only=True):
    """Same fields as in the policy. Empty channel or project: the routing's default."""

    name: str
    channel: str = ""
    mention: str = ""
    project: str = ""
    agents: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    evaluators: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


class Routing(Struct, frozen=True, kw_only=True):
    fallback: str = "platform"
    channel: str = "C0TOCSIN"
    project: str = "OPS"
    issue_type: str = "Task"
    priorities: dict[Severity, str] = field(default_factory=lambda: dict(PRIORITIES))


class Grouping(Struct, frozen=True, kw_only=True):
    window_s: float = 600.0
    members_min: int = 3


class Storm(Struct, frozen=True, kw_only=True):
    per_minute_max: int = 30


class Inhibition(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An incident of a `bigger` detector explains those of `smaller` ones that have all of `equal` in common with it."""

    bigger: tuple[str, ...]  # globs of detectors
    smaller: tuple[str, ...]
    equal: tuple[str, ...] = ()  # agent, dependency, environment, release, owner, or a word of the subject


def matching_none(inhibitions: Iterable[Inhibition], detectors: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Globs that name no detector, each with the place of its rule."""
    for place, rule in enumerate(inhibitions):
        globs = (glob for glob in (*rule.bigger, *rule.smaller) if not any(fnmatchcase(one, glob) for one in detectors))
        yield from ((place, glob) for glob in globs)


class BookValues(Struct, frozen=True, kw_only=True):
    """What the book believes. `msgspec.convert(policy, BookValues, from_attributes=True)` fills the first five."""

    owners: tuple[Owner, ...] = ()
    routing: Routing = Routing()
    grouping: Grouping = Grouping()
    storm: Storm = Storm()
    inhibitions: tuple[Inhibition, ...] = ()  # what explains most comes first
    detector_owners: dict[str, str] = {}  # who is owed a detector's findings, whoever owns the agent
    runbooks: dict[str, str] = {}  # by detector: one step a line; lines that are addresses become links
    pages_url: str = ""  # how people reach the pages; empty: no links
    deployment: str = "tocsin"
    policy: str = ""  # digest


class Route(NamedTuple):
    owner: Owner
    reason: str
    missing: bool = False  # nobody owns it: the fallback got it


def route(
    values: BookValues, about: About, subject: dict[str, str], dependency: str | None, detector: str = ""
) -> Route:
    named = values.detector_owners.get(detector)
    if named:
        return Route(owner_named(values, named), f"the policy owes what {detector} finds to {named}")
    operator = about.attribution.operator if about.attribution else None
    if operator and operator.team:
        for owner in values.owners:
            if operator.team == owner.name or operator.team in owner.teams:
                return Route(owner, f"the event is attributed to team {operator.team}")
    agent, evaluator = about.agent or subject.get("agent", ""), subject.get("evaluator", "")
    tools = [tool for tool in (subject.get("tool"), dependency) if tool]
    for owner in values.owners:
        for what, names, patterns in (
            ("agent", [agent], owner.agents),
            ("tool", tools, owner.tools),
            ("evaluator", [evaluator], owner.evaluators),
        ):
            matched = _match(names, patterns)
            if matched:
                return Route(owner, f"{what} {matched[0]} matches {matched[1]}")
    if operator and operator.team:
        team = operator.team[:TEAM_CHARS_MAX]
        return Route(Owner(name=team), f"the event is attributed to team {team}, whom the policy does not list")
    return Route(owner_named(values, values.routing.fallback), "owner missing: no rule matches", missing=True)


def _match(names: Iterable[str], patterns: Iterable[str]) -> tuple[str, str] | None:
    for pattern in patterns:
        for name in names:
            if name and fnmatchcase(name, pattern):
                return name, pattern
    return None


def owner_named(values: BookValues, name: str) -> Owner:
    """The owner of that name; one whom the policy no longer knows is reached through the defaults."""
    return next((owner for owner in values.owners if owner.name == name), Owner(name=name))


def slack(values: BookValues, owner: Owner) -> str:
    return f"slack:{owner.channel or values.routing.channel}"


def project(values: BookValues, owner: Owner) -> str:
    return owner.project or values.routing.project


def jira(values: BookValues, owner: Owner) -> str:
    return f"jira:{project(values, owner)}"


def pages(incident: Incident) -> bool:
    return incident.severity in PAGING
