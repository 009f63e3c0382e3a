"""Decisions for one tool, calls of another."""

from __future__ import annotations

from itertools import permutations
from random import Random
from typing import Any

import builders as b
import pytest
from detect.listening import heard

from streams import records as r
from streams.detect.session.decisions import DecisionMismatch, Thresholds


def turns(*pairs: str, start: float = 0) -> list[Any]:
    """`refund>search`: decided on the one, called the other, two seconds a turn."""
    events = []
    for n, pair in enumerate(pairs):
        chosen, _, called = pair.partition(">")
        events += [b.decision_made(start + 2 * n, chosen=chosen), b.tool_called(start + 2 * n + 1, tool=called)]
    return events


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(DecisionMismatch(Thresholds(**limits)), list(events), until=3600)


def test_the_second_decision_that_is_not_followed_is_a_quiet_ticket() -> None:
    assert said(*turns("refund>search", "refund>refund")) == []
    [found] = said(*turns("refund>search", "mail>mail", "refund>search"))
    assert (found.severity, found.subject, found.count) == ("low", {"agent": "billing"}, 2)
    assert [one.tool for one in found.evidence] == ["refund", "refund"]


def test_from_the_fifth_on_it_is_medium() -> None:
    found = said(*turns(*["refund>search"] * 5))
    assert [one.severity for one in found] == ["low", "low", "low", "medium"]


@pytest.mark.parametrize(
    "chosen", ["refund", "refund(order=17)", "payments/refund", "mcp__payments__refund", "a.refund"]
)
def test_a_tool_is_the_same_under_its_usual_names(chosen: str) -> None:
    assert said(*turns(*[f"{chosen}>refund"] * 4)) == []


def test_other_decisions_other_peoples_calls_and_calls_without_a_decision_do_not_matter() -> None:
    plans = [b.decision_made(n, kind="plan", chosen="x") for n in range(5)]
    users = [event for n in range(3) for event in (b.decision_made(10 * n), b.tool_called(10 * n + 1, by="user"))]
    assert said(*plans, *users, *(b.tool_called(n) for n in range(40, 50))) == []


def test_of_several_decisions_any_may_come_first_and_calls_at_once_count_together() -> None:
    planned = [b.decision_made(0, chosen="a"), b.decision_made(1, chosen="b"), b.tool_called(2, tool="a")]
    assert said(*planned, *turns("x>y", start=10)) == []
    at_once = [b.decision_made(20), b.tool_called(21, tool="other"), b.tool_called(21, tool="refund")]
    assert said(*turns("x>y"), *at_once) == []


def test_the_order_of_arrival_within_the_lateness_does_not_matter() -> None:
    wrong, right = turns("refund>search", "refund>search"), turns("refund>refund", "search>search")
    assert all([one.count for one in said(*order)][-1:] == [2] for order in permutations(wrong))
    assert all(said(*order) == [] for order in permutations(right))


@pytest.mark.parametrize("seed", range(5))
def test_late_events_make_no_mismatch_in_a_long_session(seed: int) -> None:
    events, chance = turns(*(f"t{n}>t{n}" for n in range(200))), Random(seed)
    late = sorted(events, key=lambda event: event.time.timestamp() + chance.choice((0, 0, chance.random() * 8)))
    assert said(*late) == []


def test_an_agent_that_says_no_decisions_is_remembered_in_few_bytes() -> None:
    decider, memory = DecisionMismatch(), None
    for n in range(300):
        step = decider.step(memory, b.tool_called(n))
        memory = step.remember
        assert step.wake is None
    assert memory is not None
    assert len(memory.calls) == 5 * 12
