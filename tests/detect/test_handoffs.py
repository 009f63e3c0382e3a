"""Agents that hand a piece of work to each other in circles."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import msgspec
from contract.running import Runner
from detect.listening import below, heard

from streams.detect.session.handoffs import HandoffCycle, Thresholds


def handed(at: float, giver: str, taker: str) -> Any:
    return b.decision_made(at, kind="handoff", chosen=taker, agent=giver)


def round_trip(*agents: str, times: int = 2) -> list[Any]:
    steps = [*zip(agents, [*agents[1:], agents[0]], strict=True)] * times
    return [handed(at, giver, taker) for at, (giver, taker) in enumerate(steps)]


def chain(*agents: str) -> list[Any]:
    """Each starts the next as its subagent, the first is the root."""
    events = [b.session_started(0, ctx=b.ctx("s0", agents[0]))]
    for n, agent in enumerate(agents[1:], 1):
        events.append(b.session_started(n, ctx=below(f"s{n}", agent, root="s0", parent=f"s{n - 1}", depth=n)))
    return events


def test_twice_to_and_fro_is_a_circle() -> None:
    [said] = heard(HandoffCycle(), round_trip("billing", "refunds"))
    assert (said.severity, said.title) == (
        "medium",
        "billing: agents hand over in circles: billing → refunds → billing",
    )
    assert (said.count, said.observed) == (2, "2 times round")


def test_once_to_and_fro_is_none() -> None:
    assert heard(HandoffCycle(), round_trip("billing", "refunds", times=1)) == []


def test_one_who_gives_out_work_again_and_again_goes_in_no_circle() -> None:
    events = [handed(n, "triage", agent) for n, agent in enumerate(["billing", "refunds"] * 10)]
    assert heard(HandoffCycle(), events) == []


def test_subagents_that_start_each_other_go_in_a_circle() -> None:
    assert heard(HandoffCycle(), chain("a", "b", "a", "b")) == []
    assert [one.subject["circle"] for one in heard(HandoffCycle(), chain("a", "b", "a", "b", "a"))] == ["a → b"]


def test_an_agent_that_starts_itself_goes_in_no_circle() -> None:
    assert heard(HandoffCycle(), chain("coder", "coder", "coder", "coder", "coder")) == []


def test_a_handover_that_was_decided_and_then_begun_happened_once() -> None:
    events = [
        event for pair in zip(round_trip("a", "b", times=1), chain("a", "b", "a")[1:], strict=True) for event in pair
    ]
    for event in events[::2]:
        event.data = msgspec.structs.replace(event.data, ctx=b.ctx("s0", event.data.ctx.agent.id))
    assert heard(HandoffCycle(), [chain("a")[0], *events]) == []


def test_a_circle_of_three_is_the_same_wherever_it_was_entered() -> None:
    one, other = (heard(HandoffCycle(), round_trip(*agents)) for agents in (("a", "b", "c"), ("c", "a", "b")))
    assert {found.fingerprint for found in one} == {found.fingerprint for found in other}
    assert one[0].subject == {"agent": "a", "circle": "a → b → c"}


def test_the_order_of_events_does_not_matter() -> None:
    events = chain("a", "b", "a", "b", "a", "b")
    for seed in range(10):
        said = heard(HandoffCycle(), Random(seed).sample(events, len(events)))
        assert {one.subject["circle"] for one in said} == {"a → b"}


def test_a_swarm_of_thousands_is_remembered_in_a_few_kilobytes() -> None:
    runner = Runner(HandoffCycle(Thresholds(cycles=3)))
    for n in range(3000):
        ctx = below(f"x{n}", f"agent-{n % 50}", parent=f"x{n * 7 % 3000}")
        runner.take(b.session_started(n, ctx=ctx))
        runner.take(b.decision_made(n, kind="handoff", chosen=f"agent-{n % 61}", ctx=ctx))
    assert len(msgspec.msgpack.encode(runner.memories["s1"])) < 5000
