"""What is said of gates that were gone past, and of releases that wait for theirs."""

from __future__ import annotations

from datetime import datetime

from ..detect.fingerprint import fingerprint
from ..records import About, Bypassed, Finding, Notice

DETECTOR, VERSION = "gate.bypass", 1


def bypass(one: Bypassed) -> Finding:
    """A ticket for a person to look at: nobody is woken."""
    name = fingerprint(DETECTOR, one.agent, one.release, one.environment)
    who = f" by {one.actor}" if one.actor else ""
    how = f"was promoted{who}" if one.how == "promoted" else f"has {one.share or 0:.0%} of the sessions"
    return Finding(
        detector=DETECTOR,
        version=VERSION,
        fingerprint=name,
        subject={"agent": one.agent, "release": one.release, "environment": one.environment, "gate": one.gate},
        title=f"{one.agent} {one.release} went past gate {one.gate} in {one.environment}",
        severity="medium",
        at=one.at,
        observed=f"{one.release} {how} although the gate's last answer was {one.state}",
        expected="allow or warn, or an override that a second person approved",
        hint=f"Decision {one.decision}: tocsin gate explain {one.decision}",
        releases=(one.release,),
        id=f"{name}:{one.at.isoformat()}",
        about=About(agent=one.agent, release=one.release, environment=one.environment),
    )


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
