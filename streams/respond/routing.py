"""Who is owed: attribution in the event, then owner rules, then the fallback, always with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from msgspec import Struct, field

from ..records import PAGING, START, About, Incident, Power, Severity

TEAM_CHARS_MAX = 64
CANARY = "canary"  # detector and owner of drills
PRIORITIES: dict[Severity, str] = {"critical": "Highest", "high": "High", "medium": "Medium", "low": "Low"}


class Level(Struct, frozen=True, kw_only=True):
    """Who is told when nobody has answered for `after_s`. What is empty is the owner's own."""

    after_s: float = 900.0  # since the level before was told
    channel: str = ""
    mention: str = ""
    oncall: str = ""
    pagerduty: str = ""
    webhook: str = ""


class Owner(Struct, frozen=True, kw_only=True):
    """Same fields as in the policy. Empty channel or project: the routing's default."""

    name: str
    channel: str = ""
    mention: str = ""
    oncall: str = ""  # who is on call, asked when the page is sent: rota:<name>, pagerduty:<schedule>, group:<handle>, email:<address>
    pagerduty: str = ""  # a service that has a routing key: pages go there too
    webhook: str = ""  # a name that has an address: pages go there too
    project: str = ""
    issue_type: str = ""
    priorities: dict[Severity, str] = {}
    fields: dict[str, Any] = {}  # of tickets, as Jira's API takes them: components, custom fields
    escalation: tuple[Level, ...] = ()  # instead of the policy's
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


class Quiet(Struct, frozen=True, kw_only=True):
    """When a trouble counts as gone: its agent worked on for that long (event time) without it."""

    after_s: float = 1800.0
    close_s: float = 604_800.0  # wall clock: nobody has answered the proposal to close it


class Upgrade(Struct, frozen=True, kw_only=True):
    """What was seen so often is more severe. The first that fits and raises holds."""

    to: Severity
    detectors: tuple[str, ...] = ("*",)  # globs
    of: Severity | None = None  # None: from any lower one
    count: int = 0  # times; 0: any
    sessions: int = 0  # different ones, counted up to 20; 0: any


class Promise(Struct, frozen=True, kw_only=True):
    """How long after it opened an incident may be without its page and its ticket before the auditor speaks up."""

    page_s: float = 60.0
    ticket_s: float = 300.0


class Canary(Struct, frozen=True, kw_only=True):
    """A made-up incident now and then, through everything, into a channel and project of its own."""

    every_s: float = 0.0  # 0: never
    channel: str = ""
    project: str = ""


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


class Breaker(Struct, frozen=True, kw_only=True):
    """How long agents are held back for a trouble that is not seen again."""

    lease_s: float = 300.0
    person_s: float = 3_600.0  # how long what a page's button asks for holds


class BookValues(Struct, frozen=True, kw_only=True):
    """What the book believes. `msgspec.convert(policy, BookValues, from_attributes=True)` fills those that the policy has."""

    owners: tuple[Owner, ...] = ()
    routing: Routing = Routing()
    grouping: Grouping = Grouping()
    storm: Storm = Storm()
    inhibitions: tuple[Inhibition, ...] = ()  # what explains most comes first
    escalation: tuple[Level, ...] = ()  # of owners without levels of their own
    quiet: Quiet = Quiet()
    upgrades: tuple[Upgrade, ...] = ()
    canary: Canary = Canary()
    detector_owners: dict[str, str] = {}  # who is owed a detector's findings, whoever owns the agent
    breaker: Breaker = Breaker()
    controls: dict[str, str] = {}  # by detector: what is to be done to the agents besides telling people
    runbooks: dict[str, str] = {}  # by detector: one step a line; lines that are addresses become links
    pages_url: str = ""  # how people reach the pages; empty: no links
    deployment: str = "tocsin"
    power_start: dict[str, Power] = field(default_factory=lambda: dict(START))  # see records.starting
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


def unpaged(incident: Incident) -> bool:
    """It pages, and nobody was paged; or it was over before anybody could be, and is back."""
    return pages(incident) and incident.told.get("page", 0) <= incident.expired


def levels(values: BookValues, name: str) -> tuple[Level, ...]:
    """Who is told one after another while nobody answers. A drill wakes nobody."""
    return () if name == CANARY else owner_named(values, name).escalation or values.escalation


def further(to: Owner | Level) -> tuple[str, ...]:
    """Where pages go besides Slack."""
    named = (("pagerduty", to.pagerduty), ("webhook", to.webhook))
    return tuple(f"{receiver}:{name}" for receiver, name in named if name)
