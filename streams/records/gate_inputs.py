"""Everything a gate may look at: what is read at one moment, and what one question's decision sees of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

from .control import Control
from .gate import Freeze, GateIncident, GateQuestion, Override
from .power import Power
from .stream import Measure


class GateFix(Struct, frozen=True, omit_defaults=True):
    """What is known of an incident's fix in a release that contains it."""

    incident: str
    agent: str
    release: str
    state: Literal["unverified", "verified", "failed", "unreliable"]
    how: str = ""  # case, calls
    detail: dict[str, Any] = {}


class GateCell(Struct, frozen=True, array_like=True):
    """Bad sessions of the minutes in which the candidate had this share of the sessions of both arms."""

    share: float
    candidate: int
    baseline: int


class GateShare(Struct, frozen=True, array_like=True):
    """Sessions of the minutes for which this share was declared for the candidate."""

    declared: float
    candidate: int
    baseline: int


class GateRelease(Struct, frozen=True, omit_defaults=True, gc=False):
    agent: str
    release: str
    first_seen: datetime
    registered_at: datetime | None = None
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    commit: str = ""
    author: str = ""
    fixes: tuple[str, ...] = ()
    registered: bool = False  # by CI; otherwise it was only seen
    order: int | None = None  # a build number: says what came before, where no parents are named
    implied: str = ""  # nobody named it: it is the release of this name, run with another prompt, model or tools
    conflict: tuple[str, ...] = ()  # what it was registered as, where CI said two different things of one name


class GateExposure(Struct, frozen=True, gc=False):
    agent: str
    release: str
    environment: str
    sessions: int
    bad: int


class GateComparison(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One release beside another in one environment, of the minutes since the first of its sessions."""

    agent: str
    release: str
    environment: str
    baseline: str
    sessions: int = 0  # at the same time: of windows in which both had some
    bad: int = 0
    baseline_sessions: int = 0
    baseline_bad: int = 0
    cells: tuple[GateCell, ...] = ()
    shares: tuple[GateShare, ...] = ()
    measures: dict[str, tuple[Measure, Measure]] = {}
    ended: int = 0
    evaluated: int = 0
    per_minute: float = 0.0  # sessions of the release, lately


class GateServing(Struct, frozen=True, array_like=True):
    """What serves in an environment: what was promoted last, otherwise what most sessions ran in lately."""

    agent: str
    environment: str
    releases: tuple[str, ...]  # the first is the one; the others follow where that is the candidate


class GateCases(Struct, frozen=True, array_like=True):
    """Regression cases of a release, each by the majority of at least three runs."""

    agent: str
    release: str
    passed: int
    failed: int


class GateSnapshot(Struct, frozen=True):
    """Everything every gate may look at, read in one transaction."""

    version: int
    releases: tuple[GateRelease, ...]
    exposure: tuple[GateExposure, ...]
    incidents: tuple[GateIncident, ...]
    powers: dict[str, Power] = {}  # by evaluator id; who is not here has what the policy starts with
    fixed: tuple[GateFix, ...] = ()
    overrides: tuple[Override, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    controls: tuple[Control, ...] = ()  # those that are not closed
    tickets_away: bool = False  # what people decided lately may be unknown
    comparisons: tuple[GateComparison, ...] = ()
    compares: bool = False  # what is not among the comparisons has not been counted yet
    serving: tuple[GateServing, ...] = ()
    cases: tuple[GateCases, ...] = ()
    cut: tuple[str, ...] = ()  # agents with more incidents than are read; `` is everybody


class GateInputs(Struct, frozen=True):
    """Everything a decision may look at, so that it can be replayed from what was stored."""

    question: GateQuestion
    sessions: int
    bad: int
    baseline_sessions: int
    known: bool  # somebody registered the release or a session ran in it
    newer: tuple[str, ...]
    incidents: tuple[GateIncident, ...]
    watermark: datetime | None
    read_at: datetime  # when the inputs were last read completely
    evidence: dict[str, str] = field(default_factory=dict)
    ambiguous: tuple[str, ...] = ()  # releases that share the alias asked for
    cyclic: bool = False  # the graph of releases turns in a circle here
    lineage: tuple[str, ...] = ()  # ancestors, the nearest first
    author: str = ""
    fixes: tuple[str, ...] = ()  # what the release declares to fix
    baseline_bad: int = 0
    cells: tuple[GateCell, ...] = ()  # candidate against baseline, at the same time
    shares: tuple[GateShare, ...] = ()
    measures: dict[str, tuple[Measure, Measure]] = {}  # candidate, baseline
    ended: int = 0
    evaluated: int = 0
    powers: dict[str, Power] = {}  # of the judges of these incidents
    fixed: tuple[GateFix, ...] = ()
    overrides: tuple[Override, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    controls: tuple[Control, ...] = ()
    tickets_away: bool = False
    serving: str = ""  # what serves here; only what is bad there as well is no worse
    uncompared: bool = False  # the baseline asked for has not been counted beside the release yet
    incidents_cut: bool = False  # there are more incidents than were read
    cases_passed: int = 0
    cases_failed: int = 0
    per_minute: float = 0.0  # sessions of the release, lately
