"""Loops put behind the beginnings of real sessions: which detector finds them, how soon, and whom it flags for nothing."""

from __future__ import annotations

import os
import random
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from streams.detect.session.identical_calls import IdenticalCalls
from streams.detect.session.sequences import Sequences
from streams.detect.session.stale_loops import StaleLoops
from streams.detect.session.tool_errors import RepeatedToolError
from streams.importing.merge import read
from streams.records import (
    Agent,
    CheckpointRecorded,
    Ctx,
    Error,
    SessionEnded,
    SessionStatus,
    Status,
    Tool,
    ToolCalled,
    ToolCalledData,
)

LOOPS = (IdenticalCalls, StaleLoops, Sequences)
DETECTORS = (RepeatedToolError, *LOOPS)
PERIODS = range(1, 9)
LOOP_CALLS = 40
NOISE = 0.15
LATE = 0.3
LATE_MOST = 5
TOOLS = ("search", "read", "list", "status", "fetch", "query", "count", "check")


class Call(NamedTuple):
    tool: str
    args: str
    result: str
    error: str = ""


class Session(NamedTuple):
    calls: list[Any]
    succeeded: bool


def measure(
    progress: Callable[[str], None], folder: Path | None = None, seed: int = 1, most: int | None = None
) -> dict[str, Any]:
    """Found share and median calls after the loop's start, per loop and detector; and real sessions flagged.

    `most`: loops are put behind that many of the sessions only.
    """
    real = sessions(folder or given())
    progress(f"loops: {len(real)} real sessions as they are")
    flags = {kind.name: [session.succeeded for session in real if flagged(kind, session.calls)] for kind in DETECTORS}
    chosen = random.Random(seed).sample(real, min(most or len(real), len(real)))
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, loop in _loops().items():
        progress(f"loops: {name}")
        for disturbed in (False, True):
            chance = random.Random(f"{seed}{name}{disturbed}")
            streams = [_stream(session.calls, loop, chance, disturbed=disturbed) for session in chosen]
            found[f"{name}, late" if disturbed else name] = {kind.name: _found(kind, streams) for kind in DETECTORS}
    return {
        "sessions": len(real),
        "succeeded": sum(session.succeeded for session in real),
        "flagged": {name: len(some) for name, some in flags.items()},
        "flagged_succeeded": {name: sum(some) for name, some in flags.items()},
        "found": found,
    }


def table(result: dict[str, Any]) -> str:
    """`100 % / 7`: found in that share of the sessions, in the median 7 calls after the loop began."""
    names = list(result["flagged"])
    late = f"{LATE:.0%} of the calls arrive 1 to {LATE_MOST} positions late"
    lines = [
        f"Loops behind the beginnings of {result['sessions']} real sessions; late: {late}",
        "",
        "| loop | " + " | ".join(names) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for loop, row in result["found"].items():
        cells = (
            f"{row[name]['share']:.0%} / {row[name]['calls']:g}" if row[name]["calls"] is not None else "0%"
            for name in names
        )
        lines.append(f"| {loop} | " + " | ".join(cells) + " |")
    rest = result["sessions"] - result["succeeded"]
    well = [result["flagged_succeeded"][name] for name in names]
    failed = [result["flagged"][name] - count for name, count in zip(names, well, strict=True)]
    lines.append(
        f"| flagged of {result['succeeded']} real sessions that succeeded | " + " | ".join(map(str, well)) + " |"
    )
    lines.append(f"| flagged of {rest} that failed | " + " | ".join(map(str, failed)) + " |")
    return "\n".join(lines)


def given() -> Path:
    """Where the run files are: beside the repository, unless TOCSIN_TEST_DATA says otherwise."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    return Path(os.environ.get("TOCSIN_TEST_DATA") or beside) / "data" / "tau2"


def sessions(folder: Path) -> list[Session]:
    """Those that call tools, without their model calls."""
    events, _ = read(sorted(folder.glob("*.json.gz")))
    calls, succeeded = defaultdict(list), set()
    for event in events:
        session = event.data.ctx.session_id
        if isinstance(event, ToolCalled | CheckpointRecorded):
            calls[session].append(event)
        elif isinstance(event, SessionEnded) and event.data.status is SessionStatus.succeeded:
            succeeded.add(session)
    return [Session(some, session in succeeded) for session, some in calls.items()]


# -- loops ------------------------------------------------------------------------------------------------------------


def _loops() -> dict[str, Callable[[random.Random], Iterator[Call]]]:
    return {
        **{f"period {period}": _period(period) for period in PERIODS},
        "same error, arguments vary": _failing,
        f"period 3, {NOISE:.0%} noise": _period(3, NOISE),
        "same call, other result each time": _progressing,
    }


def _period(period: int, noise: float = 0.0) -> Callable[[random.Random], Iterator[Call]]:
    def calls(chance: random.Random) -> Iterator[Call]:
        turn = [_new(chance) for _ in range(period)]
        at = 0
        while True:
            if chance.random() < noise:
                yield _new(chance)
                continue
            yield turn[at % period]
            at += 1

    return calls


def _failing(chance: random.Random) -> Iterator[Call]:
    while True:
        new = _new(chance)
        yield Call(
            "search", new.args, new.result, f"Order {new.args[:6]}7 was not found after {chance.randrange(900)} ms"
        )


def _progressing(chance: random.Random) -> Iterator[Call]:
    call = _new(chance)
    while True:
        yield call._replace(result=_new(chance).result)


def _new(chance: random.Random) -> Call:
    return Call(chance.choice(TOOLS), f"{chance.getrandbits(64):016x}", f"{chance.getrandbits(64):016x}")


# -- running ----------------------------------------------------------------------------------------------------------


def _stream(
    session: Sequence[Any], loop: Callable[[random.Random], Iterator[Call]], chance: random.Random, *, disturbed: bool
) -> tuple[list[Any], set[int]]:
    """A beginning of the session and the loop behind it, as they arrive; and the identities of the loop's events."""
    begun = list(session[: chance.randrange(len(session) + 1)])
    last, calls = session[-1], loop(chance)
    put = [_event(next(calls), last, number) for number in range(LOOP_CALLS)]
    events = begun + put
    if disturbed:
        late = [chance.randrange(1, LATE_MOST + 1) if chance.random() < LATE else 0 for _ in events]
        order = sorted(range(len(events)), key=lambda at: (at + late[at] + (0.5 if late[at] else 0), at))
        events = [events[at] for at in order]
    return events, {id(event) for event in put}


def _event(call: Call, last: Any, number: int) -> ToolCalled:
    ctx = last.data.ctx
    data = ToolCalledData(
        ctx=Ctx(ctx.session_id, ctx.run_id, Agent(ctx.agent.id, ctx.agent.version)),
        call_id=f"put-{number}",
        tool=Tool(call.tool),
        status=Status.error if call.error else Status.ok,
        args_hash=call.args,
        result_hash=call.result,
        error=Error("tool_error", call.error) if call.error else None,
    )
    at = last.time + timedelta(seconds=number + 1)
    return ToolCalled(specversion="1.0", id=f"put-{number}", source="benchmark", time=at, data=data)


def _found(kind: type, streams: Sequence[tuple[list[Any], set[int]]]) -> dict[str, float | None]:
    calls = [at for at in (_first(kind, events, put) for events, put in streams) if at is not None]
    return {"share": len(calls) / len(streams), "calls": statistics.median(calls) if calls else None}


def _first(kind: type, events: Sequence[Any], put: set[int]) -> int | None:
    """How many of the loop's calls had arrived when it was first said."""
    decider, memory, arrived = kind(), None, 0
    for event in events:
        arrived += id(event) in put
        if type(event) not in decider.reads:
            continue
        step = decider.step(memory, event)
        memory = step.remember
        if step.say and arrived:
            return arrived
    return None


def flagged(kind: type, session: Sequence[Any]) -> bool:
    decider, memory = kind(), None
    for event in session:
        if type(event) not in decider.reads:
            continue
        step = decider.step(memory, event)
        memory = step.remember
        if step.say:
            return True
    return False


if __name__ == "__main__":
    print(table(measure(lambda text: print(text, flush=True))))
