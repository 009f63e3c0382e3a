"""What all session deciders cost per event, without a broker: the deciders alone, the shelf beside them, its size.

    python -m benchmarks.deciders [--json FILE] [--each]

Events of 500 sessions in turn, as a busy partition has them: a model call, then a tool call that works, now and then
one that fails. The loop's own part (echoes, shelf) is measured by a fold without deciders and taken off.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from streams import policy
from streams.detect.catalogue import session_deciders
from streams.detect.fold import Fold
from streams.records import AgentEvent, Position

SESSIONS = 500
EVENTS = 40  # of each session
ROUNDS = 5
BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)

_decoder = msgspec.json.Decoder(AgentEvent)


def event(kind: str, session: int, n: int, **data: Any) -> Any:
    at = BEGAN + timedelta(seconds=n * 2)
    agent = {"id": f"agent-{session % 20}", "version": "7"}
    ctx = {"session_id": f"session-{session:06}", "run_id": "run-1", "agent": agent, "user": f"u{session}"}
    line = {"specversion": "1.0", "id": f"event-{session}-{n}", "source": "/bench", "time": at.isoformat()}
    made = _decoder.decode(msgspec.json.encode({**line, "type": f"agent.{kind}.v1", "data": {"ctx": ctx, **data}}))
    made.position = Position("agent.events/1/0", n * SESSIONS + session)
    return made


def started(session: int, n: int) -> Any:
    return event("session.started", session, n, tools=["search", "read", "write", "test"], prompt_hash="b2:1", model="m")


def tool(session: int, n: int) -> Any:
    more = {"args_hash": f"b2:{n}:{session}", "result_hash": f"b2:r{n}:{session}", "duration_ms": 40 + n * 7 % 300}
    name = ("search", "read", "write", "test")[n % 4]
    return event("tool.called", session, n, call_id=f"c{n}", tool={"name": name}, status="ok", **more)


def failing(session: int, n: int) -> Any:
    error = {"type": "HTTPError", "template": f"503 Service Unavailable: request req_{n}{session} to /v1/orders/{n} failed"}
    called = {"call_id": f"c{n}", "tool": {"name": "search"}, "args_hash": f"b2:{n}:{session}", "duration_ms": 30}
    return event("tool.called", session, n, status="error", error=error, **called)


def model(session: int, n: int) -> Any:
    tokens, cost = {"input": 900 + n, "output": 120}, {"amount": "0.0041", "currency": "USD"}
    called = {"call_id": f"m{n}", "provider": "openai", "model": "gpt-5", "duration_ms": 900}
    return event("llm.called", session, n, status="ok", tokens=tokens, cost=cost, **called)


KINDS = {"ordinary tool event": tool, "failing tool event": failing, "model event": model}


def history() -> list[Any]:
    """What sessions have behind them: a start, then model and tool calls in turn, every fifteenth tool call failed."""
    found = []
    for n in range(EVENTS):
        for session in range(SESSIONS):
            kind = started if n == 0 else model if n % 2 else failing if n % 30 == 28 else tool
            found.append(kind(session, n))
    return found


class Bench:
    def __init__(self, deciders: Iterable[Any], before: list[Any]) -> None:
        self.store: dict[str, bytes] = {}
        self.fold = Fold(deciders, self.store.get, "bench")
        for one in before:
            self.fold.event(one, 0)
        self.wrote_s = self.write()

    def write(self) -> float:
        began = time.perf_counter()
        for items in self.fold.remembered().values():
            for key, value in items:
                self.store[key] = value or b""
        return time.perf_counter() - began

    def us_per_event(self, events: list[Any]) -> float:
        began = time.process_time()
        for one in events:
            self.fold.event(one, 0)
        return (time.process_time() - began) / len(events) * 1e6

    def us_shelf(self, events: list[Any]) -> float:
        """One event per shelf, read from its bytes and written back."""
        self.fold.rebuild(())
        began = time.process_time()
        for one in events:
            self.fold.event(one, 0)
        self.write()
        return (time.process_time() - began) / len(events) * 1e6


def measure(progress: Any = print) -> dict[str, Any]:
    found: dict[str, Any] = {}
    deciders = session_deciders(policy.load().detectors)
    before = history()
    for name, kind in KINDS.items():
        taken, shelf = [], []
        for _ in range(ROUNDS):
            full, bare = Bench(deciders, before), Bench((), before)
            some = [kind(session, EVENTS + n) for n in range(4) for session in range(SESSIONS)]
            taken.append(full.us_per_event(some) - bare.us_per_event(some))
            cold = [kind(session, EVENTS + 9) for session in range(SESSIONS)]
            shelf.append(full.us_shelf(cold) - taken[-1])
        found[name] = {"deciders_us": round(statistics.median(taken), 2), "shelf_us": round(statistics.median(shelf), 2)}
        progress(f"{name}: {found[name]}")
    sizes = sorted(map(len, Bench(deciders, before).store.values()))
    found["shelf bytes"] = {"median": sizes[len(sizes) // 2], "max": sizes[-1], "events_per_session": EVENTS}
    found["deciders"] = len(deciders)
    return found


def each(kind: Any = tool) -> dict[str, float]:
    """Every decider alone, per ordinary tool event."""
    before, found = history(), {}
    some = [kind(session, EVENTS + n) for n in range(4) for session in range(SESSIONS)]
    bare = min(Bench((), before).us_per_event(some) for _ in range(3))
    for decider in session_deciders(policy.load().detectors):
        alone = min(Bench((decider,), before).us_per_event(some) for _ in range(3))
        found[decider.name] = round(alone - bare, 2)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--each", action="store_true", help="also every decider alone")
    given = parser.parse_args()
    found = measure()
    if given.each:
        found["each"] = each()
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
