"""What is known of one version of an evaluator, weighed: its numbers, what it loses by them, what it has earned."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct

from ...records import POWERS, Power, kind_of
from . import worth

OFFLINE_SHARE, OFFLINE_MAX = 0.5, 20.0
RUNS_MIN, STABLE_MIN, STABLE_SESSIONS_MIN = 3, 0.9, 5
STEPS_MAX = 200  # decisions in a row that are tried in words
FRESH_MIN = 5  # decisions after a loss, before any step up


class Kept(Struct, frozen=True, array_like=True):
    """One incident's word on it."""

    at: datetime
    incident: str
    correct: int
    actionable: int


class Label(Struct, frozen=True, array_like=True):
    """One session that a person judged."""

    session: str
    bad: bool
    flagged: int  # runs in which the evaluator flagged it
    passed: int  # and in which it did not
    offline: bool

    @property
    def runs(self) -> int:
        return self.flagged + self.passed


class Inherited(Struct, frozen=True, array_like=True):
    """What the version before leaves: decayed sums."""

    at: datetime
    sums: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)


class Undo(Struct, frozen=True, array_like=True):
    """What it might cause, and since when, before it lost that: should what took it be taken back at once."""

    at: datetime  # of the loss
    power: Power | None
    since: datetime
    lost_at: datetime | None
    granted_by: str


class Version(Struct, frozen=True, array_like=True):
    evaluator: str
    first: datetime
    since: datetime  # of its power
    inherited: Inherited
    power: Power | None = None  # None: what the policy starts with
    before: Power | None = None  # what the version before it might cause when this one came
    credits: tuple[Kept, ...] = ()
    labels: tuple[Label, ...] = ()
    armed: datetime | None = None  # a person gave it its power: what was decided before does not take that away
    lost_at: datetime | None = None
    granted_by: str = ""
    decisions: int = 0
    undo: Undo | None = None


class Values(Struct, frozen=True):
    """Days."""

    half_life_d: float = 90.0
    probation_d: float = 30.0
    cooldown_d: float = 14.0


class Sums(NamedTuple):
    confirmed: float
    rejected: float
    acted: float
    ignored: float

    def more(self, right: int, wrong: int) -> Sums:
        return Sums(self.confirmed + right, self.rejected + wrong, self.acted + right, self.ignored + wrong)


class Loss(NamedTuple):
    to: Power
    why: str


def sums(version: Version, now: datetime, half_life_d: float, since: datetime | None = None) -> Sums:
    """Decayed and bounded: correct and not, acted on and not. What was inherited counts unless a moment is named."""
    found = [0.0, 0.0, 0.0, 0.0]
    if since is None:
        fade = worth.decayed(_days(now - version.inherited.at), half_life_d)
        found = [one * fade for one in version.inherited.sums]
    for one in version.credits:
        if since is None or one.at > since:
            weight = worth.decayed(_days(now - one.at), half_life_d)
            found[0 if one.correct > 0 else 1] += weight * abs(one.correct)
            found[2 if one.actionable > 0 else 3] += weight * abs(one.actionable)
    return Sums(*worth.capped((found[0], found[1])), *worth.capped((found[2], found[3])))


def with_labels(known: Sums, labels: tuple[Label, ...]) -> Sums:
    """What it flagged in labelled sets, at half weight: that tells what is right, and stands for what people act on."""
    right = sum(OFFLINE_SHARE for one in labels if one.flagged > one.passed and one.bad)
    wrong = sum(OFFLINE_SHARE for one in labels if one.flagged > one.passed and not one.bad)
    right, wrong = worth.capped((right, wrong), OFFLINE_MAX)
    return Sums(known.confirmed + right, known.rejected + wrong, known.acted + right, known.ignored + wrong)


def in_a_row(version: Version) -> float:
    """The sum over what was decided since it has its power."""
    return worth.cusum(one.correct > 0 for one in version.credits if one.correct and one.at > version.since)


def evidence(power: Power, known: Sums) -> float:
    """The e-value that counts for a power: for block the greater of both."""
    right, acted = (known.confirmed, known.rejected), (known.acted, known.ignored)
    if power == "block":
        return max(worth.e_value(*right, worth.BLOCK), worth.e_value(*acted, worth.PAGE))
    if power == "page":
        return worth.e_value(*acted, worth.PAGE)
    return worth.e_value(*right, worth.TICKET) if power == "ticket" else 0.0


def loss(power: Power, known: Sums, row: float) -> Loss | None:
    """One step down; straight to the shadow where the evidence that it is wrong is overwhelming."""
    if power == "shadow":
        return None
    least = {"block": worth.BLOCK, "page": worth.PAGE, "ticket": worth.TICKET}[power]
    wrong, below = worth.e_value(known.confirmed, known.rejected, least), POWERS[POWERS.index(power) - 1]
    said = f"{known.confirmed:.4g} confirmed, {known.rejected:.4g} rejected"
    if wrong >= worth.RUINED:
        return Loss("shadow", f"e-value {wrong:.4g} against a precision of {least} ({said}): {worth.RUINED:g} or more")
    if power != "page" and wrong >= worth.LOST:
        return Loss(below, f"e-value {wrong:.4g} against a precision of {least} ({said}): {worth.LOST:g} or more")
    if power == "block" and row >= worth.CUSUM_MAX:
        return Loss(below, f"CUSUM {row:.4g} over the last decisions ({said}): {worth.CUSUM_MAX:g} or more")
    ignored = evidence("page", known) if power != "ticket" else 0.0
    if ignored >= worth.LOST:
        acted = f"{known.acted:.4g} acted on, {known.ignored:.4g} not"
        return Loss(below, f"e-value {ignored:.4g} against {worth.PAGE} acted on ({acted}): {worth.LOST:g} or more")
    return None


def standing(power: Power, known: Sums, row: float) -> Power:
    """What is left of a power, once everything is lost that the numbers take."""
    while lost := loss(power, known, row):
        power = lost.to
    return power


def earned(power: Power, known: Sums) -> tuple[Power, str] | None:
    """The step up that the numbers allow. For block a person has to grant it."""
    low = worth.lower(known.confirmed, known.rejected)
    if power == "shadow" and low >= worth.TICKET:
        return "ticket", f"precision at least {low:.2f} (one-sided 95 %): {worth.TICKET} or more"
    if power == "page" and low >= worth.BLOCK:
        return "block", f"precision at least {low:.2f} (one-sided 95 %): {worth.BLOCK} or more"
    acted = worth.lower(known.acted, known.ignored)
    if power == "ticket" and acted >= worth.PAGE:
        return "page", f"acted on in at least {acted:.2f} (one-sided 95 %): {worth.PAGE} or more"
    return None


def stability(labels: tuple[Label, ...]) -> float | None:
    """How often it says the same of a session that it judged three times or more. None: too few of those."""
    again = [max(one.flagged, one.passed) / one.runs for one in labels if one.runs >= RUNS_MIN]
    return sum(again) / len(again) if len(again) >= STABLE_SESSIONS_MIN else None


def may_block(version: Version) -> bool:
    """A judge that is a model must agree with itself first."""
    found = stability(version.labels)
    return kind_of(version.evaluator) != "LLM" or (found is not None and found >= STABLE_MIN)


def cooling(version: Version, cooldown_d: float, now: datetime) -> datetime | None:
    """Until when there is no step up after a loss; as long as too little was decided since, until further notice."""
    if version.lost_at is None:
        return None
    until = version.lost_at + timedelta(days=cooldown_d)
    fresh = sum(one.at > version.lost_at for one in version.credits)
    return max(until, now + timedelta(days=1)) if fresh < FRESH_MIN else until


def outlook(version: Version, power: Power, known: Sums, more: Sums) -> tuple[str, ...]:
    """What it would take to gain or lose a step: as many decisions in a row, of full weight."""
    said = []
    row = in_a_row(version)
    steps = range(1, STEPS_MAX)
    for number in steps:
        lost = loss(power, known.more(0, number), row + worth.CUSUM_REJECTED * number)
        if lost:
            said.append(f"{_times(number, 'rejection')} in a row: {power} is lost, then {lost.to}")
            break
    number = next((n for n in range(STEPS_MAX) if earned(power, more.more(n, 0))), 0)
    up = earned(power, more.more(number, 0))
    if up:
        granted = ", granted by a person" if up[0] == "block" else ""
        said.append(f"{_times(number, 'confirmation')} in a row: {up[0]}{granted}" if number else f"{up[0]}: earned")
    if power != "block" and not may_block(version):
        said.append(
            f"before it may block, {STABLE_SESSIONS_MIN} sessions of its audit have to be judged {RUNS_MIN} times each, "
            f"with {STABLE_MIN:.0%} of them alike"
        )
    return tuple(said)


def _times(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _days(age: timedelta) -> float:
    return age.total_seconds() / 86_400
