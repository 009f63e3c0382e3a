"""A tau2-bench simulation as our events: what an agent would have sent while it ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from ..records import (
    Agent,
    Ctx,
    Error,
    EvalScored,
    EvalScoredData,
    Evaluator,
    Event,
    LlmCalled,
    LlmCalledData,
    Money,
    SessionEnded,
    SessionEndedData,
    SessionStarted,
    SessionStartedData,
    SessionStatus,
    Status,
    Task,
    Tokens,
    Tool,
    ToolCalled,
    ToolCalledData,
    Totals,
)

TEXT_CHARS_MAX = 16_384
NOTHING = frozenset(("", "null", "[]", "{}", '""'))  # what a tool answers that found nothing
PASSED = 1.0


class Run(NamedTuple):
    """What a run file says about all of its simulations. The file's name begins with the release."""

    stem: str
    release: str
    agent: str
    model: str
    commit: str
    environment: str


class Simulation(NamedTuple):
    """One simulation, converted."""

    events: list[Event]
    unpriced: bool  # cost 0 beside real tokens: nobody knows the price, it is not free


def run_of(stem: str, info: Mapping[str, Any], environment: str = "prod") -> Run:
    release, _, domain = stem.partition("_")
    agent = _below(info, "environment_info", "domain_name") or domain or stem
    model = _below(info, "agent_info", "llm") or "unknown"
    return Run(stem, release, agent, model, str(info.get("git_commit") or "")[:12], environment)


def _below(info: Mapping[str, Any], name: str, key: str) -> str:
    below = info.get(name)
    found = below.get(key) if isinstance(below, Mapping) else None
    return found if isinstance(found, str) else ""


def convert(simulation: Mapping[str, Any], run: Run) -> Simulation:
    """Raises KeyError, TypeError or ValueError for what is not a simulation."""
    session = f"{run.stem}:{simulation['id']}"
    ctx = Ctx(
        session_id=session,
        run_id=f"trial-{simulation.get('trial') or 0}",
        agent=Agent(run.agent, run.release),
        task_id=_short(simulation.get("task_id")),
        env=run.environment,
    )
    work = _Work(ctx, run, list(_messages(simulation)))
    started_at = moment(simulation["start_time"])
    called = [event for at, message in work.messages for event in work.said(at, message)]
    ended_at = max([moment(simulation["end_time"]), started_at, *(event.time for event in called)])
    events = [work.started(simulation, started_at), *called, work.ended(simulation, ended_at, called)]
    events += work.evaluated(simulation.get("reward_info") or {}, simulation.get("termination_reason"), ended_at)
    priced = any(isinstance(event, LlmCalled) and event.data.cost is not None for event in called)
    used = any(isinstance(event, LlmCalled) and event.data.tokens is not None for event in called)
    return Simulation(sorted(events, key=lambda event: event.time), used and not priced)


class _Work:
    """Makes the events of one simulation; an event's id is a hash of session, ordinal and content."""

    def __init__(self, ctx: Ctx, run: Run, messages: list[tuple[datetime, Mapping[str, Any]]]) -> None:
        self.ctx, self.run, self.messages = ctx, run, messages
        self.calls = {call["id"]: call for _, m in messages for call in m.get("tool_calls") or ()}
        self.ordinal = 0

    def said(self, at: datetime, message: Mapping[str, Any]) -> Iterator[Event]:
        """The agent's model calls and everybody's tool calls; what the simulated user's model did is not the agent's."""
        if message["role"] == "assistant" and message.get("usage"):
            yield self._model(at, message)
        elif message["role"] == "tool":
            yield self._tool(at, message)

    def started(self, simulation: Mapping[str, Any], at: datetime) -> Event:
        task = Task(id=_short(simulation.get("task_id")))
        data = SessionStartedData(ctx=self.ctx, trigger="tau2-bench", task=task, model=self.run.model)
        return self._event(SessionStarted, at, data)

    def ended(self, simulation: Mapping[str, Any], at: datetime, called: list[Event]) -> Event:
        reward = (simulation.get("reward_info") or {}).get("reward")
        status = SessionStatus.unknown
        if reward is not None:
            status = SessionStatus.succeeded if reward >= PASSED else SessionStatus.failed
        tools = [event.data for event in called if isinstance(event, ToolCalled)]
        models = [event.data for event in called if isinstance(event, LlmCalled)]
        totals = Totals(
            llm_calls=len(models),
            tool_calls=len(tools),
            tool_errors=sum(tool.status == Status.error for tool in tools),
            tokens=sum(model.tokens.input + model.tokens.output for model in models if model.tokens),
            cost=_money(simulation.get("agent_cost")),
        )
        duration = simulation.get("duration")
        data = SessionEndedData(
            ctx=self.ctx,
            status=status,
            stop_reason=_short(simulation.get("termination_reason")),
            totals=totals,
            duration_ms=None if duration is None else round(duration * 1000),
        )
        return self._event(SessionEnded, at, data)

    def evaluated(self, reward: Mapping[str, Any], ended: str | None, at: datetime) -> Iterator[Event]:
        """Each component of the reward is an evaluator. Without a breakdown the evaluators did not evaluate."""
        if not reward:
            return
        breakdown = reward.get("reward_breakdown")
        for name, score in (breakdown or {}).items():
            passed = score >= PASSED
            data = EvalScoredData(
                ctx=self.ctx,
                evaluator=self._evaluator(name),
                status=Status.ok,
                score=score,
                passed=passed,
                threshold=1.0,
            )
            yield self._event(EvalScored, at, data)
        if breakdown is not None:
            return
        note = (reward.get("info") or {}).get("note")
        error = Error(type=_short(ended), template=str(note)[:TEXT_CHARS_MAX] if note else None)
        for name in reward.get("reward_basis") or ("reward",):
            data = EvalScoredData(ctx=self.ctx, evaluator=self._evaluator(name), status=Status.error, error=error)
            yield self._event(EvalScored, at, data)

    def _evaluator(self, name: str) -> Evaluator:
        return Evaluator(name, version=self.run.commit)

    def _model(self, at: datetime, message: Mapping[str, Any]) -> Event:
        usage = message["usage"]
        self.ordinal += 1
        data = LlmCalledData(
            ctx=self.ctx,
            call_id=f"turn-{message.get('turn_idx', self.ordinal)}",
            provider=provider(self.run.model),
            model=self.run.model,
            status=Status.ok,
            tokens=Tokens(usage["prompt_tokens"], usage["completion_tokens"]),
            cost=_money(message.get("cost")),
        )
        return self._event(LlmCalled, at, data)

    def _tool(self, at: datetime, message: Mapping[str, Any]) -> Event:
        call = self.calls.get(message["id"]) or {}
        failed, content = bool(message.get("error")), message.get("content")
        text = content if isinstance(content, str) or content is None else canonical(content).decode()
        raw = None if text is None else text.encode()
        requestor = message.get("requestor") or call.get("requestor") or "assistant"
        data = ToolCalledData(
            ctx=self.ctx,
            call_id=message["id"],
            tool=Tool(call.get("name") or "unknown"),
            status=Status.error if failed else Status.ok,
            by="agent" if requestor == "assistant" else "user",
            args_hash=digest(canonical(call["arguments"])) if "arguments" in call else None,
            result_hash=None if raw is None else digest(raw),
            result_bytes=None if raw is None else len(raw),
            empty=None if failed or text is None else text.strip() in NOTHING,
            error=Error("tool_error", text[:TEXT_CHARS_MAX] if text else None) if failed else None,
        )
        return self._event(ToolCalled, at, data)

    def _event(self, kind: Any, at: datetime, data: Any) -> Event:
        self.ordinal += 1
        content = msgspec.json.encode(data, order="deterministic")
        identity = digest(f"{self.ctx.session_id}\x1f{self.ordinal}\x1f".encode() + content)
        made: Event = kind(specversion="1.0", id=identity, source=f"tau2-bench/{self.run.stem}", time=at, data=data)
        return made


def moment(text: str) -> datetime:
    """tau2 writes times without a zone; they are UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def provider(model: str) -> str:
    """As LiteLLM, tau2's model client, names models: `provider/model`, or OpenAI's without a prefix."""
    prefix, slash, _ = model.partition("/")
    if slash:
        return prefix
    return "openai" if model.removeprefix("ft:").startswith(("gpt", "o1", "o3", "o4")) else "unknown"


def canonical(value: Any) -> bytes:
    """The same bytes for the same arguments, whatever the order of their names."""
    return msgspec.json.encode(value, order="deterministic")


def digest(value: bytes) -> str:
    return blake2b(value, digest_size=16).hexdigest()


def _messages(simulation: Mapping[str, Any]) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    """Every message with its time; several tool results may come wrapped in one."""
    at = moment(simulation["start_time"])
    for message in simulation.get("messages") or ():
        at = moment(message["timestamp"]) if message.get("timestamp") else at
        for each in message.get("tool_messages") or (message,):
            yield (moment(each["timestamp"]) if each.get("timestamp") else at), each


def _money(amount: float | None) -> Money | None:
    """Zero is not a price: tau2 writes it for models whose price it does not know."""
    return Money(Decimal(str(amount)), source="local") if amount else None


def _short(value: Any) -> str | None:
    return None if value is None else str(value)[:1024]
