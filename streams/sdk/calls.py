"""One call of a model or a tool: asked of the breaker before, told as an event after, whatever became of it."""

from __future__ import annotations

import time
from contextvars import Token
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, ClassVar, Self

from ..records import (
    Activity,
    Effect,
    Error,
    LlmCalled,
    LlmCalledData,
    Money,
    Resource,
    Status,
    Tokens,
    Tool,
    ToolCalled,
    ToolCalledData,
)
from .careful import careful
from .fields import money
from .guarding import Guard
from .halting import AgentHalted
from .hashing import canonical
from .session import ENDS, Session, within, without
from .skeleton import error

HALTED = "AgentHalted"


class Call:
    """A context manager for threads and tasks. What it raises is what was raised within, or AgentHalted before."""

    waits: ClassVar[str]

    def __init__(self, session: Session, what: str, fields: dict[str, Any]) -> None:
        self.session, self.what, self.fields = session, what, fields
        self.id = session.new_id()
        self._status: Status | None = None
        self._began, self._tokens = 0.0, list[Token[Any]]()
        self._outer: Activity | None = None

    def __enter__(self) -> Self:
        self._checked()
        self._tokens.append(within(self.id))
        self._outer, self.session.activity = (
            self.session.activity,
            Activity(self.waits, self.what[:1024], datetime.now(UTC)),
        )
        self._began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None) -> None:
        told = {"duration_ms": int(1000 * (time.perf_counter() - self._began)), **self.fields}
        self.session.activity = self._outer
        without(self._tokens)
        status = self._status or Status.ok
        if raised is not None:
            status = _status(raised)
            told.setdefault("error", error(raised, self.session.emitter.errors))
        self.say(status, told)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, raised, at)

    def set(self, **fields: Any) -> None:
        """Further fields of the event, known only now."""
        self.fields.update(fields)

    @careful(None)
    def failed(self, why: Error | BaseException | str, status: Status | str = "error") -> None:
        """It did not raise, and still it did not work."""
        self._status = Status(status)
        if isinstance(why, BaseException):
            self.fields["error"] = error(why, self.session.emitter.errors)
        else:
            self.fields["error"] = why if isinstance(why, Error) else Error(f"{why}"[:1000])

    @careful(None)
    def cost(self, amount: Money | Any, currency: str = "USD") -> None:
        self.fields["cost"] = amount if isinstance(amount, Money) else money(amount, currency)

    def say(self, status: Status, told: dict[str, Any]) -> None:
        raise NotImplementedError

    def ask(self, guard: Guard) -> None:
        """Raises AgentHalted."""
        raise NotImplementedError

    def _checked(self) -> None:
        guard = self.session.guard
        if guard is None:
            return
        try:
            self.ask(guard)
        except AgentHalted as halted:
            self._refused(halted)
            raise
        except Exception as wrong:  # the breaker's own trouble never stops an agent
            self.session.emitter.failed(wrong)

    def _refused(self, halted: AgentHalted) -> None:
        """A heartbeat, not a denied permission: nobody was asked, and a stop of ours must not look like an agent that
        goes beyond its rights to those who watch denials. `breaker_seen` is the field for it.
        """
        self.session.heartbeat(
            "paused",
            breaker_seen=f"{halted.control_seq} {halted.scope}"[:1024],
            activity=Activity(self.waits, self.what[:1024], datetime.now(UTC)),
            numbers={"control_seq": float(halted.control_seq)},
        )


class ModelCall(Call):
    waits = "model"

    def __init__(self, session: Session, model: tuple[str, str], fields: dict[str, Any]) -> None:
        super().__init__(session, f"{model[0]}/{model[1]}", fields)
        self._provider, self._model = model

    @careful(None)
    def tokens(self, /, read: int, written: int, **more: int) -> None:
        """As the provider counts them: input includes the cache, output the reasoning. `cache_read`, `reasoning`, …"""
        self.fields["tokens"] = Tokens(read, written, **more)

    def ask(self, guard: Guard) -> None:
        guard.model()

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        """Raises AgentHalted when this call took the session beyond a limit of its own, unless something else is raised."""
        super().__exit__(kind, raised, at)
        guard, tokens, cost = self.session.guard, self.fields.get("tokens"), self.fields.get("cost")
        if guard is None:
            return
        try:
            guard.spent(
                tokens=tokens.input + tokens.output if isinstance(tokens, Tokens) else 0,
                cost=float(cost.amount) if isinstance(cost, Money) else 0.0,
            )
        except AgentHalted as halted:
            self._refused(halted)
            if raised is None:
                raise

    def say(self, status: Status, told: dict[str, Any]) -> None:
        self.session._call(  # noqa: SLF001 - of one piece
            LlmCalled, LlmCalledData, told, id=self.id, provider=self._provider, model=self._model, status=status
        )


class ToolCall(Call):
    waits = "tool"

    def __init__(self, session: Session, tool: Tool, args: Any, fields: dict[str, Any]) -> None:
        super().__init__(session, tool.name, fields)
        self._tool, self._args = tool, args
        if args is not None:
            self._hash("args_hash", args)

    @careful(None)
    def result(self, value: Any) -> None:
        """Only its hash, its size and whether there is anything in it are told."""
        self._hash("result_hash", value)
        self.fields.setdefault("result_bytes", len(canonical(value)))
        if value is None or value in ("", [], {}):
            self.fields.setdefault("empty", True)

    @careful(None)
    def effect(self, /, kind: str, target: str | None = None, **more: Any) -> None:
        """What it changed outside: `reversible`, `customer_data`, `ref`."""
        self.fields["effect"] = Effect(kind, target, **more)

    @careful(None)
    def touched(self, uri: str, op: str = "read") -> None:
        self.fields.setdefault("resources", []).append(Resource(uri, op))

    def ask(self, guard: Guard) -> None:
        guard.tool(self._tool.name, self._args)

    def say(self, status: Status, told: dict[str, Any]) -> None:
        self.session._call(ToolCalled, ToolCalledData, told, id=self.id, tool=self._tool, status=status)  # noqa: SLF001

    @careful(None)
    def _hash(self, name: str, value: Any) -> None:
        self.fields.setdefault(name, self.session.emitter.hash(value))


def _status(raised: BaseException) -> Status:
    if isinstance(raised, ENDS):
        return Status.cancelled
    if isinstance(raised, TimeoutError):
        return Status.timeout
    return Status.denied if isinstance(raised, PermissionError | AgentHalted) else Status.error  # NotApproved is one
