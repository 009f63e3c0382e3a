"""What an evaluator may cause, what it is known to be worth, and how that changes.

An evaluator is named `<kind>:<name>@<version>`: `detector:cost.session@1` for one of ours, `LLM:grounded@4`,
`CODE:schema@2`, `HUMAN:review@1` for those of agents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from .incident import Incident
from .people import Outcome

Power = Literal["shadow", "ticket", "page", "block"]
START: dict[str, Power] = {"detector": "block", "CODE": "block", "HUMAN": "block", "LLM": "ticket"}
POWERS: tuple[Power, ...] = ("shadow", "ticket", "page", "block")  # each may what those before it may


def evaluator_id(kind: str, name: str, version: str | int = "") -> str:
    return f"{kind}:{name}@{version}"


def kind_of(evaluator: str) -> str:
    return evaluator.partition(":")[0]


def drawn(evaluator: str, session: str) -> float:
    """From 0 to 1, the same everywhere: whose audit a session belongs to, if what is drawn is small enough."""
    mark = blake2b(f"{evaluator}\x1f{session}".encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(mark, "big") / 2.0**64


def family_of(evaluator: str) -> str:
    """Without its version."""
    return evaluator.rpartition("@")[0]


def evaluators(incident: Incident) -> tuple[str, ...]:
    """Everybody whose word it is. A drill is nobody's."""
    if incident.detector == "canary":
        return ()
    return evaluator_id("detector", incident.detector, incident.version), *incident.judges


def starting(evaluator: str, start: Mapping[str, Power]) -> Power:
    """What an evaluator may cause that nobody has decided on. `start` names kinds, and globs of ids that a person
    granted something: the first glob that matches, then the kind, and of a kind that nobody named a ticket.
    """
    granted = (power for glob, power in start.items() if ":" in glob and fnmatchcase(evaluator, glob))
    return next(granted, start.get(kind_of(evaluator), "ticket"))


def power_of(evaluator: str, powers: Mapping[str, Power], start: Mapping[str, Power]) -> Power:
    """A version that nobody has decided on begins as its kind does, but no new name gives back what was lost."""
    if evaluator in powers:
        return powers[evaluator]
    family = f"{family_of(evaluator)}@"
    others = [power for name, power in powers.items() if name.startswith(family)] if powers else []
    return following(evaluator, others[-1] if others else None, start)


def following(evaluator: str, before: Power | None, start: Mapping[str, Power]) -> Power:
    """`before`: what the version before it may cause. One that was in the shadow begins again with a ticket."""
    begins = starting(evaluator, start)
    return begins if before is None else min(begins, max(before, "ticket", key=POWERS.index), key=POWERS.index)


def least(evaluators: Iterable[str], powers: Mapping[str, Power], start: Mapping[str, Power]) -> Power:
    """What all of them together may cause: no more than the one that may the least. Nobody's word may everything."""
    return min((power_of(one, powers, start) for one in evaluators), key=POWERS.index, default="block")


class Decided(Struct, frozen=True, tag="decided", tag_field="record"):
    """What a person decided, told to learn together with the incident as it stood."""

    outcome: Outcome
    incident: Incident


class Confirmed(Struct, frozen=True, tag="confirmed", tag_field="record"):
    """A person stands by decisions that were made in bulk, or under pressure by somebody else: they count from now on."""

    incidents: tuple[str, ...]
    actor: str
    at: datetime
    source: str = ""


class Granted(Struct, frozen=True, tag="granted", tag_field="record"):
    """A person gives an evaluator a power, or takes it away."""

    evaluator: str
    power: Power
    actor: str
    reason: str
    at: datetime


class Labelled(Struct, frozen=True, tag="labelled", tag_field="record", omit_defaults=True):
    """A person says of a session whether it was bad: of a random sample, or of a set labelled offline."""

    evaluator: str
    session: str
    flagged: bool  # what the evaluator said
    bad: bool  # what the person says
    actor: str
    at: datetime
    offline: bool = False


class Worth(Struct, frozen=True, omit_defaults=True):
    """What is known of one evaluator's worth. Counts are decayed weights."""

    evaluator: str
    power: Power
    since: datetime
    confirmed: float = 0.0
    rejected: float = 0.0
    acted: float = 0.0
    ignored: float = 0.0
    decisions: int = 0  # whole ones, ever
    low: float | None = None  # Wilson 90 %, of correct
    mean: float | None = None
    high: float | None = None
    e_value: float = 0.0  # against being precise enough for its power
    cusum: float = 0.0
    proposed: Power | None = None  # a step up that a person may grant
    probation_until: datetime | None = None
    next: tuple[str, ...] = ()  # what it would take to gain or lose a step, in words
    acted_low: float | None = None  # Wilson 90 %, of actionable
    acted_high: float | None = None
    audited: tuple[int, int, int, int] = (0, 0, 0, 0)  # sessions: flagged and bad, flagged only, bad only, neither
    stable: float | None = None  # how often it agrees with itself, where it judged the same session three times
    labels: int = 0  # of sets labelled offline
    granted_by: str = ""  # the person, where a person gave it its power
    cooling_until: datetime | None = None  # no step up before


class ThresholdProposed(Struct, frozen=True, tag="threshold_proposed", tag_field="record", omit_defaults=True):
    """A false positive of a detector with thresholds: the value with which it would have kept silent. Nothing is applied."""

    incident: str
    detector: str
    agent: str
    threshold: str
    value: float
    now: float  # what the policy says
    observed: str
    at: datetime
    stanza: str  # for policy.toml
    command: str  # what `tocsin replay` takes to compare both over events
    withdrawn: bool = False  # the decision was changed
    seen: int = 0  # of the detector's last incidents of this agent: how many there were,
    dropped: int = 0  # how many would not have been, that were false positives,
    lost: int = 0  # that were right,
    undecided: int = 0  # or that nobody has decided on


class PowerChanged(Struct, frozen=True, tag="power_changed", tag_field="record", omit_defaults=True):
    """An evaluator may cause more or less from now on. Told to the book, and to everybody on the outcomes' topic."""

    evaluator: str
    number: int
    before: Power
    after: Power
    why: str  # in words, with the numbers
    at: datetime
    actor: str = ""  # empty: by the numbers
    worth: Worth | None = None
