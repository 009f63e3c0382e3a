"""What every event carries: the CloudEvents envelope, the context of the work, and where in the log it stood."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Short = Annotated[str, Meta(max_length=1024)]
Text = Annotated[str, Meta(max_length=16_384)]
Hash = Annotated[str, Meta(max_length=256)]
Uri = Annotated[str, Meta(max_length=2048)]
When = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]

NANO = Decimal(10) ** 9
MONEY_MAX = Decimal(10) ** 9  # a single amount beyond a billion is a unit mistake, not a price


class Position(Struct, frozen=True, array_like=True, gc=False):
    """Where a record stood: `source` is `topic/epoch/partition`, `offset` grows by order of arrival there."""

    source: str
    offset: int

    def __str__(self) -> str:
        return f"{self.source}/{self.offset}"


class Open(StrEnum):
    """An enumeration that stays open: a value from a newer producer reads as `other`."""

    @classmethod
    def _missing_(cls, value: object) -> Open | None:
        return cls("other") if isinstance(value, str) and value != "other" else None


class Status(Open):
    ok = "ok"
    error = "error"
    denied = "denied"
    timeout = "timeout"
    cancelled = "cancelled"
    other = "other"


class Money(Struct, frozen=True, omit_defaults=True, dict=True):
    """An amount as a JSON number or decimal string. `nano` is the exact integer in 10⁻⁹ units."""

    amount: Decimal
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"
    source: Annotated[str, Meta(max_length=32)] = "provider"

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or not 0 <= self.amount <= MONEY_MAX:
            raise ValueError("money must be a finite amount from 0 to 1000000000")

    @cached_property
    def nano(self) -> int:
        return int((self.amount * NANO).to_integral_value(ROUND_HALF_EVEN))


class Agent(Struct, frozen=True, omit_defaults=True, gc=False):
    id: Name
    version: Annotated[str, Meta(max_length=256)] = ""  # the release that did the work
    name: Short | None = None


class Parent(Struct, frozen=True, omit_defaults=True, gc=False):
    session_id: Id | None = None
    run_id: Id | None = None
    event_id: Id | None = None


class Ctx(Struct, frozen=True, omit_defaults=True, gc=False):
    """Which work an event belongs to. A subagent's events carry the root session, by default the session's own."""

    session_id: Id
    run_id: Id
    agent: Agent
    root_session_id: Id | None = None
    task_id: Short | None = None
    iteration: Count | None = None
    parent: Parent | None = None
    depth: Count | None = None
    env: Annotated[str, Meta(max_length=64)] = "prod"
    user: Id | None = None  # pseudonymous
    node: Short | None = None
    region: Short | None = None

    @property
    def root(self) -> str:
        return self.root_session_id or self.session_id


class PolicyRef(Struct, frozen=True, omit_defaults=True, gc=False):
    id: Short
    version: Short = ""
    rule: Short | None = None


class Operator(Struct, frozen=True, omit_defaults=True, gc=False):
    team: Short | None = None
    contact: Short | None = None


class Attribution(Struct, frozen=True, omit_defaults=True, gc=False):
    """On whose behalf: system, account, policy, operator. An absent one is shown as absent, never guessed."""

    system: Short | None = None
    account: Short | None = None
    policy: PolicyRef | None = None
    operator: Operator | None = None


class Error(Struct, frozen=True, omit_defaults=True, gc=False):
    type: Short | None = None  # the class or code: TimeoutError, 404
    template: Text | None = None  # the message, ideally with ids and values removed


class Actor(Struct, frozen=True, omit_defaults=True, gc=False):
    """Who decided."""

    kind: Annotated[str, Meta(max_length=32)]  # policy, human, model, default
    id: Short | None = None


class Event(Struct, kw_only=True, omit_defaults=True, tag_field="type", gc=False):
    """CloudEvents 1.0. `position` is set by the pipeline and never taken from a producer."""

    specversion: Literal["1.0"]
    id: Id
    source: Annotated[str, Meta(min_length=1, max_length=512)]
    time: When
    subject: Short | None = None
    datacontenttype: Annotated[str, Meta(max_length=128)] | None = None
    dataschema: Uri | None = None
    recordedtime: When | None = None
    partitionkey: Short | None = None
    correlationid: Short | None = None
    causationid: Short | None = None
    traceparent: Annotated[str, Meta(max_length=128)] | None = None
    tracestate: Short | None = None
    sequence: Annotated[str, Meta(max_length=64)] | None = None
    dataclassification: Annotated[str, Meta(max_length=32)] | None = None
    dataref: Uri | None = None
    position: Position | None = None

    @property
    def at(self) -> datetime:
        return self.time
