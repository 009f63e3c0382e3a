"""A budget that somebody set, against what the root session and its subagents spend."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
from detect.listening import below, brief, heard, ruled

from streams import records as r
from streams.detect.session.budget import RootBudget, Thresholds
from streams.detect.session.cost import SessionCost


def started(cost: str | None = "1", tokens: int | None = None, **given: Any) -> Any:
    budget = r.Budget(cost=b.money(cost) if cost else None, tokens=tokens)
    return b.session_started(0, budget=budget, **given)


def calls(*amounts: str, step_s: float = 1.0, **given: Any) -> list[Any]:
    return [b.llm_called(1 + n * step_s, cost=b.money(amount), **given) for n, amount in enumerate(amounts)]


def test_at_eighty_percent_there_is_a_ticket_and_beyond_all_of_it_a_page() -> None:
    said = heard(RootBudget(), [started(), *calls("0.5", "0.29", "0.01", "0.2", "0.01")])
    assert [(one.severity, one.observed) for one in said] == [
        ("medium", "0.80 of 1.00, 80 %"),
        ("high", "1.01 of 1.00, 101 %"),
    ]
    assert len({one.fingerprint for one in said}) == 1


def test_subagents_spend_from_the_budget_of_their_root() -> None:
    said = heard(RootBudget(), [started(), *calls("0.6"), *calls("0.6", ctx=below())])
    assert [(one.severity, one.subject) for one in said] == [("high", {"agent": "billing", "budget": "cost"})]


def test_a_subagents_own_budget_is_not_the_roots() -> None:
    of_a_part = r.Budget(cost=b.money("0.1"))
    assert heard(RootBudget(), [started(), b.session_started(1, ctx=below(), budget=of_a_part), *calls("0.5")]) == []


def test_nobody_set_a_budget_so_nothing_is_exceeded() -> None:
    assert heard(RootBudget(), [b.session_started(0), *calls("100", "100")]) == []


def test_the_policys_budget_of_the_roots_agent_counts_and_the_smaller_one_of_two() -> None:
    ruled_by = RootBudget(given=ruled(budget_session=0.5))
    assert [one.expected for one in heard(ruled_by, calls("0.3", "0.3"))] == [
        "at most 0.50 for the root session and its subagents together"
    ]
    assert len(heard(RootBudget(given=ruled(budget_session=0.5)), [started("9"), *calls("0.6")])) == 1
    assert len(heard(RootBudget(given=ruled(budget_session=9)), [started("0.5"), *calls("0.6")])) == 1


def test_a_budget_of_tokens_is_judged_beside_money() -> None:
    said = heard(RootBudget(), [started("1", 3000), *calls("0.01", "0.01", "0.01")])
    assert [(one.severity, one.subject["budget"], one.observed) for one in said] == [
        ("medium", "tokens", "2400 of 3000, 80 %"),
        ("high", "tokens", "3600 of 3000, 120 %"),
    ]


def test_the_rate_so_far_says_when_all_of_it_will_be_spent() -> None:
    [said] = heard(RootBudget(), [started("10"), *calls("4", "4.5", step_s=840)])
    assert said.observed == "8.50 of 10.00, 85 % after 14 min; at this rate all of it in 2 min"


def test_a_budget_declared_late_counts_all_the_same() -> None:
    assert len(heard(RootBudget(), [*calls("2"), started()])) == 1


def test_while_it_goes_on_spending_it_is_told_again_every_five_minutes() -> None:
    said = heard(RootBudget(), [started(), *calls(*["2"] * 12, step_s=60.0)])
    assert brief(said) == [(1.0, "high"), (301.0, "high"), (601.0, "high")]


def test_prices_and_tokens_that_cannot_be_right_exceed_no_budget() -> None:
    absurd = [
        b.llm_called(1, cost=b.money("1000001"), tokens=r.Tokens(1, 1)),
        b.llm_called(2, cost=None, tokens=r.Tokens(10**9, 0)),
    ]
    assert heard(RootBudget(), [started("1", 1000), *absurd]) == []


def test_one_overrun_is_one_incident() -> None:
    """What somebody set a budget for is judged by `cost.budget` alone, everything else by `cost.session` alone."""
    declared = [started("8"), *calls("6", "6")]
    assert {one.detector for d in (RootBudget(), SessionCost()) for one in heard(d, declared)} == {"cost.budget"}
    nothing_said = [b.session_started(0), *calls("6", "6")]
    assert {one.detector for d in (RootBudget(), SessionCost()) for one in heard(d, nothing_said)} == {"cost.session"}


def test_the_order_of_events_does_not_matter() -> None:
    events = [started("1"), *calls(*["0.1"] * 12)]
    for seed in range(5):
        said = heard(RootBudget(), Random(seed).sample(events, len(events)))
        assert [one.severity for one in said] == ["medium", "high"]


def test_the_share_that_is_worth_a_ticket_can_be_set() -> None:
    said = heard(RootBudget(Thresholds(warn_share=0.5)), [started("1"), *calls("0.5")])
    assert [one.severity for one in said] == ["medium"]
