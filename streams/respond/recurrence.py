"""Whether a sighting of a resolved trouble reopens it: a question of event time and release, never of arrival."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from ..records import SEVERITIES, Finding, Incident, OutcomeValue
from .sighting import Timed, releases_of

Judged = Literal["late", "muted", "again"]
REVIEW: dict[OutcomeValue, timedelta] = {"accepted_risk": timedelta(days=90), "wont_fix": timedelta(days=180)}


def judge(incident: Incident, horizon: datetime, known: Timed, finding: Finding) -> Judged:
    """late: only adds to the count. muted: the outcome said not to tell. again: a new episode.

    `horizon` is the event time up to which the resolution speaks, `known` the releases with the time each was first
    seen in. There is no release graph: a release seen before the fix is old, any other one should contain the fix.
    """
    outcome = incident.outcome
    if outcome == "false_positive":
        return "muted"
    if finding.at <= horizon:
        return "late"
    if outcome in REVIEW:
        worse = SEVERITIES.index(finding.severity) < SEVERITIES.index(incident.severity)
        return "again" if worse or finding.at > horizon + REVIEW[outcome] else "muted"
    if outcome == "fixed":
        return "again" if _should_contain_the_fix(incident, horizon, known, finding) else "late"
    return "again"


def _should_contain_the_fix(incident: Incident, horizon: datetime, known: Timed, finding: Finding) -> bool:
    releases = releases_of(finding)
    if incident.fixed_in in releases or not releases:
        return True
    old = {name for since, name in known if since <= horizon}
    return not releases <= old
