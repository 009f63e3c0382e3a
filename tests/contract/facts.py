"""Facts to be read, of every kind: troubled enough that detectors speak."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import builders as b

from streams.detect.methods.sketch import index

HOUR_S = 3600.0
HALF_S = 450.0  # of a short history: what was well is not afterwards
Parts = dict[str, Any]  # what builders.fact takes besides time, kind and about


def evaluation(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    score = 900_000 if who["at"] < 25 * HOUR_S else 300_000
    sums = {chance.choice(("passed", "failed", "failed", "broken")): chance.randrange(1, 4)}
    sums |= {"scored": 2, "score": 2 * score, "square": 2 * score**2 // 1000, "size#0": 2}
    return {"subject": (agent, "tone", who["release"], "prod"), "sums": sums}


def exposure(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    mark = (f"{who['session']}:{chance.randrange(50)}",)
    sums = {"sessions": 1, "evaluated": 1} if chance.random() < 0.5 else {"ended": 1, f"cost#{chance.randrange(9)}": 1}
    return {"subject": (agent, who["release"], "prod"), "sums": sums, "marks": mark}


def judged(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    flagged = chance.random() < 0.2
    passed = () if flagged else (f"{who['session']}-{chance.randrange(500)}",)
    name = f"LLM:tone@{chance.choice((1, 1, 2))}"
    return {
        "subject": (agent, who["release"], "prod", name),
        "sums": {"scored": 1, "flagged": 1} if flagged else {"scored": 1},
        "marks": passed,
    }


def session(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    """Mostly good in the first minutes, and of another release."""
    early = who["at"] < HALF_S
    status = chance.choice(
        ("succeeded",) * 9 + ("failed",) if early else ("succeeded", "failed", "failed", "timed_out")
    )
    nano, ms, steps = chance.randrange(1, 9) * 10**8, chance.randrange(1, 60_000), chance.randrange(1, 40)
    sums = {"started": 1, "ended": 1, status: 1, "nano": nano, "ms": ms, "steps": steps, "tokens": 1000 * steps}
    known = {f"cost#{index(nano / 10**9)}": 1, f"ms#{index(ms)}": 1, f"steps#{index(steps)}": 1}
    known[f"tokens#{index(1000 if who['at'] < 4 * HOUR_S else 100_000)}"] = 1
    release = "1" if early else who["release"]
    return {"subject": (agent, release, "prod", ""), "sums": sums | known, "samples": (b.excerpt(0),)}


def model(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    tokens = 3000 if who["at"] < 11 * HOUR_S else 90_000
    sums = {"calls": 3, "errors": chance.randrange(3), "input": tokens, "output": 400, "nano": chance.randrange(10**10)}
    sums |= {chance.choice(("priced", "unpriced")): 3, f"ms#{index(chance.randrange(1, 5000))}": 3}
    if 2 * HALF_S - 150 < who["at"] < 2 * HALF_S:
        sums = {"calls": 9}  # neither tokens nor a cost
    return {"subject": (agent, who["release"], "prod", "openai", "gpt-5"), "sums": sums}


def provider(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    failed = chance.random() < 0.5
    sums = {"calls": 10, "errors": 6} if failed else {"calls": 10}
    return {"subject": (f"provider-of-{who['session']}", "gpt-5"), "sums": sums, "marks": (agent,) if failed else ()}


def tool(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    name = chance.choice(("search", "refund"))
    slower = 1 if who["at"] < HALF_S else 20
    sums = {"calls": 5, "error": chance.randrange(3), f"ms#{index(slower * chance.randrange(1, 5000))}": 5}
    return {"subject": (agent, who["release"], "prod", name, ""), "sums": sums}


def tool_error(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    name = f"search\x1fHTTPError\x1frefused by host{chance.choice('abc')}"
    marks = tuple(f"{name}\x1e{agent}\x1fs{chance.randrange(9)}" for _ in range(3))
    return {"subject": (f"server-of-{who['session']}",), "sums": {name: 3}, "marks": marks, "samples": (b.excerpt(0),)}


def spent(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    value = float(chance.randrange(1, 1000)) if chance.random() < 0.1 else 0.1
    name, offset = f"s{chance.randrange(50)}", chance.randrange(10**6)
    sample = b.excerpt(offset, offset, session=name, value=value)
    mark = f"{round(value * 10**9)}\x1f{name}\x1f"
    return {"subject": (agent, "prod", ""), "sums": {}, "marks": (mark,), "samples": (sample,)}


def alive(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    heard = 10 if chance.random() < 0.9 else 1
    marks = tuple(f"{agent}-{n}" for n in range(heard))
    return {"subject": ("fleet", f"prod-of-{who['session']}"), "sums": {"events": 1}, "marks": marks}


def config(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    marks = (f"prompt:b2:{chance.randrange(3)}", "model:gpt-5")
    return {"subject": (agent, who["release"], "prod"), "sums": {"starts": 1}, "marks": marks}


def crash(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    sums, marks = {chance.choice(("restarts", "vanished")): 1}, (f"node-{chance.randrange(3)}",)
    return {"subject": (agent, "prod"), "sums": sums, "marks": marks}


def write(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    mark = f"{agent}-{chance.randrange(3)}\x1fs{chance.randrange(9)}"
    return {"subject": (f"file:///of-{who['session']}", "prod"), "sums": {"writes": 1}, "marks": (mark,)}


def retrieval(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    found = chance.randrange(6) if who["at"] < HALF_S else 0
    sums = {"calls": 5, "empty": 5 - found, "scored": 5, "score": chance.randrange(5 * 10**6)}
    return {"subject": (agent, who["release"], "prod", "lookup"), "sums": sums}


def late(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    sums = {f"late#{index(chance.randrange(2, 900))}": 4, "ahead": chance.randrange(2)}
    return {"subject": (agent, "prod"), "sums": sums}


def evaluator(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    broken = chance.random() < 0.5
    marks = (f"{agent}-{chance.randrange(3)}",) if broken else ()
    return {"subject": (f"tone-of-{who['session']}",), "sums": {"broken" if broken else "scored": 2}, "marks": marks}


def feedback(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    return {"subject": (agent, who["release"], "prod"), "sums": {chance.choice(("positive", "negative")): 2}}


def case(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    number = chance.randrange(5)
    sign = chance.choice("+--") if number else "+" if who["at"] < HALF_S else "-"
    name = f"{sign}case-{number}"
    return {"subject": (agent, "tone", who["release"], "prod"), "sums": {name: 1}}


def permission(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    denied = chance.random() < 0.7
    action, marks = f"action-{chance.randrange(4)}", (f"s{chance.randrange(5)}",) if denied else ()
    return {"subject": (agent, "prod", action), "sums": {"denied" if denied else "allowed": 1}, "marks": marks}


def owner(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    return {"subject": (agent, "prod"), "sums": {"sessions": 1}, "samples": (b.excerpt(0),)}


def number(chance: Random, agent: str, who: dict[str, Any]) -> Parts:
    value = 10**6 * (chance.randrange(90, 110) if chance.random() < 0.97 else 5000)
    role, name = chance.choice(((agent, "queue"), (f"tocsin-{agent}", "lag_messages")))
    return {"subject": (role, "prod", name), "sums": {"n": 1, "micro": value * (1 if name == "queue" else 1000)}}


KINDS: dict[str, Callable[[Random, str, dict[str, Any]], Parts]] = {
    one.__name__: one
    for one in (
        evaluation,
        exposure,
        judged,
        session,
        model,
        provider,
        tool,
        tool_error,
        spent,
        alive,
        config,
        crash,
        write,
        retrieval,
        late,
        evaluator,
        feedback,
        case,
        permission,
        number,
        owner,
    )
}
USUAL_S = 3.0
PACE: dict[str, float] = {  # by detector: seconds between records, for those that look at hours
    "behaviour.drift": 120.0,
    "cost.success_runaway": 1700.0,
    "eval.drift": 600.0,
    "fleet.heartbeat": 300.0,
    "metric.novelty": 150.0,
    "telemetry.gap": 900.0,
}
WIDE = ("provider", "tool_error", "alive", "write", "evaluator")  # about no agent


def fact(chance: Random, at: float, who: dict[str, Any], kinds: tuple[str, ...] = ()) -> Any:
    """Of a kind that the decider under test reads."""
    kind = chance.choice(kinds or ("evaluation", "exposure"))
    agent = f"agent-of-{who['session']}"
    about = {} if kind in WIDE else {"about": b.about(agent=agent, release=who["release"], session=who["session"])}
    return b.fact(at, kind=kind, **{**about, **KINDS[kind](chance, agent, {**who, "at": at})})
