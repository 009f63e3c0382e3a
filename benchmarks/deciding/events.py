"""Events as a busy partition has them: sessions in turn, a model call, then a tool call, now and then one that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.records import AgentEvent, Position

AGENTS = 20
STEP_S = 2
FAILS_EVERY = 30  # events of a session: one tool call in fifteen
BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
ARRIVES = timedelta(milliseconds=200)  # in Kafka, after it happened
TOOLS = ("search", "read", "write", "test")

SOURCE = "agent.events/1/0"

Kind = Callable[[int, int], bytes]
_decoder = msgspec.json.Decoder(AgentEvent)


def line(kind: str, session: int, n: int, **data: Any) -> bytes:
    """As it stands in the timeline."""
    at = BEGAN + timedelta(seconds=n * STEP_S)
    agent = {"id": f"agent-{session % AGENTS}", "version": "7"}
    ctx = {"session_id": f"session-{session:06}", "run_id": "run-1", "agent": agent, "user": f"u{session}"}
    given = {"specversion": "1.0", "id": f"event-{session}-{n}", "source": "/bench", "type": f"agent.{kind}.v1"}
    return msgspec.json.encode({**given, "time": at, "recordedtime": at + ARRIVES, "data": {"ctx": ctx, **data}})


def read(lines: Sequence[bytes], first: int) -> list[Any]:
    """As the stage reads a message."""
    events = [_decoder.decode(one) for one in lines]
    for number, event in enumerate(events, first):
        event.position = Position(SOURCE, number)
    return events


def started(session: int, n: int) -> bytes:
    return line("session.started", session, n, tools=list(TOOLS), prompt_hash="b2:1", model="m")


def tool(session: int, n: int) -> bytes:
    more = {"args_hash": f"b2:{n}:{session}", "result_hash": f"b2:r{n}:{session}", "duration_ms": 40 + n * 7 % 300}
    return line("tool.called", session, n, call_id=f"c{n}", tool={"name": TOOLS[n // 2 % 4]}, status="ok", **more)


def failing(session: int, n: int, words: int = 0) -> bytes:
    """No two messages are the same, hence no skeleton is known already; with negative `words` all of them are."""
    request = f"req_{n}{session}{words} to /v1/orders/{n}{words}" if words >= 0 else "to /v1/orders"
    error = {"type": "HTTPError", "template": f"503 Service Unavailable: request {request} failed"}
    called = {"call_id": f"c{n}", "tool": {"name": "search"}, "args_hash": f"b2:{n}:{session}", "duration_ms": 30}
    return line("tool.called", session, n, status="error", error=error, **called)


def model(session: int, n: int) -> bytes:
    tokens, cost = {"input": 900 + n, "output": 120}, {"amount": "0.0041", "currency": "USD"}
    called = {"call_id": f"m{n}", "provider": "openai", "model": "gpt-5", "duration_ms": 900}
    return line("llm.called", session, n, status="ok", tokens=tokens, cost=cost, **called)


def evaluated(session: int, n: int) -> bytes:
    scored = {"evaluator": {"name": "helpful"}, "status": "ok", "score": 0.9, "passed": n % 20 != 0}
    return line("eval.scored", session, n, **scored)


def stopped(session: int, n: int) -> bytes:
    return line("session.ended", session, n, status="failed" if session % 20 == 7 else "succeeded")


def moved(one: bytes, at: timedelta) -> bytes:
    """At another time, and with another id."""
    event = msgspec.json.decode(one)
    when = BEGAN + at
    return msgspec.json.encode({**event, "id": f"{event['id']}-{at}", "time": when, "recordedtime": when + ARRIVES})


def usual(n: int) -> Kind:
    """What the n-th event of a session is."""
    if n == 0:
        return started
    return model if n % 2 else failing if n % FAILS_EVERY == FAILS_EVERY - 2 else tool


def history(sessions: int, events: int) -> list[bytes]:
    """The first events of each session, the sessions in turn."""
    return [usual(n)(session, n) for n in range(events) for session in range(sessions)]


def next_of(kind: Kind, sessions: int, n: int, times: int = 1) -> list[bytes]:
    return [kind(session, n + more) for more in range(times) for session in range(sessions)]
