"""What deciders leave open in what they say: ids, policy, and whom it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..records import About, Fact, Finding, Position
from .fingerprint import fingerprint
from .shelf import FINGERPRINTS_MAX, Live

REPEAT_S = 60.0  # never more than one finding a minute per fingerprint and shelf
EVIDENCE_MAX = 10
PRODUCTION = "prod"  # what an event says that names no environment
BRIEF_MAX = 128  # characters of each part of an attribution in facts: one record holds those of a hundred events


class Stamps:
    def __init__(self, deciders: Mapping[str, Any], policy: str) -> None:
        self.deciders, self.policy = deciders, policy

    def on(self, said: list[Any], live: Live, cause: Position | str, key: str) -> list[Any]:
        """A finding's id is fingerprint, memory key and cause; who it is about is what the shelf knows."""
        found = False
        for saying in said:
            kind = type(saying)
            if kind is Fact:
                _place(saying, live)
            elif kind is Finding:
                found = True
        if not found:
            return said
        heard = (one for one in said if type(one) is not Finding or not _repeats(one, live))
        return [self._finding(one, live, str(cause), key) if type(one) is Finding else one for one in heard]

    def _finding(self, finding: Finding, live: Live, cause: str, key: str) -> Finding:
        about = _about(finding, live.about)
        identity = _identity(finding, about)
        return msgspec.structs.replace(
            finding,
            id=f"{identity}|{key}|{cause}",
            fingerprint=identity,
            policy=self.policy,
            control=getattr(self.deciders.get(finding.detector), "control", ""),
            about=about,
            evidence=finding.evidence[-EVIDENCE_MAX:],
            dry_run=finding.dry_run or on_trial(self.deciders.get(finding.detector), about.agent),
        )


def _about(finding: Finding, known: About) -> About:
    """The shelf's, unless the finding says better: several agents may work in one session."""
    if finding.about.agent:
        return finding.about
    agent = finding.subject.get("agent", known.agent)
    own = known.session is not None and agent == known.agent
    # Of several releases on one shelf the one that is in trouble: a gate must not block the others.
    release = finding.releases[-1] if finding.releases else known.release if own else ""
    if (agent, release) == (known.agent, known.release):
        return known
    return msgspec.structs.replace(known, agent=agent, release=release)


def _identity(finding: Finding, about: About) -> str:
    """In production as the detector says; the same trouble elsewhere is another one, which must not hide this one."""
    if about.environment in ("", PRODUCTION):
        return finding.fingerprint
    return fingerprint(finding.detector, finding.fingerprint, about.environment)


def on_trial(decider: Any, agent: str) -> bool:
    chosen = getattr(decider, "chosen", None)
    return bool(chosen(agent).dry_run) if chosen else bool(getattr(decider, "dry_run", False))


def _place(fact: Fact, live: Live) -> None:
    """A fact about the shelf's own agent says so, with a brief attribution; one about something wider says nothing."""
    known = live.about
    if fact.subject[0] != known.agent or fact.about.agent:
        return
    if live.brief is None:
        given = _brief(known.attribution)
        live.brief = About(agent=known.agent, release=known.release, environment=known.environment, attribution=given)
    fact.about = live.brief


def _repeats(finding: Finding, live: Live) -> bool:
    """Whether this shelf said so less than a minute of event time ago; a higher severity and another release are news."""
    what, at_s = "|".join((finding.fingerprint, finding.severity, *finding.releases)), finding.at.timestamp()
    if abs(at_s - live.said.get(what, -REPEAT_S)) < REPEAT_S:
        return True
    live.said[what] = at_s
    if len(live.said) > FINGERPRINTS_MAX:
        del live.said[min(live.said, key=live.said.__getitem__)]
    return False


def _brief(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return type(value)(*(_brief(getattr(value, name)) for name in value.__struct_fields__))
    return value[:BRIEF_MAX] if isinstance(value, str) else value
