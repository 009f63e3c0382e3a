"""What each evaluator may cause, from what people decided: lost by itself, earned step by step, granted for block."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from ...records import POWERS, Granted, Labelled, Notice, Power, PowerChanged, Worth, family_of, following, kind_of
from ...step import Order, Step
from . import weighing, worth
from .crediting import Credit
from .weighing import Inherited, Kept, Label, Sums, Undo, Values, Version

MAY: Mapping[Power, str] = {
    "shadow": "tell nobody",
    "ticket": "open tickets",
    "page": "page people",
    "block": "page people and block releases",
}
VERSIONS_MAX = 5
CREDITS_MAX = 300
LABELS_MAX = 1000
USUAL = Values()
AGAIN = timedelta(days=7)  # numbers fade: they are weighed again
SOON = timedelta(minutes=1)  # so long the tenth of many decisions at once may be heard before the eleventh


class Family(Struct, frozen=True, array_like=True):
    """All versions of one evaluator, the oldest first, and how many changes were said of them."""

    versions: tuple[Version, ...] = ()
    number: int = 0
    wake: datetime | None = None
    said: dict[str, Worth] = {}


class Calibration:
    """Keyed by kind and name: a new version inherits a little of the one before."""

    name, version, memory = "calibration", 1, Family
    reads: tuple[type, ...] = (Credit, Granted, Labelled)
    order: Order = "near"

    def __init__(self, start: Mapping[str, Power], values: Values = USUAL) -> None:
        self.start, self.values = start, values

    def key(self, record: Any) -> str | None:
        return family_of(record.evaluator) or None

    def step(self, memory: Family | None, record: Any) -> Step[Family]:
        family = memory or Family()
        if not isinstance(record, Credit | Granted | Labelled):
            return self._woken(memory, record.at)
        version = self._version(family, record.evaluator, record.at)
        change: PowerChanged | None = None
        if isinstance(record, Granted):
            version, change = self._granted(family, version, record)
        elif isinstance(record, Labelled):
            version = _labelled(version, record)
        else:
            version, change = self._credited(family, version, record)
        changes = (change,) if change else ()
        family = _put(replace(family, number=family.number + len(changes)), version)
        step = self._weighed(family, (version.evaluator,), record.at, changes)
        incident = record.incident if isinstance(record, Credit) else ""
        return Step(step.remember, (*step.say, *_told(step.say, incident)), step.wake)

    def _woken(self, memory: Family | None, at: datetime) -> Step[Family]:
        if memory is None or memory.wake is None:
            return Step(memory)
        if at < memory.wake:
            return Step(memory, wake=memory.wake)
        step = self._weighed(memory, tuple(one.evaluator for one in memory.versions), at, ())
        return Step(step.remember, (*step.say, *_told(step.say, "")), step.wake)

    def _version(self, family: Family, name: str, at: datetime) -> Version:
        known = {one.evaluator: one for one in family.versions}
        if name in known:
            return known[name]
        if not family.versions:
            return Version(name, at, at, Inherited(at))
        last = family.versions[-1]
        left = worth.inherited(weighing.sums(last, at, self.values.half_life_d))
        return Version(name, at, at, Inherited(at, left), before=self._power(last))

    def _power(self, version: Version) -> Power:
        return version.power or following(version.evaluator, version.before, self.start)

    def _granted(self, family: Family, version: Version, record: Granted) -> tuple[Version, PowerChanged | None]:
        """A person's word; but a judge that contradicts itself does not block."""
        before, after, why = self._power(version), record.power, record.reason
        if after == "block" and not weighing.may_block(version):
            after = "page"
            why = f"{why} (block was asked for: it has not shown yet that it agrees with itself, so it pages)"
        lower = POWERS.index(after) < POWERS.index(before)
        granted = replace(
            version,
            power=after,
            since=record.at if after != before else version.since,
            armed=record.at,
            lost_at=record.at if lower else None,
            granted_by=record.actor,
            undo=None,
        )
        if after == before:
            return granted, None
        change = PowerChanged(
            record.evaluator,
            family.number + 1,
            before,
            after,
            why,
            record.at,
            record.actor,
            self._worth(granted, record.at),
        )
        return granted, change

    def _credited(self, family: Family, version: Version, credit: Credit) -> tuple[Version, PowerChanged | None]:
        """What took its power and is taken back at once, as in bulk, gives back what no longer follows from it."""
        known, undo, before = _heard(version, credit), version.undo, self._power(version)
        another = all(one.incident != credit.incident for one in version.credits)
        if another or undo is None or credit.at > undo.at + SOON:
            return known, None
        whole = replace(known, power=undo.power, since=undo.since, lost_at=undo.lost_at, granted_by=undo.granted_by)
        against = self._against(whole, credit.at)
        after = weighing.standing(self._power(whole), against, weighing.in_a_row(whole))
        if POWERS.index(after) <= POWERS.index(before):
            return known, None
        all_of_it = after == self._power(whole)
        known = replace(whole, undo=None) if all_of_it else replace(known, power=after, since=credit.at)
        left = f"{against.confirmed:.4g} confirmed, {against.rejected:.4g} rejected are left"
        why = f"what took it away was taken back within a minute: {left}"
        worth_now = self._worth(known, credit.at)
        return known, PowerChanged(version.evaluator, family.number + 1, before, after, why, credit.at, worth=worth_now)

    def _weighed(
        self, family: Family, names: tuple[str, ...], at: datetime, changes: tuple[PowerChanged, ...]
    ) -> Step[Family]:
        said: list[Any] = [*changes]
        told = dict(family.said)
        for version in family.versions:
            if version.evaluator not in names:
                continue
            after, change = self._moved(version, family.number + 1, at)
            if change:
                said.append(change)
                family = replace(_put(family, after), number=family.number + 1)
            now = self._worth(after, at)
            if told.get(after.evaluator) != now:
                told[after.evaluator] = now
                said.append(now)
        kept = {one.evaluator for one in family.versions}
        family = replace(family, said={name: one for name, one in told.items() if name in kept}, wake=at + AGAIN)
        return Step(family, tuple(said), family.wake)

    def _moved(self, version: Version, number: int, at: datetime) -> tuple[Version, PowerChanged | None]:
        """Lost, or earned as far as nobody has to grant it: what a person has set a person raises."""
        power, known = self._power(version), self._sums(version, at)
        down = weighing.loss(power, self._against(version, at), weighing.in_a_row(version))
        if down:
            undo = version.undo
            if undo is None or at > undo.at + SOON:
                undo = Undo(at, version.power, version.since, version.lost_at, version.granted_by)
            return self._changed(replace(version, lost_at=at, undo=undo), (power, down.to), down.why, number, at)
        up = weighing.earned(power, weighing.with_labels(known, version.labels))
        cooling = weighing.cooling(version, self.values.cooldown_d, at)
        if up is None or up[0] == "block" or version.granted_by or (cooling is not None and at < cooling):
            return version, None
        return self._changed(version, (power, up[0]), up[1], number, at)

    def _changed(
        self, version: Version, move: tuple[Power, Power], why: str, number: int, at: datetime
    ) -> tuple[Version, PowerChanged]:
        before, to = move
        after = replace(version, power=to, since=at, granted_by="")
        return after, PowerChanged(version.evaluator, number, before, to, why, at, worth=self._worth(after, at))

    def _sums(self, version: Version, at: datetime) -> Sums:
        return weighing.sums(version, at, self.values.half_life_d)

    def _against(self, version: Version, at: datetime) -> Sums:
        """What may take its power: nothing from before a person gave it that."""
        return weighing.sums(version, at, self.values.half_life_d, version.armed)

    def _worth(self, version: Version, at: datetime) -> Worth:
        power, known, against = self._power(version), self._sums(version, at), self._against(version, at)
        more = weighing.with_labels(known, version.labels)
        right, acted = worth.wilson(*more[:2]), worth.wilson(*more[2:])
        cooling = weighing.cooling(version, self.values.cooldown_d, at)
        cooling = cooling if cooling and at < cooling else None
        up = weighing.earned(power, more)
        probation = version.first + timedelta(days=self.values.probation_d)
        trial = version.power is None and power == "block" and kind_of(version.evaluator) != "HUMAN"
        return Worth(
            evaluator=version.evaluator,
            power=power,
            since=version.since,
            confirmed=round(known.confirmed, 4),
            rejected=round(known.rejected, 4),
            acted=round(known.acted, 4),
            ignored=round(known.ignored, 4),
            decisions=version.decisions,
            low=round(right.low, 4),
            mean=round(worth.mean(more.confirmed, more.rejected), 4),
            high=round(right.high, 4),
            e_value=round(min(weighing.evidence(power, against), 1e12), 4),
            cusum=round(weighing.in_a_row(version), 4),
            proposed=up[0] if up and cooling is None and (up[0] != "block" or weighing.may_block(version)) else None,
            probation_until=probation if trial and at < probation else None,
            next=weighing.outlook(version, power, against, more),
            acted_low=round(acted.low, 4),
            acted_high=round(acted.high, 4),
            audited=_audited(version.labels),
            stable=weighing.stability(version.labels),
            labels=sum(one.offline for one in version.labels),
            granted_by=version.granted_by,
            cooling_until=cooling,
        )


def _told(said: tuple[Any, ...], incident: str) -> tuple[Notice, ...]:
    """To whoever owns the incident that changed it, or has to look after everything."""
    return tuple(
        Notice(
            id=f"power:{one.evaluator}:{one.number}",
            at=one.at,
            headline=f"{one.evaluator} may {MAY[one.after]} from now on, before: {one.before}",
            lines=(one.why, *(one.worth.next if one.worth else ())),
            incident=incident,
            link=f"/evaluators/{quote(one.evaluator.replace('%', '%25').replace('/', '%2F'), safe='')}",
        )
        for one in said
        if isinstance(one, PowerChanged)
    )


def _put(family: Family, version: Version) -> Family:
    others = tuple(one for one in family.versions if one.evaluator != version.evaluator)
    order = sorted((*others, version), key=lambda one: (one.first, one.evaluator))
    return replace(family, versions=tuple(order[-VERSIONS_MAX:]))


def _heard(version: Version, credit: Credit) -> Version:
    others = tuple(one for one in version.credits if one.incident != credit.incident)
    if not credit.correct and not credit.actionable:
        return replace(version, credits=others)
    this = Kept(credit.at, credit.incident, credit.correct, credit.actionable)
    fresh = int(len(others) == len(version.credits))
    kept = tuple(sorted((*others, this), key=lambda one: (one.at, one.incident))[-CREDITS_MAX:])
    return replace(version, credits=kept, decisions=version.decisions + fresh)


def _labelled(version: Version, record: Labelled) -> Version:
    """Each label is one run of the evaluator over that session; what the person says last of it holds."""
    known = next((one for one in version.labels if one.session == record.session), None)
    flagged, passed = (known.flagged, known.passed) if known else (0, 0)
    offline = record.offline or bool(known and known.offline)
    label = Label(record.session, record.bad, flagged + record.flagged, passed + (not record.flagged), offline)
    others = tuple(one for one in version.labels if one.session != record.session)
    return replace(version, labels=(*others, label)[-LABELS_MAX:])


def _audited(labels: tuple[Label, ...]) -> tuple[int, int, int, int]:
    """Flagged and bad, flagged only, bad only, neither."""
    found = [0, 0, 0, 0]
    for one in labels:
        flagged = one.flagged > one.passed
        found[(0 if one.bad else 1) if flagged else (2 if one.bad else 3)] += 1
    return found[0], found[1], found[2], found[3]
