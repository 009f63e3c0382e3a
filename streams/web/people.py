"""The API for what people and pipelines say to incidents: who is on it, how it ended, what is part of what, silences."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ..records import MATCHERS, SCOPES, Acknowledgement, Assignment, Merge, Silence, Split
from .answers import Documented, Refused
from .described import READING, WRITING
from .documents import (
    Accepted,
    AcknowledgementGiven,
    AssignmentGiven,
    MergeGiven,
    SilenceEnd,
    SilenceGiven,
    Silences,
    SilenceTaken,
    SplitGiven,
)
from .shop import Shop

SILENCE_MAX = timedelta(days=90)
NAME = "/v1/incidents/{incident:str}"


@post(f"{NAME}/acknowledge", tags=["incidents"], **WRITING)
async def acknowledge(
    shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[AcknowledgementGiven]
) -> Accepted:
    """Somebody is on it: escalation ends."""
    return await shop.tell(Acknowledgement(incident, datetime.now(UTC), data.actor, data.source))


@post(f"{NAME}/assign", tags=["incidents"], **WRITING)
async def assign(shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[AssignmentGiven]) -> Accepted:
    """Whoever it is given to is on it: it counts as acknowledged."""
    return await shop.tell(Assignment(incident, data.to, datetime.now(UTC), data.actor, data.source))


@post(f"{NAME}/split", tags=["incidents"], **WRITING)
async def split(shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[SplitGiven]) -> Accepted:
    """It is no part of the incident that speaks for it, and no group puts it there again."""
    return await shop.tell(Split(incident, datetime.now(UTC), data.actor, data.source, data.reason))


@post(f"{NAME}/merge", tags=["incidents"], **WRITING)
async def merge(shop: NamedDependency[Shop], incident: FromPath[str], data: JSONBody[MergeGiven]) -> Accepted:
    """`parent` speaks for it from now on, and its outcome is this one's."""
    return await shop.merge(Merge(incident, data.parent, datetime.now(UTC), data.actor, data.source, data.reason))


@get("/v1/silences", tags=["silences"], operation_class=Documented, **READING)
async def list_silences(shop: NamedDependency[Shop], active: FromQuery[bool] = False) -> Silences:
    """Silences, maintenance windows and rollouts, also those that are over, with what each hides now."""
    return Silences(await shop.silences(active=active))


@post("/v1/silences", tags=["silences"], **WRITING)
async def silence(shop: NamedDependency[Shop], data: JSONBody[SilenceGiven]) -> SilenceTaken:
    """Hides matching incidents from people until an end, never from gates."""
    return await shop.silence(meant(data, datetime.now(UTC)))


@post("/v1/silences/{silence_id:str}/end", tags=["silences"], **WRITING)
async def end_silence(shop: NamedDependency[Shop], silence_id: FromPath[str], data: JSONBody[SilenceEnd]) -> Accepted:
    """From now on people hear again of what it hid, if it is still seen. Ending it twice is ending it."""
    del data
    return await shop.end_silence(silence_id)


def meant(data: SilenceGiven, now: datetime) -> Silence:
    """The silence that was asked for, or why there can be none."""
    if unknown := sorted(set(data.matchers) - set(MATCHERS)):
        raise Refused(422, f"Unknown matchers: {', '.join(unknown)[:200]}; known: {', '.join(sorted(MATCHERS))}.")
    if data.kind != "silence" and not SCOPES & set(data.matchers):
        raise Refused(422, f"A {data.kind} needs a scope: at least one of {', '.join(sorted(SCOPES))}.")
    if (data.until is None) == (data.for_s is None):
        raise Refused(422, "Say when it ends: either `until` or `for_s`.")
    until = data.until or now + timedelta(seconds=data.for_s or 0.0)
    if not now < until <= now + SILENCE_MAX:
        raise Refused(422, "`until` must be in the future, at most 90 days ahead.")
    whole = msgspec.json.encode((data, now), order="deterministic")
    name = f"{data.kind[0]}-{hashlib.blake2b(whole, digest_size=8).hexdigest()}"
    return Silence(name, data.matchers, data.reason, data.actor, now, until, data.kind, data.source)


HANDLERS = [acknowledge, assign, split, merge, list_silences, silence, end_silence]
