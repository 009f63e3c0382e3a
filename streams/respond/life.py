"""What is remembered of one fingerprint, and how its incident asks for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ..records import Due, Incident, Sighted
from ..step import Step
from .routing import unpaged
from .sighting import Tally, Timed, earliest, releases_of

RECENT_MAX = 64
PAST_MAX = 5
KNOWN_MAX = 200
SPOKEN_FOR = ("explained:", "grouped:")  # reasons held, with the id of the incident that speaks for it
OVER = ("resolved", "closed")
SHARED_MAX = 48  # groups that weigh one incident: more of its events are not looked for
STILL_SEEN = timedelta(minutes=10)
CLOCKS = timedelta(seconds=1)  # clocks differ by that: a cause may seem to begin after what it caused
PERSON = "person"  # in place of a group, where a person says who speaks for it
PARENT = "parent"  # source of an outcome that a grouped incident takes over; its reason is the parent's id


class Life(Struct, frozen=True, array_like=True):
    """What is remembered of one fingerprint."""

    incident: Incident  # the current episode
    tally: Tally
    heard_at: datetime  # wall clock of the last sighting
    known: Timed  # releases of all episodes, with the first time each was seen
    recent: tuple[str, ...]  # hashes of finding ids: an echo that slipped through changes nothing
    horizon: datetime | None = None  # event time up to which the last decision speaks
    decided_at: datetime | None = None
    asked: bool = False  # a Due is on its way, its answers replace the reasons held
    unsaid: bool = False  # people were owed something since the incident was last said
    followed: str | None = None  # the incident whose outcome this one took over
    since: datetime | None = None  # the horizon of the episode before: older events are that one's
    past: tuple[Incident, ...] = ()  # earlier episodes: their receipts and outcomes may be late
    shared: tuple[str, ...] = ()  # the groups that weigh this episode: each hears of its decision
    began: datetime | None = None  # event time of the first of its evidence; stands once people were told
    spoken_for: dict[str, str] = {}  # by which group, and the reason: why and the incident that speaks for it
    escalate_at: datetime | None = None  # wall clock: nobody may have answered by then
    close_at: datetime | None = None  # wall clock: what is quiet and nobody has decided on is closed
    watched: datetime | None = None  # event time: by then it should have been seen again, the clock was asked to say so
    because: str | None = None  # why people decided as they did, in their words
    wanting: tuple[str, ...] = ()  # whom a silence or a storm keeps from being woken once more: escalate, worse
    speaks: tuple[str, ...] = ()  # incidents that people merged into this one
    sustained: datetime | None = None  # event time up to which something that it speaks for was seen
    unnamed: bool = False  # people were asked how it ended


def noted(life: Life, record: Sighted, mark: str) -> Life:
    finding = record.finding
    return replace(
        life,
        heard_at=max(life.heard_at, record.at),
        known=earliest(life.known, releases_of(finding), finding.at, KNOWN_MAX),
        recent=(*life.recent, mark)[-RECENT_MAX:] if finding.id else life.recent,
    )


def missing(incident: Incident) -> tuple[str, ...]:
    """What people are owed of it. Of what is merged they are told by its parent."""
    if incident.stage == "merged":
        return ()
    if "ticket" not in incident.told:
        return ("page", "ticket")
    return ("page",) if unpaged(incident) else ()


def asking(life: Life, want: tuple[str, ...], at: datetime) -> Step[Life]:
    """Say the incident and, where people are owed news of it, ask."""
    if not want:
        return Step(life, (life.incident,))
    return Step(replace(life, asked=True), (life.incident, *questions(life, want, at)))


def held(life: Life) -> Step[Life]:
    """Nobody was told of it, and this is why."""
    incident = replace(life.incident, held=tuple(sorted(set(life.spoken_for.values()))), parent=spokesman(life))
    return Step(replace(life, incident=incident), (incident,)) if incident != life.incident else Step(life)


def let_go(life: Life, at: datetime, *, anyway: bool = False) -> Step[Life]:
    """What held it has ended. If nothing else speaks for it and it was seen lately, it asks again."""
    if life.spoken_for and not anyway and "ticket" not in life.incident.told:
        return held(life)
    if at - life.heard_at > STILL_SEEN or life.incident.stage == "mitigated":
        return Step(life)
    want = missing(life.incident)
    if not want:
        return Step(life)
    asks = questions(life, want, at)
    return Step(life if life.asked else replace(life, asked=True), asks)


def shared(life: Life, keys: tuple[str, ...]) -> tuple[Life, tuple[str, ...]]:
    """With the groups that weigh it from now on, and the new ones among them."""
    incident = life.incident
    fresh = tuple(key for key in keys if key not in life.shared)[: SHARED_MAX - len(life.shared)]
    began = life.began
    if began is None or "ticket" not in incident.told:
        began = min((incident.first_seen, *(one.at for one in incident.evidence)))
        began += CLOCKS * any(one.cause for one in incident.evidence)
    if not fresh and began == life.began:
        return life, ()
    return replace(life, shared=(*life.shared, *fresh), began=began), fresh


def answered(life: Life, group: str, reason: str | None) -> Life:
    """With what one group says of it now."""
    if life.spoken_for.get(group) == reason:
        return life
    others = {key: value for key, value in life.spoken_for.items() if key != group}
    return replace(life, spoken_for={**others, group: reason} if reason else others)


def speaker(reasons: Iterable[str]) -> str | None:
    """Which incident speaks for it. A cause says more than company: `explained` comes before `grouped`."""
    first = min((one for one in reasons if one.startswith(SPOKEN_FOR)), default=None)
    return first.partition(":")[2] if first else None


def spokesman(life: Life) -> str | None:
    """Which incident speaks for it. A person's word is the last."""
    said = life.spoken_for.get(PERSON)
    return said.partition(":")[2] if said else speaker(life.spoken_for.values())


def questions(life: Life, want: tuple[str, ...], at: datetime) -> tuple[Due, ...]:
    """One for each group that weighs it: each answers, and the owner acts on all answers together."""
    keys = life.shared
    if not keys:
        return alone(life.incident, want, at)
    return tuple(Due(life.incident, want, key, len(keys), at, began=life.began) for key in keys)


def notices(life: Life, incident: Incident, want: tuple[str, ...], at: datetime) -> tuple[Due, ...]:
    """What the groups have to know. Nobody answers."""
    return tuple(Due(incident, want, key, 1, at, began=life.began) for key in life.shared)


def alone(incident: Incident, want: tuple[str, ...], at: datetime) -> tuple[Due, ...]:
    """A Due that no group has to weigh: people were told already."""
    return (Due(incident, want, f"alone:{incident.fingerprint}", 1, at),)


def episode(life: Life, name: str) -> Incident | None:
    return next((one for one in (life.incident, *life.past) if one.id == name), None)


def put(life: Life, incident: Incident) -> Life:
    if incident.id == life.incident.id:
        return replace(life, incident=incident)
    return replace(life, past=tuple(incident if one.id == incident.id else one for one in life.past))


def awake(incident: Incident) -> Incident:
    """Neither quiet nor proposed for closing."""
    if incident.quiet_since is None and incident.mitigated_at is None:
        return incident
    return replace(incident, quiet_since=None, mitigated_at=None)


def wake(life: Life | None) -> datetime | None:
    """When the wall clock has something to say to this incident."""
    return min((at for at in (life.escalate_at, life.close_at) if at), default=None) if life else None


def held_under(policy: str, step: Step[Life]) -> Step[Life]:
    """What is held back says which policy did it, and what no longer is says nothing of it."""
    life = step.remember
    if not policy or life is None:
        return step
    said: list[Any] = []
    for one in step.say:
        under = policy if isinstance(one, Incident) and one.held else ""
        if isinstance(one, Incident) and one.held_policy != under:
            one = replace(one, held_policy=under)
            kept = episode(life, one.id)
            life = put(life, replace(kept, held_policy=under)) if kept else life
        said.append(one)
    return step if life is step.remember else Step(life, tuple(said), step.wake)
