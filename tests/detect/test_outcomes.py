"""Sessions that say they succeeded while what they did says otherwise."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
import pytest
from detect.listening import heard

from streams import records as r
from streams.detect.session.outcomes import OutcomeContradiction, Thresholds


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(OutcomeContradiction(Thresholds(**limits)), list(events), until=7200)


def judged(at: float, **given: Any) -> Any:
    return b.eval_scored(at, **{"evaluator": "task_success", "passed": False, **given})


def test_success_right_after_a_failing_call_contradicts_itself() -> None:
    events = [b.tool_called(1), b.tool_failed(2, tool="refund"), b.session_ended(3)]
    [found] = said(*events)
    assert (found.severity, found.subject) == ("medium", {"agent": "billing", "tool": "refund"})
    assert [one.id for one in found.evidence] == [events[1].id, events[2].id]
    assert said(*events, last_call=False) == []


@pytest.mark.parametrize(
    "events",
    [
        [b.tool_failed(1), b.tool_called(2), b.session_ended(3)],
        [b.tool_called(1), b.tool_failed(2, by="user"), b.session_ended(3)],
        [b.tool_called(1, status=r.Status.denied), b.session_ended(3)],
        [b.tool_failed(1), b.session_ended(3, status=r.SessionStatus.failed)],
        [b.tool_failed(1)],
        [b.tool_failed(1), b.tool_called(1), b.session_ended(3)],
        [judged(1, evaluator="tone"), b.session_ended(3)],
        [judged(1, target=r.Target("span", "c1")), b.session_ended(3)],
        [judged(1, passed=True), b.session_ended(3)],
        [b.session_ended(3, verified=True)],
    ],
    ids=[
        "repaired",
        "the user's call",
        "denied",
        "says it failed",
        "has not ended",
        "at the same time",
        "another question",
        "of a step",
        "passed",
        "verified",
    ],
)
def test_no_contradiction(events: list[Any]) -> None:
    assert said(*events) == []


def test_an_unverified_success_and_one_that_an_evaluator_of_outcomes_failed() -> None:
    assert [one.subject for one in said(b.session_ended(3, verified=False))] == [
        {"agent": "billing", "check": "verified"}
    ]
    [found] = said(judged(1, label="the order was not refunded"), b.session_ended(3))
    assert found.subject == {"agent": "billing", "evaluator": "task_success"}
    assert found.evidence[0].text == "the order was not refunded"
    assert len(said(judged(1, evaluator="tone"), b.session_ended(3), evaluators=["tone"])) == 1


def test_an_evaluation_minutes_after_the_end_counts_and_is_told_once() -> None:
    found = said(b.tool_failed(1), b.session_ended(3), b.heartbeat(100), judged(600), judged(900))
    assert [sorted(one.subject) for one in found] == [["agent", "tool"], ["agent", "evaluator"]]


def test_the_order_of_arrival_does_not_matter() -> None:
    events = [b.tool_called(1), b.tool_failed(2), b.session_ended(3), judged(4)]
    kinds = {frozenset(tuple(one.subject) for one in said(*order)) for order in permutations(events)}
    assert kinds == {frozenset({("agent", "tool"), ("agent", "evaluator")})}
    fine = [b.tool_failed(1), b.tool_called(2), b.session_ended(3)]
    assert all(said(*order) == [] for order in permutations(fine))


def test_a_session_that_goes_on_after_its_end_is_judged_at_its_last_end() -> None:
    first = [b.tool_failed(1), b.session_ended(2), b.tool_called(10), b.session_ended(12)]
    assert said(*first) == []
    assert len(said(*first[:2], b.heartbeat(100), b.tool_failed(101), b.session_ended(102))) == 2
