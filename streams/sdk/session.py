"""A session and its calls, as context managers for threads and tasks alike. An exception becomes an event and goes on."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from ..records import (
    Activity,
    Actor,
    CheckpointRecorded,
    CheckpointRecordedData,
    Ctx,
    DecisionMade,
    DecisionMadeData,
    EvalScored,
    EvalScoredData,
    Evaluator,
    Event,
    Heartbeat,
    HeartbeatData,
    LlmCalled,
    LlmCalledData,
    PermissionChecked,
    PermissionCheckedData,
    PermissionResult,
    SessionEnded,
    SessionEndedData,
    SessionStarted,
    SessionStartedData,
    SessionStatus,
    Status,
    Tool,
    ToolCalled,
    ToolCalledData,
)
from . import carrying
from .careful import careful
from .carrying import Carried
from .fields import (
    BeatFields,
    CheckpointFields,
    DecisionFields,
    EndedFields,
    ModelFields,
    PermissionFields,
    ScoreFields,
    StartedFields,
    ToolFields,
    by_whom,
    evaluator_named,
    tool_named,
)
from .halting import AgentHalted

if TYPE_CHECKING:
    from .approving import Approval
    from .calls import ModelCall, ToolCall
    from .emitter import Emitter

log = logging.getLogger(__name__)

ENDS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
_session: ContextVar[Session | None] = ContextVar("tocsin session", default=None)
_event: ContextVar[str] = ContextVar("tocsin event", default="")


def current() -> Session | None:
    """The innermost open session of this thread or task."""
    return _session.get()


class Session:
    """Made by `Emitter.session`. Each method that names a kind of event emits one; none of them ever raises."""

    def __init__(self, emitter: Emitter, ctx: Ctx, came: Carried, started: StartedFields | None) -> None:
        self.emitter, self.ctx = emitter, ctx
        self.trace = carrying.new_trace(came.traceparent)
        self._came, self._started, self._root = came, started, ctx.root.encode(errors="replace")
        self._ids, self._order = itertools.count(1), itertools.count(1)
        self._name = secrets.token_hex(8)
        self._began, self._tokens = time.monotonic(), list[Token[Session | None]]()
        self._ended, self._status, self._reason = False, "", ""
        self.activity: Activity | None = None
        breaker, own = emitter.breaker, ctx.agent
        self.guard = breaker.guard(ctx.root, own.id, own.version) if breaker is not None else None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._tokens.append(_session.set(self))
        self.emitter.open.add(self)
        if self._started is not None:
            self._say(SessionStarted, SessionStartedData, self._started)
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> None:
        status, reason = _ending(raised)
        self.end(self._status or status, self._reason or reason)
        left(_session, self._tokens)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, raised, at)

    @property
    def id(self) -> str:
        return self.ctx.session_id

    def new_id(self) -> str:
        """Of an event, before it is said: what happens within it names it as its cause."""
        return f"{self._name}{self.emitter.fork}-{next(self._ids)}"

    def carried(self) -> Carried:
        """What another process needs, to go on with this work."""
        ctx, came = self.ctx, self._came
        trace = came.tracestate if came.traceparent else ""
        return Carried(ctx.session_id, ctx.root, _event.get(), ctx.depth or 0, self.trace, trace, came.baggage)

    def inject(self, headers: MutableMapping[str, Any]) -> None:
        carrying.inject(self.carried(), headers)

    def inject_environment(self, environ: MutableMapping[str, str]) -> None:
        carrying.inject_environment(self.carried(), environ)

    def inject_mcp(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return carrying.inject_mcp(self.carried(), params)

    def model(self, provider: str, model: str, **fields: Unpack[ModelFields]) -> ModelCall:
        """A call of a model: `with session.model("openai", "gpt-5") as call: ...; call.tokens(12, 40)`."""
        from .calls import ModelCall  # noqa: PLC0415 - they know each other

        return ModelCall(self, (provider, model), dict(fields))

    def tool(self, tool: Tool | str, args: Any = None, **fields: Unpack[ToolFields]) -> ToolCall:
        """A call of a tool. Of `args` only a hash is told."""
        from .calls import ToolCall  # noqa: PLC0415 - they know each other

        return ToolCall(self, tool_named(tool), args, dict(fields))

    @careful(None)
    def heartbeat(self, state: str = "running", **fields: Unpack[BeatFields]) -> None:
        """With the emitter's own numbers, so that what was lost is known where the events go."""
        numbers = self.emitter.numbers()
        own = {"emitter_lost": float(numbers.lost), "emitter_waiting_bytes": float(numbers.waiting)}
        told: dict[str, Any] = {"interval_s": self.emitter.heartbeat_s or 30.0, "activity": self.activity, **fields}
        if self.emitter.breaker is not None:
            told.setdefault("breaker_seen", self.emitter.breaker.seen)
        told["numbers"] = {**own, **(fields.get("numbers") or {})}
        self._say(Heartbeat, HeartbeatData, told, state=state)

    def beat(self) -> None:
        """By the emitter, of a session that is open."""
        self.heartbeat("waiting" if self.activity is not None else "running")

    @careful("")
    def llm_called(self, provider: str, model: str, status: Status | str = "ok", **fields: Unpack[ModelFields]) -> str:
        told: dict[str, Any] = {"provider": provider, "model": model, "status": Status(status)}
        return self._call(LlmCalled, LlmCalledData, fields, **told)

    @careful("")
    def tool_called(self, tool: Tool | str, status: Status | str = "ok", **fields: Unpack[ToolFields]) -> str:
        return self._call(ToolCalled, ToolCalledData, fields, tool=tool_named(tool), status=Status(status))

    @careful("")
    def decision_made(self, chosen: str, **fields: Unpack[DecisionFields]) -> str:
        name = self.new_id()
        return self._say(DecisionMade, DecisionMadeData, fields, id=name, decision_id=name, chosen=chosen)

    @careful("")
    def permission_checked(
        self,
        action: str,
        result: PermissionResult | str,
        decided_by: Actor | str,
        request_id: str = "",
        **fields: Unpack[PermissionFields],
    ) -> str:
        name = self.new_id()
        told: dict[str, Any] = {"action": action, "result": PermissionResult(result), "decided_by": by_whom(decided_by)}
        return self._say(
            PermissionChecked, PermissionCheckedData, fields, id=name, request_id=request_id or name, **told
        )

    @careful("")
    def eval_scored(
        self, evaluator: Evaluator | str, status: Status | str = "ok", **fields: Unpack[ScoreFields]
    ) -> str:
        told: dict[str, Any] = {"evaluator": evaluator_named(evaluator), "status": Status(status)}
        return self._say(EvalScored, EvalScoredData, fields, **told)

    @careful("")
    def checkpoint_recorded(
        self, checkpoint_id: str, op: str = "create", result: Status | str = "ok", **fields: Unpack[CheckpointFields]
    ) -> str:
        told: dict[str, Any] = {"checkpoint_id": checkpoint_id, "op": op, "result": Status(result)}
        return self._say(CheckpointRecorded, CheckpointRecordedData, fields, **told)

    @careful(None)
    def end(self, status: SessionStatus | str = "succeeded", reason: str = "", **fields: Unpack[EndedFields]) -> None:
        """Said once, by whoever is first: the agent, the end of its `with`, or the end of its process."""
        if self._ended:
            return
        self._ended = True
        self.emitter.open.discard(self)
        told: dict[str, Any] = {"duration_ms": int(1000 * (time.monotonic() - self._began)), **fields}
        if reason:
            told["stop_reason"] = reason[:1000]
        if self._started is not None:
            self._say(SessionEnded, SessionEndedData, told, status=SessionStatus(status))

    @careful(None)
    def fail(self, reason: str = "", status: SessionStatus | str = "failed") -> None:
        """The work did not succeed though nothing was raised: so it ends."""
        self._status, self._reason = f"{status}", reason

    def cancel(self, reason: str) -> None:
        self.end("cancelled", reason)

    def request_approval(self, action: str, *, wait_s: float = 1800.0, **about: str) -> Approval:
        """Asks a person and waits. Raises NotApproved unless they say yes: also when nobody can be asked."""
        from .approving import asked  # noqa: PLC0415 - they know each other

        return asked(self, action, wait_s, about)

    async def request_approval_async(self, action: str, *, wait_s: float = 1800.0, **about: str) -> Approval:
        return await asyncio.to_thread(self.request_approval, action, wait_s=wait_s, **about)

    def _call(self, kind: type[Event], data: type[Any], fields: Mapping[str, Any], **more: Any) -> str:
        name = more.pop("id", "") or self.new_id()
        return self._say(kind, data, fields, id=name, call_id=name, **more)

    def _say(self, kind: type[Event], data: type[Any], fields: Any, *, id: str = "", **more: Any) -> str:  # noqa: A002
        """Whatever the agent gave: it hears of mistakes in the log, never by an exception."""
        try:
            name = id or self.new_id()
            self.emitter.put(
                self._root,
                kind,
                id=name,
                subject=self.ctx.session_id[:1024],
                data=data(ctx=self.ctx, **more, **fields),
                correlationid=self.ctx.root[:1024],
                causationid=_event.get() or self._came.event_id or None,
                traceparent=self.trace,
                sequence=f"{next(self._order):012d}",
            )
        except Exception as error:
            self.emitter.failed(error)
            return ""
        return name


def left(variable: ContextVar[Any], tokens: list[Token[Any]]) -> None:
    """A generator may be closed in another context than it was begun in: then there is nothing to go back to."""
    try:
        variable.reset(tokens.pop())
    except (ValueError, IndexError):
        variable.set(None if variable is _session else "")


def within(event: str) -> Token[str]:
    return _event.set(event)


def without(tokens: list[Token[Any]]) -> None:
    left(_event, tokens)


def _ending(raised: BaseException | None) -> tuple[str, str]:
    if raised is None:
        return "succeeded", ""
    name = type(raised).__name__
    if isinstance(raised, AgentHalted):
        return "halted", f"{raised}"
    if isinstance(raised, ENDS):
        return "cancelled", name
    return ("timed_out" if isinstance(raised, TimeoutError) else "failed"), name
