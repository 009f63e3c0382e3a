"""What is said of releases that wait for their gate for too long."""

from __future__ import annotations

from datetime import datetime

from ...detect.fingerprint import fingerprint
from ...records import Notice


def waiting(where: tuple[str, str, str, str], since: datetime, at: datetime, why: str) -> Notice:
    """Said once for a wait that is longer than the policy finds bearable. The answer stays what it is."""
    gate, agent, release, environment = where
    hours = (at - since).total_seconds() / 3600
    return Notice(
        id=f"wait:{fingerprint('gate.waiting', *where)}:{since:%Y%m%dT%H%M%S}",
        at=at,
        headline=f"Gate {gate}: {agent} {release} has been waiting for {hours:.0f} h in {environment}",
        lines=(why, "It goes on waiting. More sessions, a verified fix or an override let it go on."),
        agent=agent,
        environment=environment,
        link=f"/gates/{gate}",
    )
