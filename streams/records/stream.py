"""What flows inside the pipeline: ticks, watermarks, rejections, facts, findings, exposure, dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from .envelope import Attribution, Ctx, Event, Position

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
PAGING: frozenset[str] = frozenset(("critical", "high"))


class Tick(Struct, frozen=True, tag="tick", tag_field="record", gc=False):
    """Event time has reached `at`: what a decider asked to be woken for. Never the wall clock."""

    at: datetime


class Watermark(Struct, frozen=True, omit_defaults=True, gc=False):
    """How far one source partition has been read. `newest` is event time, before lateness is taken off."""

    newest: datetime | None = None
    at_end: bool = False
    silent_s: float = 0.0  # since the last message from it, by the writer's own clock


class Watermarks(Struct, frozen=True, tag="watermarks", tag_field="record", gc=False):
    """Written by intake once a second to every timeline partition, about the source partitions it owns.

    `partitions` says how many there are in all, so that the clock waits for those nobody has reported yet.
    """

    at: datetime  # when it was written
    writer: str
    partitions: dict[str, int]
    sources: dict[str, Watermark]
    lateness_s: float = 30.0
    idle_s: float = 60.0


class IntakeRejectedData(Struct, frozen=True, omit_defaults=True, gc=False):
    ctx: Ctx  # session `intake:<agent>`
    reason: str
    pointer: str
    detail: str
    rejected: Position
    example: str | None = None  # a corrected one


class IntakeRejected(Event, tag="intake.rejected.v1"):
    """A message that intake could not use. The message itself is a dead letter."""

    data: IntakeRejectedData


class About(Struct, frozen=True, omit_defaults=True, gc=False):
    """Whom a shelf, fact or finding is about, as far as its events have said."""

    agent: str = ""
    release: str = ""
    environment: str = ""
    session: str | None = None
    root: str | None = None
    user: str | None = None
    attribution: Attribution | None = None


class Excerpt(Struct, frozen=True, omit_defaults=True, gc=False):
    """One event as evidence: what happened where, never prompt or result text."""

    position: str
    type: str
    at: datetime
    session: str = ""
    status: str = ""
    tool: str | None = None
    text: str | None = None
    args_hash: str | None = None
    result_hash: str | None = None
    value: float | None = None
    id: str | None = None  # of the event, so that another one can name it as its cause
    cause: str | None = None  # the event this one named as its cause


class Fact(Struct, omit_defaults=True, gc=False):
    """What sessions contribute to a wider question: sums per subject and 10-second bucket, order-free.

    `about` is stamped by the loop on the fact it was just handed: a copy would cost more than all the rest of it.
    """

    kind: str  # one of detect/facts.py
    subject: tuple[str, ...]  # the first word decides the partition: what a decider's key may be made of
    bucket: datetime  # start of the bucket
    sums: dict[str, int]
    about: About = About()  # stamped where the first word is the agent of the session that says it
    marks: tuple[str, ...] = ()  # distinct things to count once
    samples: tuple[Excerpt, ...] = ()

    @property
    def at(self) -> datetime:
        return self.bucket


class Facts(Struct, frozen=True, tag="facts", tag_field="record", gc=False):
    """The facts of one timeline message for one facts partition. `position` guards against echoes."""

    position: Position
    facts: tuple[Fact, ...]


class ClockForwarded(Struct, frozen=True, tag="clock", tag_field="record", gc=False):
    """A timeline partition's clock, told to every facts partition."""

    source: str
    partitions: int
    at: datetime


class Finding(Struct, frozen=True, tag="finding", tag_field="record", omit_defaults=True, gc=False):
    """One sighting of one trouble by one detector.

    Deciders leave `id`, `policy` and `about` empty: the fold loop knows the cause's position, the policy and the shelf.
    """

    detector: str
    version: int
    fingerprint: str
    subject: dict[str, str]
    title: str  # what is wrong, in a line
    severity: Severity
    at: datetime
    count: int = 1
    observed: str | None = None
    expected: str | None = None
    evidence: tuple[Excerpt, ...] = ()
    releases: tuple[str, ...] = ()
    dependency: str | None = None
    hint: str | None = None  # e.g. a corrected example
    control: str = ""  # what the policy wants done to the agent: throttle, pause
    dry_run: bool = False
    id: str = ""
    policy: str = ""
    about: About = About()
    agents: tuple[str, ...] = ()  # whom it concerns, where it is about what they share
    judges: tuple[str, ...] = ()  # evaluators of agents whose word it is, by id; see records/power.py


class Measure(Struct, frozen=True, array_like=True, gc=False):
    """Sums over sessions of the natural logarithm of 1 + a quantity: additive, enough for mean and variance."""

    count: int
    total: float
    squares: float


class Judged(Struct, frozen=True, array_like=True, gc=False):
    """What one evaluator said of a minute's sessions, and a few of those that it passed, to be looked at."""

    scored: int
    flagged: int
    sample: tuple[str, ...] = ()


class Exposure(Struct, frozen=True, tag="exposure", tag_field="record", omit_defaults=True, gc=False):
    """A closed minute of one agent, release and environment."""

    agent: str
    release: str
    environment: str
    minute: datetime
    sessions: int
    bad: int
    config: dict[str, str] = {}  # prompt, model, tools: what the session ran with that began last
    evaluated: int = 0  # of the sessions that ended in it: those that an evaluator judged
    ended: int = 0  # sessions that ended in it
    calls: dict[str, int] = {}  # by tool
    judged: dict[str, Judged] = {}  # by evaluator id
    measures: dict[str, Measure] = {}  # cost, steps, duration of the sessions that ended in it

    @property
    def at(self) -> datetime:
        return self.minute

    @property
    def key(self) -> str:
        return f"{self.agent}@{self.release}@{self.environment}"


class DeadLetter(Struct, frozen=True, tag="dead_letter", tag_field="record", omit_defaults=True, gc=False):
    """A message that could not be used, with every error and where it came from."""

    reason: str
    errors: tuple[str, ...]
    position: Position
    value: bytes | None
    key: bytes | None = None
    at: datetime | None = None  # when the source topic got it
    agent: str | None = None
    truncated: int = 0  # the original size in bytes, where the value was cut
    hash: str | None = None  # blake2b-16 of the original, where the value was cut
