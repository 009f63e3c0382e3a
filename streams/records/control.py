"""What running agents may do: who asks for it, what is told to agents, and questions that a person answers."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

ScopeKind = Literal["global", "tenant", "agent", "release", "tool", "agent_tool"]
ControlState = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
ControlWant = Literal["pause", "throttle", "deny_tool", "close", "force_open", "disable", "measure"]
OnStale = Literal["keep", "expire", "close"]


_HASHES = 1 << 64
_EPOCH = datetime.fromtimestamp(0, UTC)


def held_back(session: str, ratio: float) -> bool:
    """Whether a throttle of this ratio holds this session back: always the same answer, in every process.

    Who is held back at a ratio is so at each higher one.
    """
    if ratio <= 0.0:
        return False
    if ratio >= 1.0:
        return True
    digest = blake2b(session.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) < ratio * _HASHES


class Scope(Struct, frozen=True, omit_defaults=True):
    """Whom a control is about. `id` is the release, the tool or the tenant."""

    kind: ScopeKind
    agent: str = ""
    id: str = ""

    @property
    def key(self) -> str:
        """`global`, `tenant:acme`, `agent:bot`, `release:bot@2026.1`, `tool:refund`, `agent_tool:bot/refund`."""
        match self.kind:
            case "global":
                return "global"
            case "agent":
                return f"agent:{self.agent}"
            case "release":
                return f"release:{self.agent}@{self.id}"
            case "agent_tool":
                return f"agent_tool:{self.agent}/{self.id}"
        return f"{self.kind}:{self.id}"


class Limits(Struct, frozen=True, omit_defaults=True):
    max_steps: int | None = None
    tool_deny: tuple[str, ...] = ()


class Probe(Struct, frozen=True, omit_defaults=True):
    """Half open: this share of sessions goes ahead, and so many must be clean."""

    ratio: float = 0.05
    min_ok: int = 10
    since: datetime | None = None


class Beneath(Struct, frozen=True, omit_defaults=True):
    """What a person asked for in the same scope, milder than the lease above it: it holds when that is over."""

    ratio: float | None = None
    limits: Limits = Limits()
    not_after: datetime | None = None


class Control(Struct, frozen=True, tag="control", tag_field="record", omit_defaults=True, kw_only=True):
    """What agents are told about one scope. On `tocsin.control` under its scope's key; a tombstone removes it."""

    v: Literal[1] = 1
    scope: Scope
    state: ControlState
    ratio: float | None = None  # open: this share of sessions is held back; None: all; 0: none, only `limits` hold
    limits: Limits = Limits()
    reason: str = ""
    incident: str = ""
    ticket: str = ""
    actor: str = ""  # a person, or empty: a detector
    automatic: bool = False  # a lease; a person's stop never ends by itself
    seq: int  # of two about one scope the higher holds
    issued_at: datetime
    not_after: datetime | None = None
    on_stale: OnStale = "keep"
    probe: Probe | None = None
    beneath: Beneath | None = None
    sig: str = ""

    @property
    def active(self) -> bool:
        """Whether agents are told anything by it."""
        return self.state not in ("closed", "disabled")

    def like(self, other: Control) -> bool:
        """Whether they differ in nothing but when they were said and how long they hold."""
        return self._bare() == other._bare()

    def _bare(self) -> Control:
        beneath = replace(self.beneath, not_after=None) if self.beneath else None
        return replace(self, seq=0, issued_at=_EPOCH, not_after=None, sig="", beneath=beneath)

    @property
    def held(self) -> float:
        """The share of sessions that it holds back. What is only measured is the share that would be."""
        if not self.active:
            return 0.0
        if self.state == "half_open":
            return 1.0 - (self.probe or Probe()).ratio
        return 1.0 if self.ratio is None or self.state == "forced_open" else self.ratio

    def denies(self, session: str, tool: str = "") -> bool:
        """Whether this one session, or its call of `tool`, may not go on. Of its scope; `metrics_only` denies nothing."""
        if self.state == "metrics_only" or not self.active:
            return False
        return bool(tool and tool in self.limits.tool_deny) or held_back(session, self.held)


class ControlBeat(Struct, frozen=True, tag="control_beat", tag_field="record", omit_defaults=True):
    """The controller is there. Every five seconds under the key `heartbeat`."""

    at: datetime
    seq: int
    sig: str = ""


class ControlAsked(Struct, frozen=True, tag="control_asked", tag_field="record", omit_defaults=True, kw_only=True):
    """Somebody wants agents held back, or no longer: a detector through the book, or a person."""

    id: str  # of two with one id the second is an echo
    scope: Scope
    want: ControlWant
    at: datetime
    automatic: bool = False
    actor: str = ""
    source: str = ""
    reason: str = ""
    incident: str = ""
    ticket: str = ""
    ratio: float | None = None
    tools: tuple[str, ...] = ()
    until: datetime | None = None
    approve: bool = False  # a person has to approve first
    affected: float | None = None  # share of the agent's sessions that it stops, where it is known


class ApprovalAsked(Struct, frozen=True, tag="approval_asked", tag_field="record", omit_defaults=True, kw_only=True):
    """An agent, or Tocsin before a control, asks a person. Unanswered it expires, and nothing is done."""

    id: str
    action: str
    at: datetime
    until: datetime
    agent: str = ""
    session: str = ""
    reason: str = ""
    resource: str = ""
    incident: str = ""
    control: ControlAsked | None = None  # what happens once it is approved
    channel: str = ""


class ApprovalAnswered(Struct, frozen=True, tag="approval_answered", tag_field="record", omit_defaults=True):
    id: str
    answer: Literal["approved", "refused"]
    actor: str
    at: datetime
    source: str = ""


class ApprovalEnded(Struct, frozen=True, tag="approval_ended", tag_field="record"):
    """What was asked is no longer wanted: the question expires, and nothing is done."""

    id: str
    at: datetime
    why: str


class ControlGone(Struct, frozen=True, tag="control_gone", tag_field="record"):
    """Closed for so long that agents need not be told any more."""

    scope: Scope
    at: datetime


class Probed(Struct, frozen=True, tag="probed", tag_field="record"):
    """So many sessions went ahead and ended since a scope was half opened."""

    scope: Scope
    since: datetime  # when that was
    sessions: int
    at: datetime


class Approval(Struct, frozen=True, tag="approval", tag_field="record", omit_defaults=True):
    """A question as it stands from now on."""

    asked: ApprovalAsked
    state: Literal["pending", "approved", "refused", "expired"]
    at: datetime
    actor: str = ""
    source: str = ""
    why: str = ""  # it expired before its time


class ControlRefused(Struct, frozen=True, tag="control_refused", tag_field="record"):
    """A detector wanted something that was not done: only the history hears of it."""

    control: Control  # as it stands, with the reason why it stays
    source: str
