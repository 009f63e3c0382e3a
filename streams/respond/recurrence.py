"""Whether a sighting of a resolved trouble reopens it: a question of event time and release, never of arrival."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from ..records import SEVERITIES, Finding, Incident, OutcomeValue
from .life import Life
from .sighting import Timed, releases_of

Judged = Literal["late", "muted", "again"]
REVIEW: dict[OutcomeValue, timedelta] = {"accepted_risk": timedelta(days=90), "wont_fix": timedelta(days=180)}
QUIET = timedelta(minutes=30)  # without it for so long, what came from outside was over
HOUR = timedelta(hours=1)
OFTEN_MIN = 5  # times more before a rate is spoken of
OFTEN = 2.0


def judge(life: Life, horizon: datetime, finding: Finding) -> Judged:
    """late: only adds to the count. muted: the outcome said not to tell. again: a new episode.

    `horizon` is the event time up to which the resolution speaks, `life.known` the releases with the time each was first
    seen in. The graph of releases is not known here: a release seen before the fix is old, any other one should
    contain it.
    """
    incident = life.incident
    outcome = incident.outcome
    if outcome == "false_positive":
        return "muted"
    if finding.at <= horizon:
        return "late"
    match outcome:
        case "accepted_risk" | "wont_fix":
            worse = SEVERITIES.index(finding.severity) < SEVERITIES.index(incident.severity)
            over = finding.at >= _until(incident, horizon)
            often = outcome == "accepted_risk" and _more_often(incident, horizon, finding.at)
            return "again" if worse or over or often else "muted"
        case "fixed":
            return "again" if _should_contain_the_fix(incident, horizon, life.known, finding) else "late"
        case "external_cause" if life.followed is None and finding.at - incident.last_seen < QUIET:
            return "late"  # it goes on, there as here
    return "again"


def _until(incident: Incident, horizon: datetime) -> datetime:
    """A risk is accepted until it expires; what will not be fixed is looked at again some day."""
    said = incident.decision
    until = said and (said.expires_at if incident.outcome == "accepted_risk" else said.review_at)
    return until or horizon + REVIEW[incident.outcome or "wont_fix"]


def _more_often(incident: Incident, horizon: datetime, at: datetime) -> bool:
    """Whether it comes twice as often as when the risk was accepted. Rates are by the hour, over an hour at least."""
    before = incident.decision.count if incident.decision else 0
    more = incident.count - before
    if not before or more < OFTEN_MIN:
        return False
    accepted = before / max(horizon - incident.first_seen, HOUR).total_seconds()
    return more / max(at - horizon, HOUR).total_seconds() > OFTEN * accepted


def _should_contain_the_fix(incident: Incident, horizon: datetime, known: Timed, finding: Finding) -> bool:
    releases = releases_of(finding)
    if incident.fixed_in in releases or not releases:
        return True
    old = {name for since, name in known if since <= horizon}
    return not releases <= old
