"""What every detector has: thresholds, per agent where the policy says so; severity, runbook, how far it is known."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from msgspec import Struct

from ..records import SEVERITIES, Ctx, Finding, Severity
from ..step import Order
from .agents import CACHE_MAX, AgentRules, Given, matches
from .fingerprint import fingerprint

T = TypeVar("T", bound=Struct)


class Nothing(Struct, frozen=True, array_like=True):
    """The memory of deciders that remember nothing."""


class Chosen(NamedTuple, Generic[T]):
    """What holds for one agent."""

    thresholds: T
    severity: Severity
    dry_run: bool


class Detector(Generic[T]):
    """One kind of trouble. Subclasses say what they remember, what they read, and `step`.

    `only` (session detectors): bits of `traits.py`; a call without any of them neither changes the memory nor is told,
    so the loop leaves it out. `first`: the same, as long as nothing is remembered. `kinds` (scope detectors): the kinds
    of facts that are read; `gathered`: all of a bucket as one fact, once it is over, and its key is a function of kind,
    subject, and which of the sums in `by_sums` there are. `of_root`: its memory is the root session's, which also hears the subagents' events.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    memory: ClassVar[Any] = Nothing
    reads: tuple[type, ...]
    order: Order = "free"
    only: ClassVar[int] = 0
    by_session: ClassVar[bool] = False  # keyed by the session: the loop need not ask for the key
    kinds: ClassVar[tuple[str, ...]] = ()
    by_sums: ClassVar[tuple[str, ...]] = ()
    gathered: ClassVar[bool] = False
    of_root: ClassVar[bool] = False
    severity: Severity
    runbook: ClassVar[str]  # three lines
    limits: ClassVar[type]
    minimum: ClassVar[str] = "none: absolute limits"  # the smallest sample, and what holds before it
    false_alarms: ClassVar[str] = ""  # the rate, and how it was measured

    def __init__(
        self,
        thresholds: T | None = None,
        severity: Severity | None = None,
        given: Given | None = None,
        overrides: tuple[tuple[str, Chosen[T]], ...] = (),
        *,
        dry_run: bool = False,
        control: str = "",
    ) -> None:
        self.thresholds: T = thresholds if thresholds is not None else self.limits()
        self.severity = severity or type(self).severity
        self.given = given or Given()
        self.dry_run, self.control = dry_run, control
        self._overrides = overrides
        self._usual: Chosen[T] = Chosen(self.thresholds, self.severity, dry_run)
        self._chosen: dict[str, Chosen[T]] = {}

    @property
    def first(self) -> int:
        return 0

    def chosen(self, agent: str) -> Chosen[T]:
        """Thresholds, severity and trial of `agent`: the first override that matches, or what holds for all."""
        if not self._overrides:
            return self._usual
        found = self._chosen.get(agent)
        if found is None:
            found = next((one for glob, one in self._overrides if matches(agent, (glob,))), self._usual)
            if len(self._chosen) >= CACHE_MAX:
                self._chosen.clear()
            self._chosen[agent] = found
        return found

    def limits_for(self, agent: str) -> T:
        return self.chosen(agent).thresholds if self._overrides else self.thresholds

    def rules(self, agent: str) -> AgentRules:
        return self.given.rules(agent)

    def found(self, subject: dict[str, str], title: str, **more: Any) -> Finding:
        """A finding about `subject`, whose values in order are the fingerprint. Severity: the agent's, unless given."""
        more.setdefault("severity", self.chosen(subject.get("agent", "")).severity)
        identity = more.pop("identity", tuple(subject.values()))
        return Finding(
            detector=self.name,
            version=self.version,
            fingerprint=fingerprint(self.name, *identity),
            subject=subject,
            title=title,
            **more,
        )


class SessionDetector(Detector[T]):
    by_session = True

    def key(self, record: Any) -> str | None:
        ctx: Ctx = record.data.ctx
        return ctx.root if self.of_root else ctx.session_id


def milder(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=SEVERITIES.index)


def graver(one: Severity, other: Severity) -> Severity:
    return min(one, other, key=SEVERITIES.index)


def releases_of(ctx: Ctx) -> tuple[str, ...]:
    return (ctx.agent.version,) if ctx.agent.version else ()
