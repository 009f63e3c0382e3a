"""What people say to incidents: how it ended, that somebody is on it, who speaks for whom, what not to hear of."""

from __future__ import annotations

from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

from .incident import Incident, OutcomeValue

FalseWhy = Literal["evaluator_wrong", "expected_behaviour", "test_traffic", "stale_reference"]
Cause = Literal["prompt", "code", "model", "config", "tool", "data", "retrieval"]
SilenceKind = Literal["silence", "maintenance", "rollout"]
MATCHERS = ("agent", "dependency", "detector", "environment", "fingerprint", "incident", "owner", "release", "severity")
SCOPES = frozenset({"agent", "environment", "owner"})  # of which a maintenance or a rollout names one at least


class Outcome(Struct, frozen=True, tag="outcome", tag_field="record", omit_defaults=True):
    """What a person decided about an incident. The last one wins; history stays."""

    incident: str
    outcome: OutcomeValue
    at: datetime
    actor: str = ""  # the person, as the policy's [[people]] names them; otherwise as the source does
    source: str = ""  # jira, comment (under the ticket), slack, web, command; parent, book: not by a person
    fixed_in: str | None = None  # a release, `next`, or `commit:<hash>`
    reason: str | None = None
    reopened: bool = False  # the person took the decision back
    why: FalseWhy | None = None  # of a false positive
    cause: Cause | None = None  # of what was fixed
    expires_at: datetime | None = None  # of an accepted risk
    review_at: datetime | None = None  # of what will not be fixed
    provider: str | None = None  # of an external cause: a provider or dependency
    duplicate_of: str | None = None  # a ticket or an incident
    inferred: bool = False  # `fixed_in` or an expiry is our guess, not the person's word
    bulk: bool = False  # one of many by one person within a minute: counts for calibration once somebody confirms
    pressed: bool = (
        False  # by one who wants the promotion it blocks: an override, and no more until somebody else agrees
    )


class Acknowledgement(Struct, frozen=True, tag="acknowledgement", tag_field="record", omit_defaults=True):
    incident: str
    at: datetime
    actor: str
    source: str = ""  # slack, web, command, pagerduty


class Assignment(Struct, frozen=True, tag="assignment", tag_field="record", omit_defaults=True):
    """Somebody gives the incident to somebody: that one is on it."""

    incident: str
    to: str  # a person, as people write the name; U… from Slack
    at: datetime
    actor: str
    source: str = ""


class Split(Struct, frozen=True, tag="split", tag_field="record", omit_defaults=True):
    """A person says that this one is not part of the incident that speaks for it. Remembered: they stay apart."""

    incident: str
    at: datetime
    actor: str
    source: str = ""
    reason: str = ""


class Merge(Struct, frozen=True, tag="merge", tag_field="record", omit_defaults=True):
    """A person says that `parent` speaks for this one from now on."""

    incident: str
    parent: str
    at: datetime
    actor: str
    source: str = ""
    reason: str = ""


class Silence(Struct, frozen=True, tag="silence", tag_field="record", omit_defaults=True):
    """Hides matching incidents from people, never from gates. Matchers are values or globs, all must match."""

    id: str
    matchers: dict[str, str]
    reason: str
    actor: str
    at: datetime
    until: datetime  # a new `until` for the same id moves its end; one in the past ends it
    kind: SilenceKind = "silence"  # CI begins and ends the other two
    source: str = ""  # slack, web, command, ci

    def hides(self, incident: Incident, at: datetime) -> bool:
        """No matcher at all, one that nobody knows, or a maintenance of everything hides nothing; nothing hides a drill."""
        scoped = self.kind == "silence" or bool(SCOPES & self.matchers.keys())
        return (
            scoped
            and incident.detector != "canary"
            and bool(self.matchers)
            and at < self.until
            and all(_matched(_values(incident, key), glob) for key, glob in self.matchers.items())
        )


class Hushed(Struct, frozen=True, tag="hushed", tag_field="record", omit_defaults=True):
    """A silence as the book took it; said again when it ends."""

    silence: Silence
    ended_at: datetime | None = None


class Speaks(Struct, frozen=True, tag="speaks", tag_field="record", omit_defaults=True):
    """A person says that `incident` speaks for `other`, or no longer does."""

    incident: str
    other: str
    at: datetime
    no_longer: bool = False


class Under(Struct, frozen=True, tag="under", tag_field="record", omit_defaults=True):
    """`other` is beneath `incident` by now, over however many others: should it also be above it, one of them lets go."""

    incident: str
    other: str
    at: datetime
    person: bool = False  # a person put it there; otherwise a group
    hops: int = 0


class SpokenFor(Struct, frozen=True, tag="spoken_for", tag_field="record", omit_defaults=True):
    """The answer to `Speaks`, and once more when `parent` has a ticket that this one's can be linked to."""

    incident: str
    parent: str
    at: datetime
    title: str = ""  # the parent's
    ticket: bool = False


def _values(incident: Incident, key: str) -> tuple[str, ...]:
    about = incident.about
    match key:
        case "agent":
            return (about.agent or incident.subject.get("agent", ""),)
        case "environment":
            return (about.environment,)
        case "release":
            return incident.releases or (about.release,)
        case "dependency":
            return (incident.dependency or "",)
        case "incident":
            return (incident.id,)
        case "detector" | "fingerprint" | "owner" | "severity":
            return (str(getattr(incident, key)),)
    return ()


def _matched(values: tuple[str, ...], glob: str) -> bool:
    """All of several: what is seen elsewhere as well is not hidden. A value that looks like a glob matches itself."""
    return all(value and (value == glob or fnmatchcase(value, glob)) for value in values) and bool(values)
