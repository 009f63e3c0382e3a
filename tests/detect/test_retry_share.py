"""How much of a session's cost went into doing again what had failed."""

from __future__ import annotations

from typing import Any

import builders as b
from detect.listening import brief, heard

from streams.detect.session.retry_share import RetryShare, Thresholds


def call(at: float, cost: str = "0.1", **given: Any) -> Any:
    return b.llm_called(at, cost=b.money(cost), **given)


def test_a_third_of_the_money_for_retries_is_worth_a_ticket() -> None:
    said = heard(RetryShare(), [call(0, "0.5"), call(1, "0.15", attempt=2), call(2, "0.1", attempt=3)])
    assert [(one.severity, one.observed, one.count) for one in said] == [("medium", "0.25 of 0.75 in 2 retries", 2)]
    assert [one.value for one in said[0].evidence] == [0.15, 0.1]


def test_a_few_cents_of_retries_are_nobodys_business() -> None:
    assert heard(RetryShare(), [call(n, "0.01", attempt=2) for n in range(20)]) == []


def test_a_small_share_is_nobodys_business() -> None:
    assert heard(RetryShare(), [call(0, "5"), *(call(n, "0.1", attempt=2) for n in range(1, 8))]) == []


def test_a_tool_called_again_with_the_arguments_that_failed_is_a_retry_though_it_does_not_say_so() -> None:
    same: dict[str, Any] = {"tool": "render", "args_hash": "b2:1", "cost": b.money("0.2")}
    said = heard(RetryShare(), [b.tool_failed(0, **same), b.tool_called(1, **same), b.tool_called(2, **same)])
    assert [one.observed for one in said] == ["0.40 of 0.60 in 2 retries"]
    other = {**same, "args_hash": "b2:2"}
    assert heard(RetryShare(), [b.tool_failed(0, **same), b.tool_called(1, **other), b.tool_called(2, **other)]) == []


def test_a_persons_denial_is_no_failure_that_could_be_retried() -> None:
    same: dict[str, Any] = {"tool": "render", "args_hash": "b2:1", "cost": b.money("0.2")}
    denied = b.tool_called(0, status=b.r.Status.denied, **same)
    assert heard(RetryShare(), [denied, b.tool_called(1, **same), b.tool_called(2, **same)]) == []


def test_it_is_told_again_after_five_minutes_of_further_retries() -> None:
    said = heard(RetryShare(), [call(n * 60, "0.3", attempt=2) for n in range(11)])
    assert brief(said) == [(0.0, "medium"), (300.0, "medium"), (600.0, "medium")]


def test_a_price_that_cannot_be_right_is_no_retry_that_costs() -> None:
    assert heard(RetryShare(), [call(0, "5000", attempt=2)]) == []


def test_the_limits_can_be_set() -> None:
    said = heard(RetryShare(Thresholds(share_max=0.1, retry_cost_min=0.01)), [call(0), call(1, "0.02", attempt=2)])
    assert len(said) == 1
