"""Event time of each agent: which releases came when, what changed, and whose trouble was not seen for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Advanced, Change, Cleared, Incident, Passed, Watched
from ..step import Order, Step
from .routing import BookValues

PROD = "prod"  # what an event says that names no environment
PARTS = ("prompt", "model", "tools")
RELEASES_MAX = 32
VALUES_MAX = 8  # of each part
CHANGES_MAX = 8
SHOWN_MAX = 5
WATCHED_MAX = 1000  # one that is forgotten watches again when its trouble goes on
PASSED_MAX = 200  # at once: the others hear of it a minute later
JUST_BEFORE = timedelta(hours=2)
MINUTE = timedelta(minutes=1)  # what is known by minutes may seem to have come after what it caused

Known = dict[str, datetime]


class Agent(Struct, frozen=True, array_like=True):
    """One agent at work in one environment; the agent `` is all of them together."""

    at: datetime | None = None  # event time of its last closed minute
    releases: Known = {}  # with the minute in which each was first seen, in order of their last sight
    config: dict[str, tuple[str, ...]] = {}  # part -> what it was, the newest last
    changes: tuple[Change, ...] = ()  # the newest few, the newest last
    watched: Known = {}  # incident -> event time
    policy: str = ""  # digest


class Clock:
    """Keyed by agent and environment. Stands between silence and owner: what is told says what changed just before."""

    name, version, memory = "clock", 1, Agent
    reads: tuple[type, ...] = (Advanced, Watched, Cleared)
    order: Order = "near"

    def __init__(self, values: BookValues) -> None:
        self.values = values

    def key(self, record: Any) -> str | None:
        if not isinstance(record, Cleared):
            return _key(record.agent, record.environment)
        incident = record.due.incident
        # Of what agents share, one of them stands for all: most often nothing of theirs changed.
        agent = incident.about.agent or next(iter(incident.agents), "")
        return _key(agent, incident.about.environment) if record.by == "silence" else None

    def step(self, memory: Agent | None, record: Any) -> Step[Agent]:
        if isinstance(record, Cleared):
            return Step(memory, (_passed_on(memory, record),))
        if isinstance(record, Watched):
            if memory is None and record.until is None:
                return Step(None)
            return Step(_watching(memory or Agent(policy=self.values.policy), record))
        if isinstance(record, Advanced):
            return self._advanced(memory or Agent(policy=self.values.policy), record)
        return Step(memory)

    def _advanced(self, agent: Agent, record: Advanced) -> Step[Agent]:
        """Time never goes back: what comes late is noted, nothing more."""
        onward = agent.at is None or record.at > agent.at
        at = record.at if onward else agent.at or record.at
        releases, newer = _released(agent.releases, record.releases, onward=onward)
        config, other = _configured(agent.config, record)
        changes = (*newer, *other)
        if self.values.policy != agent.policy:
            changes = (*changes, Change(at, "policy", self.values.policy, agent.policy))
        passed = [incident for incident, until in agent.watched.items() if until <= at][:PASSED_MAX]
        after = Agent(
            at,
            releases,
            config,
            tuple(sorted((*agent.changes, *changes), key=lambda one: one.at))[-CHANGES_MAX:]
            if changes
            else agent.changes,
            {name: until for name, until in agent.watched.items() if name not in passed} if passed else agent.watched,
            self.values.policy,
        )
        said = tuple(Passed(incident, at, record.seen or at) for incident in passed)
        return Step(after if after != agent else agent, said)


def _key(agent: str, environment: str) -> str:
    """What all agents share has no environment, and what names none is production."""
    if not agent or environment in ("", PROD):
        return agent
    return f"{agent}\x1f{environment}"


def _watching(agent: Agent, record: Watched) -> Agent:
    if agent.watched.get(record.incident) == record.until:
        return agent
    others = {name: until for name, until in agent.watched.items() if name != record.incident}
    if record.until is not None:
        others[record.incident] = record.until
    return replace(agent, watched=dict(list(others.items())[-WATCHED_MAX:]))


def _released(known: Known, seen: Known, *, onward: bool) -> tuple[Known, tuple[Change, ...]]:
    """The releases after these minutes. Of an agent that was never seen nothing has changed."""
    found = dict(known)
    changes = []
    for release, at in sorted(seen.items(), key=lambda one: (one[1], one[0])):
        if release not in found and found:
            changes.append(Change(at, "release", release, _newest(found)))
        first = min(at, found.get(release, at))
        if onward:
            found.pop(release, None)
        found[release] = first
    return dict(list(found.items())[-RELEASES_MAX:]), tuple(changes)


def _newest(releases: Known) -> str:
    return max(releases, key=lambda name: (releases[name], name))


def _configured(
    known: dict[str, tuple[str, ...]], record: Advanced
) -> tuple[dict[str, tuple[str, ...]], tuple[Change, ...]]:
    """One that was there before is no change: several are often in use at a time."""
    fresh = {part: value for part in PARTS if (value := record.config.get(part)) and value not in known.get(part, ())}
    if not fresh:
        return known, ()
    changes = (Change(record.at, part, value, known[part][-1]) for part, value in fresh.items() if part in known)
    return {**known, **{part: (*known.get(part, ()), value)[-VALUES_MAX:] for part, value in fresh.items()}}, tuple(
        changes
    )


def _passed_on(memory: Agent | None, record: Cleared) -> Cleared:
    due = record.due
    if memory is None or due.incident.changed:
        return Cleared(due, "clock", record.held)
    changed = _just_before(memory, due.incident)
    if changed:
        due = replace(due, incident=replace(due.incident, changed=changed))
    return Cleared(due, "clock", record.held)


def _just_before(agent: Agent, incident: Incident) -> tuple[Change, ...]:
    """The newest first. A release of its own that no closed minute has named yet came just now."""
    since, until = incident.first_seen - JUST_BEFORE, incident.first_seen + MINUTE
    changes = [one for one in agent.changes if since <= one.at <= until]
    release = incident.about.release
    if release and agent.releases and release not in agent.releases and agent.at and agent.at >= since:
        changes.append(Change(incident.first_seen, "release", release, _newest(agent.releases)))
    return tuple(sorted(changes, key=lambda one: one.at, reverse=True)[:SHOWN_MAX])
