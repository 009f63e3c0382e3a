"""What CI and delivery tools say about releases, on a topic of their own so that no agent vouches for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from .envelope import Actor, Count, Event, Hash, Id, Money, Name, Short, Status, Uri

Ids = Annotated[list[Id], Meta(max_length=64)]


class ReleaseRegisteredData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    agent: Name
    release: Name
    parents: Ids | None = None
    commit: Hash | None = None
    digest: Hash | None = None
    aliases: Ids | None = None
    prompt_hash: Hash | None = None
    model: Short | None = None
    config_hash: Hash | None = None
    tools_hash: Hash | None = None
    fixes: Ids | None = None  # incident ids or ticket keys
    author: Actor | None = None
    order: Count | None = None  # a build number: what came before, where no parents are named


class ReleaseRegistered(Event, tag="release.registered.v1"):
    data: ReleaseRegisteredData


class ReleaseDeployedData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    agent: Name
    release: Name
    environment: Annotated[str, Meta(min_length=1, max_length=64)]
    op: Annotated[str, Meta(max_length=16)]  # promote, rollback, abort, result
    result: Status
    decided_by: Actor | None = None
    share: Annotated[float, Meta(ge=0, le=1)] | None = None
    decision_id: Id | None = None
    url: Uri | None = None


class ReleaseDeployed(Event, tag="release.deployed.v1"):
    data: ReleaseDeployedData


class CaseScoredData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    case_id: Id
    agent: Name
    release: Name
    runs: Count
    passes: Count
    baseline_passes: Count | None = None
    url: Uri | None = None
    cost: Money | None = None


class CaseScored(Event, tag="case.scored.v1"):
    data: CaseScoredData


DeliveryEvent = ReleaseRegistered | ReleaseDeployed | CaseScored


class Registration(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Everything that CI has said of one release, and what was noticed of it."""

    parents: tuple[str, ...] = ()
    commit: str | None = None
    digest: str | None = None
    aliases: tuple[str, ...] = ()
    prompt_hash: str | None = None
    model: str | None = None
    config_hash: str | None = None
    tools_hash: str | None = None
    fixes: tuple[str, ...] = ()
    author: Actor | None = None
    order: int | None = None
    said_at: datetime | None = None  # when CI spoke of it last
    conflict: tuple[str, ...] = ()  # what it was said to be, where that was two different things
    implied: str = ""  # nobody's word: sessions of this release ran with something else than was known


class RanWith(Struct, frozen=True, omit_defaults=True):
    """What sessions of a release ran with in one environment: prompt, model, tools."""

    seen: dict[str, tuple[str, ...]] = {}  # part -> its values, the first seen first
    names: tuple[str, ...] = ()  # of releases that are implied by it
    now: str = ""  # for which of them the last minute counted; empty: for the release itself


class Deployed(Struct, frozen=True, tag="deployed", tag_field="record", omit_defaults=True):
    """A deployment, told to learn's own deciders."""

    agent: str
    release: str  # that goes out; of a rollback, that which is taken back
    environment: str
    op: str
    result: str
    at: datetime
    id: str  # of the event, with its source
    decided_by: str = ""
    url: str = ""
