"""Requests for permission that nobody answers."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import pytest
from contract.running import Runner
from detect.listening import brief, heard, recorded

from streams import records as r
from streams.detect.session.approvals import ApprovalStalled

DAY = 86_400.0


def asked(at: float, request: str = "p", **given: Any) -> Any:
    return b.permission_checked(at, request_id=request, result=r.PermissionResult.pending, **given)


def answered(at: float, request: str = "p", result: str = "allowed") -> Any:
    return b.permission_checked(at, request_id=request, result=r.PermissionResult(result))


def test_a_request_that_nobody_answers_for_half_an_hour_is_worth_a_ticket() -> None:
    said = heard(ApprovalStalled(), [asked(0)], until=2200)
    assert brief(said) == [(1800.0, "medium"), (2100.0, "medium")]
    assert (said[0].subject, said[0].observed) == ({"agent": "billing", "action": "refund"}, "pending for 30 min")
    assert [one.status for one in said[0].evidence] == ["pending"]


@pytest.mark.parametrize("result", ["allowed", "denied", "expired"])
def test_any_answer_is_an_answer(result: str) -> None:
    assert heard(ApprovalStalled(), [asked(0), answered(1700, result=result)], until=DAY) == []


def test_an_answer_that_overtook_its_request_is_an_answer() -> None:
    assert heard(ApprovalStalled(), [answered(12), asked(10)], until=DAY) == []


def test_a_request_repeated_while_it_waits_is_as_old_as_its_first() -> None:
    said = heard(ApprovalStalled(), [asked(0), asked(600), asked(1200)], until=1900)
    assert brief(said) == [(1800.0, "medium")]


def test_the_answer_to_another_request_is_no_answer() -> None:
    assert len(heard(ApprovalStalled(), [asked(0), answered(5, "q")], until=1900)) == 1


def test_requests_for_the_same_are_told_together_and_others_apart() -> None:
    said = heard(ApprovalStalled(), [asked(0, "p"), asked(0, "q"), asked(0, "z", action="delete")], until=1900)
    assert sorted((one.subject["action"], one.count) for one in said) == [("delete", 1), ("refund", 2)]


def test_a_session_that_ended_waits_for_nothing() -> None:
    assert heard(ApprovalStalled(), [asked(0), b.session_ended(60), asked(30, "q")], until=DAY) == []


def test_after_a_day_nobody_is_asked_any_more() -> None:
    runner = Runner(ApprovalStalled())
    for number in range(500):
        runner.take(asked(number, f"p{number}"))
    runner.wake(b.at(10 * DAY))
    assert runner.due == {}


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_clock_that_is_an_hour_off_leaves_half_an_hour(off_s: float) -> None:
    others = [recorded(b.permission_checked(10 * n, session="s9"), 0.0) for n in range(20)]
    wrong = [recorded(asked(5), off_s), *others, recorded(answered(150), off_s)]
    assert heard(ApprovalStalled(), wrong, until=1790) == []


def test_the_order_within_the_lateness_does_not_matter() -> None:
    events = [asked(0, "p"), asked(1, "q"), answered(2, "q"), asked(3, "z", action="delete"), answered(4, "w")]
    expected = [(one.fingerprint, one.count, one.at) for one in heard(ApprovalStalled(), events, until=3000)]
    for seed in range(10):
        said = heard(ApprovalStalled(), Random(seed).sample(events, len(events)), until=3000)
        assert [(one.fingerprint, one.count, one.at) for one in said] == expected
