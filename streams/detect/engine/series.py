"""The operating figures of agents, as Prometheus wants them: few labels, whatever agents call their tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram

from ..methods.sketch import value
from ..ports import Measured

WHO = ("agent", "release", "environment")
OTHER = "other"
AGENTS_MAX = 200  # agents, releases and environments; the rest is one
NAMES_MAX = 20  # tools, models and evaluators of one agent; the rest is one
EARNED_AT = 20  # calls until a name has a series of its own: made-up names never get there
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
NANO = 10**9

Who = tuple[str, ...]


class Names:
    """Which names have earned a label."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        self._earned: dict[tuple[str, str], set[str]] = {}

    def label(self, what: str, agent: str, name: str, count: int) -> str:
        earned = self._earned.setdefault((what, agent), set())
        if name in earned:
            return name
        if len(earned) >= NAMES_MAX:
            return OTHER
        counts = self._counts.setdefault((what, agent), {})
        counts[name] = counts.get(name, 0) + count
        if counts[name] >= EARNED_AT:
            earned.add(name)
            del counts[name]
            return name
        if len(counts) > 10 * NAMES_MAX:
            counts.clear()
        return OTHER


class AgentSeries:
    """Sessions, models, tools, evaluations and feedback per agent, release and environment. Never a session or user."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._names, self._known = Names(), set[Who]()
        self.sessions = Counter("tocsin_agent_sessions", "Sessions by status", [*WHO, "status"], registry=registry)
        self.session_s = Histogram(
            "tocsin_agent_session_seconds", "How long sessions took", WHO, registry=registry, buckets=SECONDS
        )
        self.runs = Counter("tocsin_agent_runs", "Units of work by kind", [*WHO, "kind"], registry=registry)
        self.tokens = Counter("tocsin_agent_tokens", "Tokens by kind", [*WHO, "model", "kind"], registry=registry)
        self.cost = Counter("tocsin_agent_cost", "Currency units spent", [*WHO, "model"], registry=registry)
        self.models = Counter(
            "tocsin_agent_model_calls", "Calls of models", [*WHO, "model", "status"], registry=registry
        )
        self.model_s = Histogram(
            "tocsin_agent_model_seconds", "How long model calls took", WHO, registry=registry, buckets=SECONDS
        )
        self.tools = Counter("tocsin_agent_tool_runs", "Calls of tools", [*WHO, "tool", "status"], registry=registry)
        self.tool_s = Histogram(
            "tocsin_agent_tool_seconds", "How long calls took", [*WHO, "tool"], registry=registry, buckets=SECONDS
        )
        self.evaluations = Counter(
            "tocsin_agent_evaluations", "Evaluations by result", [*WHO, "evaluator", "result"], registry=registry
        )
        self.feedback = Counter("tocsin_agent_feedback", "What people said", [*WHO, "feedback"], registry=registry)
        self._takes = {
            "session": self._session,
            "model": self._model,
            "tool": self._tool,
            "evaluation": self._evaluation,
            "feedback": self._feedback,
        }

    def take(self, measured: Iterable[Measured]) -> None:
        for one in measured:
            self._takes[one.kind](one.subject, one.sums)

    def _who(self, agent: str, release: str, environment: str) -> Who:
        who = (agent, release, environment)
        if who in self._known:
            return who
        if len(self._known) >= AGENTS_MAX:
            return (OTHER, "", OTHER)
        self._known.add(who)
        return who

    def _session(self, subject: Who, sums: Mapping[str, int]) -> None:
        who = self._who(*subject[:3])
        for status in ("started", "succeeded", "failed", "cancelled", "timed_out", "halted", "unknown", OTHER):
            if status in sums:
                self.sessions.labels(*who, status).inc(sums[status])
        _observe(self.session_s, who, sums)

    def _model(self, subject: Who, sums: Mapping[str, int]) -> None:
        who, calls = self._who(*subject[:3]), sums.get("calls", 0)
        model = self._names.label("model", who[0], subject[4], calls)
        errors = sums.get("errors", 0)
        self.runs.labels(*who, "model").inc(calls)
        self.models.labels(*who, model, "ok").inc(max(0, calls - errors))
        if errors:
            self.models.labels(*who, model, "error").inc(errors)
        for kind in ("input", "output", "cached", "reasoning"):
            if sums.get(kind):
                self.tokens.labels(*who, model, kind).inc(sums[kind])
        if sums.get("nano"):
            self.cost.labels(*who, model).inc(sums["nano"] / NANO)
        _observe(self.model_s, who, sums)

    def _tool(self, subject: Who, sums: Mapping[str, int]) -> None:
        who, calls = self._who(*subject[:3]), sums.get("calls", 0)
        tool = self._names.label("tool", who[0], subject[3], calls)
        self.runs.labels(*who, "tool").inc(calls)
        rest = calls
        for status in ("error", "timeout", "denied", "cancelled", OTHER):
            if sums.get(status):
                self.tools.labels(*who, tool, status).inc(sums[status])
                rest -= sums[status]
        if rest > 0:
            self.tools.labels(*who, tool, "ok").inc(rest)
        _observe(self.tool_s, (*who, tool), sums)

    def _evaluation(self, subject: Who, sums: Mapping[str, int]) -> None:
        agent, evaluator, release, environment = subject
        who = self._who(agent, release, environment)
        counts = {result: sums[result] for result in ("passed", "failed", "broken", "unscored") if sums.get(result)}
        name = self._names.label("evaluator", who[0], evaluator, sum(counts.values()))
        for result, count in counts.items():
            self.runs.labels(*who, "evaluation").inc(count)
            self.evaluations.labels(*who, name, result).inc(count)

    def _feedback(self, subject: Who, sums: Mapping[str, int]) -> None:
        who = self._who(*subject[:3])
        for what in ("positive", "negative"):
            if sums.get(what):
                self.feedback.labels(*who, what).inc(sums[what])


def _observe(histogram: Histogram, labels: Who, sums: Mapping[str, int]) -> None:
    for name, count in sums.items():
        if name.startswith("ms#"):
            series = histogram.labels(*labels)
            for _ in range(count):
                series.observe(value(int(name[3:])) / 1000)
