"""Session cost: limits that need no history."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec
from msgspec.structs import replace

from streams.detect.agents import AgentRules, Given
from streams.detect.session.cost import SessionCost, Spent
from streams.records import Finding


def run(events: list[Any], decider: SessionCost | None = None) -> tuple[list[Finding], Spent | None]:
    decider, memory, said = decider or SessionCost(), None, []
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


def below(*events: Any) -> list[Any]:
    for event in events:
        event.data = replace(event.data, ctx=b.ctx("s2", root_session_id="s1"))
    return list(events)


def test_a_declared_budget_takes_the_place_of_the_policys() -> None:
    budget = b.r.Budget(cost=b.money("1"))
    said, _ = run(below(b.session_started(0, budget=budget), *calls("0.6", "0.6")))
    assert [found.severity for found in said] == ["high"]
    assert said[0].expected is not None
    assert said[0].expected.startswith("at most 1.00")


def test_a_budget_declared_late_counts_all_the_same() -> None:
    budget = b.r.Budget(cost=b.money("1"))
    assert len(run(below(*calls("2"), b.session_started(9, budget=budget)))[0]) == 1


def test_a_root_session_with_a_budget_is_judged_by_the_detector_of_budgets() -> None:
    budget = b.r.Budget(cost=b.money("1"))
    assert run([b.session_started(0, budget=budget), *calls("6", "6")])[0] == []
    ruled = SessionCost(given=Given(agents=(AgentRules(match=["bill*"], budget_session=100.0),)))
    assert run(calls("6", "6"), decider=ruled)[0] == []


def test_as_long_as_it_goes_on_spending_it_is_told_again_every_five_minutes() -> None:
    said, _ = run([b.llm_called(n * 60, cost=b.money("6")) for n in range(12)])
    assert [(found.at - b.at(0)).total_seconds() for found in said] == [0.0, 60.0, 360.0, 660.0]


def test_a_price_that_cannot_be_right_is_told_and_not_added_up() -> None:
    said, spent = run([b.llm_called(0, cost=b.money("4100")), *calls("1")])
    assert [(found.severity, found.title) for found in said] == [("medium", "billing: a call's price cannot be right")]
    assert spent is not None
    assert (spent.nano, spent.calls, spent.unpriced) == (10**9, 1, 1)


def test_an_ordinary_session_is_remembered_in_a_few_bytes() -> None:
    _, spent = run(calls(*["0.01"] * 200))
    assert len(msgspec.msgpack.encode(spent)) <= 20


def test_an_unpriced_call_is_unpriced_and_not_free() -> None:
    said, spent = run([b.llm_called(0, cost=None), b.tool_called(1)])
    assert said == []
    assert spent is not None
    assert (spent.unpriced, spent.calls) == (1, 0)


def test_the_dearest_calls_are_the_evidence() -> None:
    said, _ = run(calls("1", "0.5", "3", "2", "0.1"))
    assert [excerpt.value for excerpt in said[0].evidence] == [3.0, 2.0, 1.0]
