"""What a policy can say: the shapes of its parts. `policy.py` reads and checks them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .detect.detector import Chosen
from .records import Power, Severity

Control = Literal["", "throttle", "pause", "deny_tool"]
Answer = Literal["hold", "warn", "block"]
Kind = Literal["detector", "CODE", "LLM", "HUMAN"]
Share = Annotated[float, Meta(gt=0, lt=1)]
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
    """What one gate believes; see records.GateValues for what each means."""

    sessions_min: AtLeastOne = 20
    severities: list[Severity] = field(default_factory=lambda: ["critical", "high"])
    inputs_age_s_max: Positive = 5.0
    lag_s_max: Positive = 300.0
    valid_s: Positive = 60.0
    never_override: list[str] = []
    alpha: Share = 0.05
    beta: Share = 0.05
    tolerance: Annotated[float, Meta(ge=0, le=10)] = 0.0
    margin: Annotated[float, Meta(gt=1, le=20)] = 2.0
    objective: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    clean_min: AtLeastOne = 59
    coverage_min: Annotated[float, Meta(ge=0, le=1)] = 0.0
    cases_min: Annotated[int, Meta(ge=0, le=10**6)] = 0
    measures: dict[str, Annotated[float, Meta(gt=1, le=100)]] = {}
    on_insufficient: Answer = "hold"
    on_unverified: Answer = "hold"
    max_wait_s: Positive = 86_400.0
    sla_s: Positive = 1_209_600.0
    override_s: Positive = 86_400.0
    override_s_max: Positive = 604_800.0
    shadow: bool = False


class Grant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What evaluators may cause to begin with, by the word of a person: the first that matches holds."""

    evaluators: Annotated[list[str], Meta(min_length=1)]  # globs of ids: LLM:grounded@*
    power: Power
    by: Annotated[str, Meta(min_length=1)]
    reason: str = ""


class Calibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What evaluators may cause that nobody has decided on, and how that changes."""

    start: dict[Kind, Power] = field(
        default_factory=lambda: {"detector": "block", "CODE": "block", "HUMAN": "block", "LLM": "ticket"}
    )
    grants: list[Grant] = []
    half_life_d: Positive = 90.0
    probation_d: Positive = 30.0
    cooldown_d: Positive = 14.0
    audit_share: Annotated[float, Meta(ge=0, le=1)] = 0.01
    audit_weekly_min: AtLeastOne = 5
    bulk_max: AtLeastOne = 10  # decisions of one person within a minute

    @property
    def starts(self) -> dict[str, Power]:
        """As `records.power.starting` reads it: what persons granted, by glob, before what each kind starts with."""
        granted: dict[str, Power] = {}
        for grant in self.grants:
            for glob in grant.evaluators:
                granted.setdefault(glob if ":" in glob else f"*:{glob}", grant.power)
        kinds: dict[str, Power] = {str(kind): power for kind, power in self.start.items()}
        return {**granted, **kinds}


class Fixing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a fix counts as verified in a release that contains it."""

    calls_min: AtLeastOne = 50  # of the tool whose errors it was about, without the trouble being seen
    runs_min: AtLeastOne = 3  # of its regression case, most of them passed


class Person(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person and what other systems call them."""

    name: Annotated[str, Meta(min_length=1)]
    jira: list[str] = []  # account ids, names
    slack: list[str] = []  # U…
    email: list[str] = []
    github: list[str] = []


class Repository(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which agent a repository of GitHub deploys. Its workflows cannot say so themselves: they would name another."""

    name: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$")]  # owner/name
    agent: Annotated[str, Meta(min_length=1)]
    gate: str = "promotion"
    release: Literal["sha", "ref"] = "sha"  # what names the release: the commit, or the tag or branch
    environments: dict[str, str] = {}  # GitHub's name -> ours; those that are not here have the same
    checks: str = ""  # an environment: each commit shows what the gate says of it there


class Breaker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far detection may hold agents back by itself."""

    lease_s: Annotated[float, Meta(gt=0, le=900)] = 300.0
    blast_radius_max: Share = 0.3  # of an agent's sessions; beyond it only a page
    throttle_share: Share = 0.5
    probe_share: Share = 0.05
    probe_ok_min: AtLeastOne = 10
    person_s: Positive = 3_600.0  # how long what a page's button asks for holds
    approve: list[str] = []  # globs of detectors whose control a person has to approve first
    approve_s: Positive = 1_800.0  # unanswered so long, nothing is done


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
