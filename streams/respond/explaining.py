"""Which incident explains which: the root its consequences, the bigger one the smaller, the oldest of many the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from itertools import product
from typing import NamedTuple

from msgspec import Struct

from ..records import Excerpt, Incident, Why
from .routing import CANARY, Grouping, Inhibition, pages

CAUSED = "event:"  # by what group keys begin
COUNTED = ("agent:", "dependency:")
TITLE_MAX = 150
GLOBAL_ID_MIN = 16  # shorter ids are counters more often than not: they name an event of their own session only
WELL = frozenset(("", "ok", "succeeded", "passed", "allowed", "pending", "running", "waiting", "idle"))


class Member(Struct, frozen=True, array_like=True):
    """An incident as a group knows it."""

    first_seen: datetime
    fingerprint: str
    incident: str
    pages: bool
    told: bool = False  # this group let it pass
    parent: str | None = None  # the incident that explains it
    over: str = ""  # the incident whose outcome ended it: it still counts as a trouble of its time, speaks for nobody
    elsewhere: bool = False  # merged by another group: by its dependency's, or by its agent's
    title: str = ""
    detector: str = ""
    agent: str = ""  # its subject's; empty: it is about something that agents share
    began: datetime | None = None  # the first event of its evidence
    last_seen: datetime | None = None
    names: bool = False  # in the group of an event: names it as its cause, instead of having it as evidence
    why: Why = "grouped"  # its parent
    quiet: int = 0  # 0: it pages, 1: a ticket, 2: one of low severity
    apart: tuple[str, ...] = ()  # incidents that do not speak for it: a person said so

    @property
    def merged(self) -> bool:
        """Its ticket is a duplicate by now. It may get another parent, but speaks for no group: no circles."""
        return self.elsewhere or (self.told and self.parent is not None)

    @property
    def since(self) -> datetime:
        return self.began or self.first_seen

    @property
    def until(self) -> datetime:
        return self.last_seen or self.first_seen


class Explained(NamedTuple):
    """By which incident, and why."""

    parent: str
    why: Why


class Explaining:
    """A function of the members alone. Whatever explains comes earlier in one order of all incidents: no circles."""

    def __init__(self, grouping: Grouping, inhibitions: tuple[Inhibition, ...]) -> None:
        self.window = timedelta(seconds=grouping.window_s)
        self.least = grouping.members_min
        self.rules = inhibitions
        self._ranks: dict[str, int] = {}

    def keys(self, incident: Incident) -> tuple[str, ...]:
        """The groups that weigh it. A drill has to arrive, whatever else goes on."""
        detector = incident.detector
        if detector == CANARY:
            return ()
        rules = (rule for rule in self.rules if _matches(detector, (*rule.bigger, *rule.smaller)))
        own = () if incident.agents else (("agent",),)  # a shared trouble counts among no agent's own
        places = (*own, ("dependency",), *(_labels(rule) for rule in rules))
        shared = (key for labels in dict.fromkeys(places) for key in _keys(labels, incident))
        events = (_event(one) for one in incident.evidence if one.id and one.status not in WELL)
        return tuple(dict.fromkeys((*shared, *events, *(_cause(one) for one in incident.evidence if one.cause))))

    def member(self, key: str, incident: Incident, began: datetime | None) -> Member:
        names = key.startswith(CAUSED) and not any(_event(one) == key for one in incident.evidence if one.id)
        return Member(
            incident.first_seen,
            incident.fingerprint,
            incident.id,
            _wakes(incident),
            told="ticket" in incident.told,
            elsewhere=incident.stage == "merged",
            title=incident.title[:TITLE_MAX],
            detector=incident.detector,
            agent=incident.subject.get("agent", ""),
            began=began,
            last_seen=incident.last_seen,
            names=names,
            quiet=0 if _wakes(incident) else 1 if pages(incident) or incident.severity == "medium" else 2,
            apart=incident.apart,
        )

    def bigger(self, detector: str) -> bool:
        """Whether there is a rule by which its incidents explain others: for as long as they are seen."""
        return self._rank(detector) < len(self.rules)

    def parents(self, key: str, members: Iterable[Member]) -> dict[str, Explained]:
        """Who is explained by whom. Never by a quieter one: a ticket must not swallow a page."""
        ranked = sorted(members, key=self._order)
        live = [one for one in ranked if not one.over]
        if key.startswith(CAUSED):
            return dict(_caused(live))
        rules = self._rules(key, {one.detector for one in live})
        found = dict(self._counted(key, ranked, rules)) if key.startswith(COUNTED) else {}
        return found | dict(self._inhibited(live, rules)) if rules else found

    def _inhibited(self, live: list[Member], rules: list[Inhibition]) -> Iterator[tuple[str, Explained]]:
        sources: list[Member] = []  # always earlier ones, whichever group is asked: no circles
        for one in live:
            fitting = (each for each in sources if self._explains(each, one) and _ruled(rules, each, one))
            if source := next(fitting, None):
                yield one.incident, Explained(source.incident, "explained")
            if any(_matches(one.detector, rule.bigger) for rule in rules):
                sources.append(one)

    def _explains(self, source: Member, one: Member) -> bool:
        """While it goes on: what is still seen when the bigger one no longer is has another cause."""
        if source.incident in one.apart:
            return False
        meanwhile = source.since - self.window <= one.first_seen and one.until <= source.until + self.window
        return meanwhile and source.quiet <= one.quiet

    def _counted(self, key: str, ranked: list[Member], rules: list[Inhibition]) -> Iterator[tuple[str, Explained]]:
        """The biggest, then the oldest, speaks for those within the window after the first."""
        place = {one.incident: number for number, one in enumerate(ranked)}
        own = (one for one in ranked if one.agent or not key.startswith("agent:"))  # an agent's own troubles count
        rest = sorted(own, key=age)
        while len(rest) >= self.least:
            near = [one for one in rest if one.first_seen - rest[0].first_seen <= self.window]
            if len(near) < self.least:
                rest = rest[1:]
                continue
            rest = rest[len(near) :]
            speakers: list[Member] = []
            for one in sorted(near, key=lambda each: place[each.incident]):
                if one.over or one.apart:
                    continue  # company is no reason for one that a person has taken out of it
                fitting = (each for each in speakers if each.quiet <= one.quiet and not _ruled(rules, each, one))
                if parent := next(fitting, None):
                    yield one.incident, Explained(parent.incident, "grouped")
                if not one.merged:
                    speakers.append(one)

    def _order(self, member: Member) -> tuple[int, bool, datetime, str]:
        """The biggest first; of equals what agents share; then what began first."""
        return self._rank(member.detector), member.agent != "", member.since, member.fingerprint

    def _rank(self, detector: str) -> int:
        """Rules stand in order: what explains most comes first."""
        if detector not in self._ranks:
            places = (place for place, rule in enumerate(self.rules) if _matches(detector, rule.bigger))
            self._ranks[detector] = next(places, len(self.rules))
        return self._ranks[detector]

    def _rules(self, key: str, detectors: set[str]) -> list[Inhibition]:
        """Those by which this group's members have enough in common, if there is a bigger one among them."""
        fitting = (rule for rule in self.rules if key.startswith(_place(_labels(rule))))
        return [rule for rule in fitting if any(_matches(one, rule.bigger) for one in detectors)]


def _caused(live: list[Member]) -> Iterator[tuple[str, Explained]]:
    """What names an event as its cause is explained by what has that event as evidence."""
    roots: list[Member] = []
    for one in live:
        if not one.names:
            roots.append(one)
        elif root := next((each for each in roots if each.quiet <= one.quiet and each.incident not in one.apart), None):
            yield one.incident, Explained(root.incident, "explained")


def _ruled(rules: list[Inhibition], source: Member, one: Member) -> bool:
    """An incident about one agent explains only that agent's."""
    if not rules or source.agent not in ("", one.agent):
        return False
    return any(_matches(source.detector, rule.bigger) and _matches(one.detector, rule.smaller) for rule in rules)


def _wakes(incident: Incident) -> bool:
    """Whose evaluators may not cause a page has none that could stand for others'."""
    return pages(incident) and incident.power not in ("shadow", "ticket")


def age(member: Member) -> tuple[datetime, str]:
    return member.first_seen, member.fingerprint


def _labels(rule: Inhibition) -> tuple[str, ...]:
    return tuple(sorted(rule.equal))


def _place(labels: tuple[str, ...]) -> str:
    """By what the keys of groups begin that have these in common."""
    return f"{labels[0]}:" if labels in (("agent",), ("dependency",)) else f"equal:{','.join(labels)}="


def _keys(labels: tuple[str, ...], incident: Incident) -> Iterator[str]:
    """None if it does not have all that is asked for, one for each agent that a shared trouble concerns."""
    for values in product(*(_values(name, incident) for name in labels)):
        yield _place(labels) + "\x1f".join(values)


def _values(name: str, incident: Incident) -> tuple[str, ...]:
    about, subject = incident.about, incident.subject
    if name == "agent" and incident.agents and name not in subject:
        return incident.agents
    found: Mapping[str, str | None] = {
        "agent": about.agent,
        "dependency": incident.dependency,
        "environment": about.environment,
        "release": about.release,
        "owner": incident.owner,
    }
    value = found.get(name) or subject.get(name, "")
    return (value,) if value else ()


def _event(one: Excerpt) -> str:
    return _named(one, one.id or "")


def _cause(one: Excerpt) -> str:
    return _named(one, one.cause or "")


def _named(one: Excerpt, name: str) -> str:
    whole = name if len(name) >= GLOBAL_ID_MIN else f"{one.session}\x1f{name}"
    return CAUSED + blake2b(whole.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=4096)  # of few detectors and few rules, asked for every member of every group
def _matches(detector: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(detector, pattern) for pattern in patterns)
