"""One kind of trouble each, far beyond its thresholds: events that together make detectors of every sort speak."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import builders as b
from msgspec.structs import replace

from streams import records as r

HOUR = 3600.0
POLICY = """
[detectors."version.distribution"]
releases_max = 1
for_s = 60
[detectors."eval.critical"]
critical = ["safety"]
[detectors."telemetry.gap"]
usual_min = 2
[detectors."behaviour.drift"]
sessions_min = 10
[[agents]]
match = ["failing-sessions", "agent-of-x-slo.*"]
objective = 0.95
[[agents]]
match = ["agent-of-x-cost.agent_budget"]
budget_day = 5.0
[detectors."metric.novelty"]
values_min = 1
[detectors."cost.success_runaway"]
sessions_min = 1
floor = 0.01
"""
Events = Iterator[Any]


def same(n: int) -> dict[str, str]:
    return {"args_hash": f"b2:args{n}", "result_hash": f"b2:result{n}"}


def failing_tool(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        yield b.tool_failed(t + 5 * n, message=f"order {n}000 refused by host", **who)


def same_call(t: float, who: dict[str, Any]) -> Events:
    for n in range(24):
        yield b.tool_called(t + 4 * n, **same(1), **who)


def circle(t: float, who: dict[str, Any]) -> Events:
    for n in range(60):
        yield b.tool_called(t + 4 * n, tool=f"step{n % 5}", **same(n % 5), **who)


def two_in_turn(t: float, who: dict[str, Any]) -> Events:
    for n in range(40):
        yield b.tool_called(t + 4 * n, tool=f"turn{n % 2}", **same(n % 2), **who)


def dear(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        yield b.llm_called(t + 4 * n, cost=b.money("4.0"), **who)


def beyond_budget(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, budget=r.Budget(cost=b.money("9")), **who)
    for n in range(8):
        yield b.llm_called(t + 40 + 2 * n, cost=b.money("4.0"), **who)  # by then its start has come, however late


def retries(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        yield b.llm_called(t + 4 * n, cost=b.money("0.4"), attempt=1 + n % 4, **who)


def long_and_deep(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, **who)
    for n in range(25):
        yield b.tool_called(t + 100 * n, **who)
    yield b.session_started(t + 60, ctx=b.ctx("deep", who["agent"], root_session_id=who["session"], depth=9))


def full_window(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        yield b.llm_called(t + 5 * n, context_limit=1010, finish_reasons=["length"], **who)


def stuck(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, **who)
    yield b.tool_called(t + 10, **who)


def only_alive(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, **who)
    for n in range(60):
        yield b.heartbeat(t + 30 * n, **who)


def unanswered(t: float, who: dict[str, Any]) -> Events:
    yield b.permission_checked(t, result=r.PermissionResult.pending, **who)


def handed_round(t: float, who: dict[str, Any]) -> Events:
    one, other = f"{who['agent']}-a", f"{who['agent']}-b"
    for n in range(8):
        giver, taker = (one, other) if n % 2 else (other, one)
        yield b.decision_made(t + 3 * n, kind="handoff", chosen=taker, **{**who, "agent": giver})


def guarded(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        guard = {"result": r.PermissionResult.denied, "decided_by": r.Actor("guardrail"), "action": "jailbreak"}
        yield b.permission_checked(t + 4 * n, **guard, **who)


def unapproved(t: float, who: dict[str, Any]) -> Events:
    for n in range(3):
        effect = r.Effect("wire", target=f"bank:{n}", reversible=False, customer_data=True)
        yield b.tool_called(t + 5 * n, tool="pay", effect=effect, **who)


def disobedient(t: float, who: dict[str, Any]) -> Events:
    named = {"call_id": "denied-call"}
    yield b.permission_checked(t, action="pay", result=r.PermissionResult.denied, request_id="no", **named, **who)
    yield b.tool_called(t + 12, tool="pay", permission_id="no", effect=r.Effect("wire"), **named, **who)


def rolled_back(t: float, who: dict[str, Any]) -> Events:
    yield b.checkpoint_recorded(t, op="create", checkpoint_id="made", **who)
    yield b.checkpoint_recorded(t + 20, op="restore", checkpoint_id="never", unrecoverable=["file:///a"], **who)


def far_and_wide(t: float, who: dict[str, Any]) -> Events:
    for n in range(50):
        yield b.tool_called(t + n, resources=[r.Resource(f"file:///srv/{who['agent']}/{n}", "write")], **who)


def invented_tools(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, tools=["search"], expected_tools=["book"], expected_effects=["booking"], **who)
    for n in range(6):
        yield b.tool_called(t + 5 + 5 * n, tool=f"invented{n}", **who)
    yield b.session_ended(t + 60, **who)


def other_than_decided(t: float, who: dict[str, Any]) -> Events:
    for n in range(8):
        yield b.decision_made(t + 10 * n, chosen="refund", **who)
        yield b.tool_called(t + 10 * n + 4, tool="search", **who)


def contradiction(t: float, who: dict[str, Any]) -> Events:
    yield b.session_started(t, **who)
    yield b.tool_called(t + 5, **who)
    yield b.tool_failed(t + 10, **who)
    yield b.session_ended(t + 15, **who)


def critical(t: float, who: dict[str, Any]) -> Events:
    yield b.eval_scored(t, evaluator="safety", passed=False, **who)


def failing_evaluator(t: float, who: dict[str, Any]) -> Events:
    for n in range(120):
        yield b.eval_scored(t + 6 * n, passed=n < 60, **{**who, "session": f"{who['session']}-{n}"})


def failing_sessions(t: float, who: dict[str, Any]) -> Events:
    for n in range(60):
        one = {**who, "session": f"{who['session']}-{n}"}
        yield b.session_started(t + 8 * n, **one)
        yield b.session_ended(t + 8 * n + 5, status=r.SessionStatus.failed, **one)


def broken_evaluator(t: float, who: dict[str, Any]) -> Events:
    for n in range(12):
        yield b.eval_scored(t + 7 * n, evaluator="judge", status=r.Status.error, passed=None, **who)


def sliding_scores(t: float, who: dict[str, Any]) -> Events:
    chance = Random(3)
    for n in range(240):
        mean = 0.9 if n < 200 else 0.3
        score = chance.gauss(mean, 0.05)
        yield b.eval_scored(t + 450 * n, evaluator="slides", score=score, passed=None, **who)


def flaking(t: float, who: dict[str, Any]) -> Events:
    for n in range(60):
        yield b.eval_scored(t + 60 * n, evaluator="cases", case_id="flips", passed=n % 2 == 0, **who)


def regressed(t: float, who: dict[str, Any]) -> Events:
    for n in range(24):
        for case in ("one", "two"):
            yield b.eval_scored(t + 60 * n, evaluator="suite", case_id=case, passed=n < 12, **who)


def service_down(t: float, who: dict[str, Any]) -> Events:
    tool = r.Tool("lookup", server="crm")
    for n in range(40):
        one = {**who, "session": f"{who['session']}-{n % 8}", "agent": f"{who['agent']}-{n % 4}"}
        event = b.tool_failed(t + 4 * n, message="connection refused by crm", **one)
        event.data = replace(event.data, tool=tool)
        yield event


def provider_down(t: float, who: dict[str, Any]) -> Events:
    for n in range(120):
        one = {**who, "session": f"{who['session']}-{n % 9}", "agent": f"{who['agent']}-{n % 5}"}
        status = r.Status.error if n >= 40 else r.Status.ok
        yield b.llm_called(t + 3 * n, provider="stormy", status=status, **one)


def crashing(t: float, who: dict[str, Any]) -> Events:
    for n in range(12):
        ctx = b.ctx(who["session"], who["agent"], node=f"node-{n % 3}")
        yield b.session_started(t + 20 * n, ctx=ctx)


def silent_fleet(t: float, who: dict[str, Any]) -> Events:
    for n in range(100):
        for agent in range(8):
            if n < 60 or agent >= 6:
                one = {**who, "session": f"{who['session']}-{agent}", "agent": f"{who['agent']}-{agent}"}
                yield b.heartbeat(t + 145 * n, state="serving", interval_s=150.0, env="fleet", **one)


def no_more_events(t: float, who: dict[str, Any]) -> Events:
    for n in range(1080):
        yield b.tool_called(t + 90 * n, **{**who, "session": f"{who['session']}-{n // 20}"})


def late_events(t: float, who: dict[str, Any]) -> Events:
    for n in range(60):
        yield b.tool_called(t + 4 * n, recordedtime=b.at(t + 4 * n + 20), **who)


def denied(t: float, who: dict[str, Any]) -> Events:
    for n in range(12):
        yield b.permission_checked(t + 9 * n, result=r.PermissionResult.denied, **who)


def skewed(t: float, who: dict[str, Any]) -> Events:
    for n in range(6):
        one = {**who, "session": f"{who['session']}-{n}"}
        yield b.session_started(t + 5 * n, prompt_hash=f"b2:{n % 2}", **one)
        yield b.session_ended(t + 5 * n + 1, **one)


def two_writers(t: float, who: dict[str, Any]) -> Events:
    for n in range(6):
        one = {**who, "session": f"{who['session']}-{n % 2}", "agent": f"{who['agent']}-{n % 2}"}
        yield b.tool_called(t + 9 * n, resources=[r.Resource("file:///ledger", "write")], **one)


def own_trouble(t: float, who: dict[str, Any]) -> Events:
    for n in range(6):
        given = {"state": "serving", "numbers": {"isolated": 7.0}}
        yield b.heartbeat(t + 15 * n, **given, **{**who, "agent": "tocsin-detect"})


TROUBLES: tuple[Callable[[float, dict[str, Any]], Events], ...] = (
    failing_tool,
    same_call,
    circle,
    two_in_turn,
    dear,
    beyond_budget,
    retries,
    long_and_deep,
    full_window,
    stuck,
    only_alive,
    unanswered,
    handed_round,
    guarded,
    unapproved,
    disobedient,
    rolled_back,
    far_and_wide,
    invented_tools,
    other_than_decided,
    contradiction,
    critical,
    failing_evaluator,
    failing_sessions,
    broken_evaluator,
    sliding_scores,
    flaking,
    regressed,
    service_down,
    provider_down,
    crashing,
    silent_fleet,
    no_more_events,
    late_events,
    denied,
    skewed,
    two_writers,
    own_trouble,
)


def story(seed: int = 1) -> list[Any]:
    """All of them, each by its own agent, beginning at times of their own; in order of time."""
    chance, found = Random(seed), []
    for trouble in TROUBLES:
        name = trouble.__name__.replace("_", "-")
        found += trouble(round(chance.uniform(0, 2 * HOUR), 2), {"agent": name, "session": f"s-{name}"})
    for n, event in enumerate(sorted(found, key=lambda one: (one.time, one.id))):
        event.id = f"{n}"
    return sorted(found, key=lambda one: (one.time, one.id))
