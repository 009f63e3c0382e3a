"""Session cost: limits that need no history."""

from __future__ import annotations

from typing import Any

import builders as b

from streams.detect.session.cost import SessionCost, Spent, Thresholds
from streams.records import Finding


def run(events: list[Any], thresholds: Thresholds | None = None) -> tuple[list[Finding], Spent | None]:
    decider, memory, said = SessionCost(thresholds), None, []
    for event in events:
        step = decider.step(memory, event)
        memory = step.remember
        said += step.say
    return said, memory


def calls(*amounts: str) -> list[Any]:
    return [b.llm_called(n, cost=b.money(amount)) for n, amount in enumerate(amounts)]


def test_beyond_the_floor_it_is_medium_and_beyond_the_budget_it_pages() -> None:
    said, _ = run(calls("4", "2", "2", "3"))
    assert [(found.severity, found.observed) for found in said] == [
        ("medium", "6.00 in 2 priced calls"),
        ("high", "11.00 in 4 priced calls"),
    ]


def test_each_limit_is_told_once() -> None:
    said, _ = run(calls("6", "1", "1", "5", "5", "5"))
    assert len(said) == 2


def test_a_cheap_session_is_nobodys_business() -> None:
    said, spent = run(calls(*["0.01"] * 400))
    assert said == []
    assert spent is not None
    assert (spent.nano, spent.calls) == (4 * 10**9, 400)


def test_exactly_the_limit_is_not_beyond_it() -> None:
    assert run(calls("5"))[0] == []
    assert len(run(calls("5.000000001"))[0]) == 1


def test_sums_are_exact() -> None:
    said, _ = run(calls(*["0.1"] * 50))
    assert said == []
    assert len(run(calls(*["0.1"] * 50, "0.000000001"))[0]) == 1


def test_a_declared_budget_takes_the_place_of_the_policys() -> None:
    budget = b.r.Budget(cost=b.money("1"))
    said, _ = run([b.session_started(0, budget=budget), *calls("0.6", "0.6")])
    assert [found.severity for found in said] == ["high"]
    assert said[0].expected is not None
    assert said[0].expected.startswith("at most 1.00")


def test_a_budget_declared_late_counts_all_the_same() -> None:
    budget = b.r.Budget(cost=b.money("1"))
    assert len(run([*calls("2"), b.session_started(9, budget=budget)])[0]) == 1


def test_an_unpriced_call_is_unpriced_and_not_free() -> None:
    said, spent = run([b.llm_called(0, cost=None), b.tool_called(1)])
    assert said == []
    assert spent is not None
    assert (spent.unpriced, spent.calls) == (1, 0)


def test_the_dearest_calls_are_the_evidence() -> None:
    said, _ = run(calls("1", "0.5", "3", "2", "0.1"))
    assert [excerpt.value for excerpt in said[0].evidence] == [3.0, 2.0, 1.0]
