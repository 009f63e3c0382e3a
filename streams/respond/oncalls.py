"""Who is on call, as the policy says it: turns in a rota, forms of names, and owners whose pages wake nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from .routing import BookValues, Level, Owner, owner_named

FORMS = "rota:<name>, pagerduty:<schedule>, group:<handle> or email:<address>"
EVERYBODY = frozenset({"here", "channel", "everyone"})
_ID = re.compile(r"[UWS][A-Z0-9]{2,30}\Z")
_ELSEWHERE = re.compile(r"[CDG][A-Z0-9]{7,30}\Z")  # a channel, not a person
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+\Z")
_HANDLE = re.compile(r"@?[\w.-]{1,80}\Z")
_SCHEDULE = re.compile(r"[A-Z0-9]{3,40}\Z")


class Turns(Protocol):
    """A rota, as the policy has it."""

    @property
    def name(self) -> str: ...
    @property
    def people(self) -> Sequence[str]: ...
    @property
    def begins(self) -> str: ...
    @property
    def shift_h(self) -> float: ...


def on_duty(rota: Turns, at: datetime) -> str:
    """Whose turn it is. Hours pass in absolute time: a shift is as long in the night in which clocks change,
    and the hour of the day at which it ends moves by one then. Before it begins the turns go on backwards.
    """
    shift = timedelta(hours=rota.shift_h)
    return rota.people[(at - datetime.fromisoformat(rota.begins)) // shift % len(rota.people)]


def rotas(policy: Iterable[Turns]) -> Callable[[str, datetime], str | None]:
    """By name; None: there is no such rota."""
    known = {rota.name: rota for rota in policy}

    def found(name: str, at: datetime) -> str | None:
        return on_duty(known[name], at) if name in known else None

    return found


def further(policy: Any) -> set[str]:
    """The receivers besides Slack that its pages go to: pagerduty, webhook."""
    return {name for one in _holders(policy) for name in ("pagerduty", "webhook") if getattr(one, name)}


def asked(policy: Any) -> list[str]:
    """Every name that somebody may be on call by, once: whoever asks them all knows who is nobody."""
    return list(dict.fromkeys(one.oncall for one in _holders(policy) if one.oncall))


def _holders(policy: Any) -> list[Any]:
    """Owners and levels of escalation: whoever is told."""
    return [*policy.owners, *policy.escalation, *(level for owner in policy.owners for level in owner.escalation)]


# -- what is wrong with a policy ------------------------------------------------------------------------------------


class Wrong(NamedTuple):
    path: tuple[str, ...]
    why: str


def problems(policy: Mapping[str, Any]) -> Iterator[Wrong]:
    """Of a policy that follows the schema, as plain data."""
    names: list[str] = [rota["name"] for rota in policy.get("rotas", ())]
    for place, rota in enumerate(policy.get("rotas", ())):
        yield from _rota(("rotas", str(place)), rota, names[:place])
    for place, level in enumerate(policy.get("escalation", ())):
        yield from _named(("escalation", str(place)), level, names)
    for place, owner in enumerate(policy.get("owners", ())):
        path = ("owners", str(place))
        yield from _named(path, owner, names)
        for step, level in enumerate(owner.get("escalation", ())):
            yield from _named((*path, "escalation", str(step)), level, names)


def _rota(path: tuple[str, ...], rota: Mapping[str, Any], before: Sequence[str]) -> Iterator[Wrong]:
    if rota["name"] in before:
        yield Wrong((*path, "name"), f"`{rota['name']}` is there twice")
    strange = [one for one in rota["people"] if not _ID.match(one)]
    if strange:
        yield Wrong((*path, "people"), f"`{strange[0]}` is not a Slack id (U…)")
    try:
        aware = datetime.fromisoformat(rota["begins"]).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        wanted = "a moment with its offset, e.g. 2026-01-05T09:00:00+01:00"
        yield Wrong((*path, "begins"), f"`{rota['begins']}` is not {wanted}")


def _named(path: tuple[str, ...], holder: Mapping[str, Any], names: Sequence[str]) -> Iterator[Wrong]:
    why = malformed(holder.get("oncall", ""), names)
    if why:
        yield Wrong((*path, "oncall"), why)


def malformed(oncall: str, names: Sequence[str]) -> str:
    """Why nobody can be asked by that name; empty: somebody can."""
    kind, _, value = oncall.partition(":")
    match kind:
        case "":
            return "" if not oncall else f"`{oncall}` is not {FORMS}"
        case "rota":
            known = ", ".join(sorted(names)) or "there are none"
            return "" if value in names else f"unknown rota `{value}`; known: {known}"
        case "pagerduty":
            return "" if _SCHEDULE.match(value) else f"`{value}` is not the id of a schedule (P…)"
        case "group":
            return "" if _HANDLE.match(value) else f"`{value}` is not the handle of a user group"
        case "email":
            return "" if _ADDRESS.match(value) else f"`{value}` is not an e-mail address"
    return f"`{oncall}` is not {FORMS}"


# -- who sleeps on ----------------------------------------------------------------------------------------------------


class Outside(NamedTuple):
    """What is known beside the policy. None: nobody has looked."""

    services: Container[str] | None = None  # of TOCSIN_PAGERDUTY_KEYS
    hooks: Container[str] | None = None  # of TOCSIN_WEBHOOKS
    nobody: Container[str] = ()  # on-call names that were asked and came to nobody


def asleep(values: BookValues, outside: Outside = Outside()) -> list[tuple[str, str]]:  # noqa: B008 - a value
    """Owners whose pages wake nobody, or not whom they should, each with the reason."""
    names = [owner.name for owner in values.owners]
    fallback = [owner_named(values, values.routing.fallback)] if values.routing.fallback not in names else []
    found: list[tuple[str, str]] = []
    for owner in (*values.owners, *fallback):
        whys = [*_broken(owner, outside)]
        if not _wakes(owner, outside):
            whys.append(_nobody(owner.escalation or values.escalation, outside))
        found += [(owner.name, why) for why in whys]
    return found


def _broken(holder: Owner | Level, outside: Outside) -> Iterator[str]:
    if why := _unknown(holder.mention):
        yield f"mention `{holder.mention}` {why}"
    if holder.oncall and holder.oncall in outside.nobody:
        yield f"oncall `{holder.oncall}` comes to nobody"
    if holder.pagerduty and outside.services is not None and holder.pagerduty not in outside.services:
        yield f"pagerduty `{holder.pagerduty}` has no key in TOCSIN_PAGERDUTY_KEYS"
    if holder.webhook and outside.hooks is not None and holder.webhook not in outside.hooks:
        yield f"webhook `{holder.webhook}` has no address in TOCSIN_WEBHOOKS"


def _wakes(holder: Owner | Level, outside: Outside) -> bool:
    return (
        bool(holder.mention and not _unknown(holder.mention))
        or bool(holder.oncall and holder.oncall not in outside.nobody)
        or bool(holder.pagerduty and (outside.services is None or holder.pagerduty in outside.services))
        or bool(holder.webhook and (outside.hooks is None or holder.webhook in outside.hooks))
    )


def _nobody(levels: Sequence[Level], outside: Outside) -> str:
    said = "its pages wake nobody: name a mention, oncall, pagerduty or webhook"
    waited = 0.0
    for level in levels:
        waited += level.after_s
        if _wakes(level, outside):
            return f"its pages wake nobody before the escalation after {waited:g} s: name a mention or oncall"
    return said


def _unknown(mention: str) -> str:
    """Why Slack would mention nobody; empty: it may."""
    if not mention or _ID.match(mention) or _ADDRESS.match(mention):
        return ""
    if _ELSEWHERE.match(mention) or mention.startswith("#"):
        return "is a channel; name a person (U…) or a user group (S…)"
    if mention.lstrip("@").lower() in EVERYBODY:
        return "is everybody; name a person (U…) or a user group (S…)"
    return "" if _HANDLE.match(mention) else "is neither an id (U…, S…) nor a handle nor an address"
