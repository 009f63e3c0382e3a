"""Folding sightings into an incident. What arrives first does not matter, only what happened first."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from ..records import SEVERITIES, Excerpt, Finding, Incident, Severity, Sighted
from .routing import BookValues, Upgrade, route

SHELVES_MAX = 100
SESSIONS_MAX = 20
RELEASES_MAX = 64
JUDGES_MAX = 20
AGENTS_MAX = 20
EVIDENCE_MAX = 10
REGRESSED = "Regressed: "

Timed = tuple[tuple[datetime, str], ...]


class Tally(Struct, frozen=True, array_like=True):
    """What an incident's numbers are made of. A detector repeats itself with a growing count: per shelf, the most counts."""

    shelves: tuple[tuple[datetime, str, int], ...] = ()
    more: int = 0  # of shelves beyond those
    sessions: Timed = ()
    releases: Timed = ()
    first: tuple[datetime, str] | None = None  # time and id of the earliest finding: it gives the title
    last: tuple[datetime, str] | None = None  # and of the latest: it gives what was observed
    severity: Severity | None = None  # the worst that its detector said: what was seen often may be more
    judges: Timed = ()  # when each was last heard


def opened(values: BookValues, sighted: Sighted, episode: int) -> Incident:
    """An incident that has not absorbed its finding yet."""
    finding = sighted.finding
    to = route(values, finding.about, finding.subject, finding.dependency, finding.detector)
    return Incident(
        id=f"{finding.fingerprint}#{episode}",
        fingerprint=finding.fingerprint,
        episode=episode,
        detector=finding.detector,
        title=finding.title,
        subject=finding.subject,
        severity=finding.severity,
        stage="open",
        owner=to.owner.name,
        about=finding.about,
        first_seen=finding.at,
        last_seen=finding.at,
        opened_at=sighted.at,
        count=0,
        findings=0,
    )


def absorb(
    incident: Incident, tally: Tally, finding: Finding, upgrades: Iterable[Upgrade] = ()
) -> tuple[Incident, Tally]:
    tally = _tallied(tally, finding, tally.severity or incident.severity)
    this = (finding.at, finding.id)
    if this == tally.first:
        # Owner and groups were chosen by agent and attribution when it opened: those stay.
        about = replace(finding.about, agent=incident.about.agent, attribution=incident.about.attribution)
        title = f"{REGRESSED}{finding.title}" if incident.title.startswith(REGRESSED) else finding.title
        incident = replace(incident, title=title, about=about, first_seen=finding.at)
    if this == tally.last:
        incident = replace(
            incident,
            observed=finding.observed,
            expected=finding.expected,
            hint=finding.hint,
            policy=finding.policy,
            last_seen=finding.at,
            version=finding.version,
        )
    counted = replace(
        incident,
        count=tally.more + sum(count for _, _, count in tally.shelves),
        findings=incident.findings + 1,
        sessions=tuple(name for _, name in tally.sessions),
        releases=tuple(name for _, name in tally.releases),
        evidence=_evidence(incident.evidence, finding.evidence),
        dependency=incident.dependency or finding.dependency,
        agents=tuple(sorted({*incident.agents, *finding.agents})[:AGENTS_MAX]),
        judges=tuple(sorted(name for _, name in tally.judges)),
    )
    severity, rose = _upgraded(counted, tally.severity or finding.severity, upgrades)
    return replace(counted, severity=severity, rose=rose), tally


def _upgraded(incident: Incident, severity: Severity, upgrades: Iterable[Upgrade]) -> tuple[Severity, str]:
    """From what its detector said, not from what it rose to: in which order it was seen does not matter."""
    for rule in upgrades:
        enough = incident.count >= rule.count and len(incident.sessions) >= rule.sessions
        raises = rule.of in (None, severity) and worse(rule.to, severity) != severity
        if enough and raises and any(fnmatchcase(incident.detector, glob) for glob in rule.detectors):
            return rule.to, _rose(rule)
    return severity, ""


def _rose(rule: Upgrade) -> str:
    times = f"{rule.count} times" if rule.count else ""
    sessions = f"in {rule.sessions} sessions" if rule.sessions else ""
    return f"seen {', '.join(filter(None, (times, sessions)))} or more: the policy makes that {rule.to}"


def releases_of(finding: Finding) -> frozenset[str]:
    return frozenset(name for name in (*finding.releases, finding.about.release) if name)


def earliest(known: Timed, names: Iterable[str], at: datetime, limit: int) -> Timed:
    """Names with the first time each was seen, the earliest ones."""
    return _first_seen(known, names, at)[:limit]


def newest(known: Timed, names: Iterable[str], at: datetime, limit: int) -> Timed:
    """The same, but the last ones: gates are asked about new releases."""
    return _first_seen(known, names, at)[-limit:]


def _first_seen(known: Timed, names: Iterable[str], at: datetime) -> Timed:
    first = {name: since for since, name in known}
    for name in names:
        first[name] = min(at, first.get(name, at))
    return tuple(sorted((since, name) for name, since in first.items()))


def worse(one: Severity, other: Severity) -> Severity:
    return min(one, other, key=SEVERITIES.index)


def digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _tallied(tally: Tally, finding: Finding, severity: Severity) -> Tally:
    this = (finding.at, finding.id)
    shelves, more = _counted(tally, finding)
    sessions = tally.sessions
    for at, session in ((finding.at, finding.about.session), *((one.at, one.session) for one in finding.evidence)):
        if session:
            sessions = earliest(sessions, (session,), at, SESSIONS_MAX)
    return Tally(
        shelves,
        more,
        sessions,
        newest(tally.releases, releases_of(finding), finding.at, RELEASES_MAX),
        min(tally.first or this, this),
        max(tally.last or this, this),
        worse(severity, finding.severity),
        _heard(tally.judges, finding),
    )


def _heard(known: Timed, finding: Finding) -> Timed:
    """Whose word it is: of each judge the version that was heard last, and of too many those that were."""
    last = {name: at for at, name in known}
    for name in finding.judges:
        last[name] = max(finding.at, last.get(name, finding.at))
    newest_of = {name.rpartition("@")[0]: (at, name) for at, name in sorted((at, name) for name, at in last.items())}
    return tuple(sorted(newest_of.values())[-JUDGES_MAX:])


def _counted(tally: Tally, finding: Finding) -> tuple[tuple[tuple[datetime, str, int], ...], int]:
    # An id is fingerprint | shelf | cause.
    shelf = digest(finding.id.rpartition("|")[0] or finding.about.session or "")
    known = {name: (since, count) for since, name, count in tally.shelves}
    since, count = known.get(shelf, (finding.at, 0))
    known[shelf] = (min(since, finding.at), max(count, finding.count))
    order = sorted((since, name, count) for name, (since, count) in known.items())
    return tuple(order[:SHELVES_MAX]), tally.more + sum(count for _, _, count in order[SHELVES_MAX:])


def _evidence(known: tuple[Excerpt, ...], more: tuple[Excerpt, ...]) -> tuple[Excerpt, ...]:
    """The earliest events, each once: what came first explains most."""
    by_place = {(one.at, one.position): one for one in (*known, *more)}
    return tuple(by_place[place] for place in sorted(by_place)[:EVIDENCE_MAX])
