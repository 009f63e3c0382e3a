"""What a policy can say: the shapes of its parts. `policy.py` reads and checks them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .detect.detector import Chosen
from .records import Severity

Control = Literal["", "throttle", "pause"]
Positive = Annotated[float, Meta(gt=0, le=1e9)]
AtLeastOne = Annotated[int, Meta(ge=1, le=10**9)]
PRIORITIES: dict[Severity, str] = {"critical": "Highest", "high": "High", "medium": "Medium", "low": "Low"}


class Time(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lateness_s: Annotated[float, Meta(ge=0, le=1e9)] = 30.0
    idle_s: Positive = 60.0
    tick_s: Positive = 1.0
    bucket_s: AtLeastOne = 10  # facts are summed per bucket of event time
    minute_s: AtLeastOne = 60  # sessions are counted per closed minute


class Level(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told when nobody has answered for `after_s` since the level before. What is empty is the owner's own."""

    after_s: Positive = 900.0
    channel: str = ""
    mention: str = ""
    oncall: str = ""
    pagerduty: str = ""
    webhook: str = ""


class Owner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is owed pages and tickets. Patterns are shell globs; the first owner that matches wins."""

    name: Annotated[str, Meta(min_length=1)]
    channel: str = ""  # Slack channel id; empty: the default channel
    mention: str = ""  # U… a person, S… a user group
    oncall: str = ""  # rota:<name>, pagerduty:<schedule>, group:<handle>, email:<address>; asked when the page is sent
    pagerduty: str = ""  # a service of TOCSIN_PAGERDUTY_KEYS: pages go there too
    webhook: str = ""  # a name of TOCSIN_WEBHOOKS: pages go there too
    project: str = ""  # Jira project; empty: the default project
    issue_type: str = ""
    priorities: dict[Severity, str] = {}
    fields: dict[str, Any] = {}  # of its tickets, as Jira's API takes them
    escalation: list[Level] = []  # instead of the policy's
    agents: list[str] = []
    tools: list[str] = []
    evaluators: list[str] = []
    teams: list[str] = []  # attribution.operator.team in the events


class Routing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    fallback: str = "platform"
    channel: str = "C0B5YFEQWO"
    project: str = "OPS"
    issue_type: str = "Task"
    priorities: dict[Severity, str] = field(default_factory=lambda: dict(PRIORITIES))


class Grouping(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    window_s: Positive = 600.0
    members_min: AtLeastOne = 3


class Storm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    per_minute_max: AtLeastOne = 30  # incidents told per owner and minute, then one umbrella


class Quiet(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after_s: Positive = 1800.0  # of the agent's work, in event time, without the trouble
    close_s: Positive = 604_800.0  # nobody answered the proposal to close it


class Upgrade(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was seen so often is more severe."""

    to: Severity
    detectors: list[str] = field(default_factory=lambda: ["*"])
    of: Severity | None = None
    count: Annotated[int, Meta(ge=0)] = 0
    sessions: Annotated[int, Meta(ge=0, le=20)] = 0


class Promise(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    page_s: Positive = 60.0
    ticket_s: Positive = 300.0


class Canary(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    every_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    channel: str = ""
    project: str = ""


class Rota(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is on call when: people take turns, each for `shift_h` hours, from `begins` on."""

    name: Annotated[str, Meta(min_length=1)]
    people: Annotated[list[str], Meta(min_length=1)]  # U… of Slack, in their order
    begins: str  # a moment with its offset: 2026-01-05T09:00:00+01:00
    shift_h: Positive = 168.0


class Gate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sessions_min: AtLeastOne = 20
    severities: list[Severity] = field(default_factory=lambda: ["critical", "high"])
    inputs_age_s_max: Positive = 5.0
    lag_s_max: Positive = 300.0
    valid_s: Positive = 60.0


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which CloudEvents sources may speak for which agents. Globs. No rule at all: everybody may."""

    source: str
    agents: list[str] = field(default_factory=lambda: ["*"])


class Stanza(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every detector has; its own thresholds stand beside, and what differs for some agents below."""

    severity: Severity
    runbook: str = ""
    dry_run: bool = False
    owner: str = ""  # who is owed its findings, whoever owns the agent
    control: Control = ""  # what is wanted besides a page: agents that ask are throttled or paused
    thresholds: Any = None
    overrides: tuple[tuple[str, Chosen[Any]], ...] = ()
