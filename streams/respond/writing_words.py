"""Words that every document uses: one printable line without a secret, moments, ages, counts, what an outcome means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from ..intake.secrets import maybe, without_secrets
from ..records import Change, Incident, OutcomeValue, Previous
from . import routing
from .messages import Pairs
from .routing import BookValues

VALUE_MAX = 300
READ_MAX = 20_000  # of a text is looked at: the longest that an event may carry is shorter
LONGEST = 512  # where a text is cut, a secret may be cut too and look like none: so much before the cut is left out
NAMES_MAX = 5  # are written out, the rest is a number
SESSIONS_MAX = 20  # an incident names that many; beyond it only knows "at least"
AGENTS_MAX = 20
CHANGES_MAX = 3
JUST = timedelta(seconds=5)
COUNTED = {  # what these detectors count, where it is not how often the trouble happened
    "config.skew": "version",
    "cost.peers": "session",
    "cost.success_runaway": "session",
    "eval.flake": "case",
    "eval.regression": "case",
    "fleet.heartbeat": "agent",
    "slo.burn": "session",
    "tool.latency": "call",
}
MEANS: dict[OutcomeValue, str] = {
    "fixed": "Releases it was already seen in only add to the count; in any other release it comes back as regressed.",
    "false_positive": "The same trouble is counted and no longer told, until the decision is taken back.",
    "accepted_risk": "The same trouble is counted and not told until it expires, unless it becomes more severe.",
    "wont_fix": "The same trouble is counted and not told for 180 days, unless it becomes more severe.",
    "external_cause": "While it goes on it is counted; if it is seen again after it was quiet, a new ticket is opened.",
    "duplicate": "If it is seen again, a new ticket is opened.",
    "cannot_reproduce": "If it is seen again, a new ticket is opened.",
    "unspecified": "Nobody said why. If it is seen again, a new ticket is opened.",
}


def clip(text: str | None, limit: int = VALUE_MAX) -> str:
    """One line of printable characters: no control or direction marks, no line breaks, at most `limit` long.

    Intake has taken secrets out of events already; findings may come from elsewhere.
    """
    line = printable((text or "")[:READ_MAX])
    if maybe(line):
        line = without_secrets(line, [])
    if len(text or "") > READ_MAX:
        line = line[:-LONGEST]
    return line if len(line) <= limit else line[: limit - 1] + "…"


def printable(text: str) -> str:
    line = " ".join(text.split())
    return line if line.isprintable() else " ".join("".join(c for c in line if c.isprintable()).split())


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(since: datetime, now: datetime) -> str:
    """An age in words that stay true: nobody writes a ticket again each time somebody reads it."""
    if now < since:
        return "ahead of our clock when this was written"
    return f"{span(now - since)} before this was written" if now - since >= JUST else "just before this was written"


def span(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def amount(number: int, one: str, *, at_least: bool = False) -> str:
    more = " or more" if at_least else ""
    return f"{number}{more} {one}{'s' * (number != 1 or at_least)}"


def names(found: Iterable[str], most: int = NAMES_MAX) -> str:
    """The first few of them, and how many more there are."""
    known = tuple(filter(None, found))
    rest = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(clip(one, 80) for one in known[:most]) + rest


def since(incident: Incident, at: datetime) -> str:
    first, last = incident.first_seen, incident.last_seen
    again = f"; last {moment(last)}" if last > first else ""
    return f"{moment(first)} ({age(first, at)}){again}"


def how_many(incident: Incident) -> str:
    """Evidence names a few sessions only: what was counted over many is not said to be in those."""
    count, known = incident.count, len(incident.sessions)
    if unit := COUNTED.get(incident.detector):
        return f"at least {amount(count, unit)}"
    times = "at least once" if count == 1 else f"at least {amount(count, 'time')}"
    if incident.agents:
        return f"{times}, by {amount(len(incident.agents), 'agent', at_least=len(incident.agents) >= AGENTS_MAX)}"
    sampled = incident.about.session is None
    if not known or (sampled and known == 1):
        return times
    return f"{times}, in {amount(known, 'session', at_least=sampled or known >= SESSIONS_MAX)}"


def agents(incident: Incident) -> str:
    one = incident.about.agent or incident.subject.get("agent", "")
    return names(incident.agents) if incident.agents else one


def where(incident: Incident) -> str:
    """Agent, release, environment and dependency, as far as they are known."""
    about, who = incident.about, agents(incident)
    releases = names(incident.releases[::-1]) or about.release
    parts = (
        who,
        f"release{'s' * (len(incident.releases) > 1)} {releases}" if releases else "",
        about.environment,
        f"dependency {incident.dependency}" if incident.dependency else "",
    )
    return " · ".join(filter(None, parts))


def owned(values: BookValues, incident: Incident) -> str:
    found = routing.route(values, incident.about, incident.subject, incident.dependency, incident.detector)
    reason = found.reason if found.owner.name == incident.owner else "routed there when it opened"
    return f"{incident.owner} ({reason})"


def changes(incident: Incident) -> str:
    """What changed just before it began, the newest first."""
    newest = sorted(incident.changed, key=lambda one: one.at, reverse=True)[:CHANGES_MAX]
    return "; ".join(_change(one, incident.first_seen) for one in newest)


def _change(one: Change, began: datetime) -> str:
    was = f" (was {clip(one.was, 60)})" if one.was else ""
    ahead = f"{span(began - one.at)} before it began" if one.at <= began else "as it went on"
    return f"{clip(one.what, 20)} {clip(one.to, 60)}{was}, {ahead}"


def before(incident: Incident) -> str:
    """The last incident of this kind and how it ended."""
    if incident.previous:
        return _previous(incident.previous)
    return f"ticket {clip(incident.previous_ticket, 40)}" if incident.previous_ticket else ""


def _previous(one: Previous) -> str:
    ended = f"ended as {one.outcome}" if one.outcome else "nobody said how it ended"
    by = f" by {clip(one.by, 60)}" if one.by else ""
    on = f" on {one.at.astimezone(UTC):%Y-%m-%d}" if one.at else ""
    why = f": “{clip(one.reason, 80)}”" if one.reason else ""
    return f"{ended}{by}{on}{why}" + (f" (ticket {clip(one.ticket, 40)})" if one.ticket else "")


def runbook(values: BookValues, incident: Incident) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Its steps, and the addresses among its lines."""
    lines = [line.strip() for line in values.runbooks.get(incident.detector, "").splitlines()]
    steps = tuple(clip(line) for line in lines if line and not _address(line))
    return steps, tuple(line for line in lines if _address(line))


def _address(line: str) -> bool:
    return line.startswith(("https://", "http://")) and " " not in line


def home(values: BookValues, incident: str) -> str:
    """The incident's page, where there are pages."""
    name = quote(incident, safe="", errors="replace")
    return f"{values.pages_url}/incidents/{name}" if values.pages_url else ""


def links(values: BookValues, incident: Incident) -> Pairs:
    shown = [("Incident", incident.id)]
    shown += [("Bigger incident", incident.parent)] if incident.stage == "merged" and incident.parent else []
    own = tuple((label, home(values, name)) for label, name in shown)
    return (*(own if values.pages_url else ()), *(("Runbook", line) for line in runbook(values, incident)[1]))


def told(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """Without what nobody knows."""
    return tuple((clip(label, 60), clip(value)) for label, value in pairs if value)
