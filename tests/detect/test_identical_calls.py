"""Identical call: the same question again and again, though the answer does not change."""

import builders as b
import pytest
from detect.loops import POLLING, call, calls, said

from streams.detect.detector import Chosen
from streams.detect.session.identical_calls import IdenticalCalls, Thresholds
from streams.records import Effect, Status


def test_four_times_the_same_call_with_the_same_result_is_found():
    (found,) = said(IdenticalCalls(), calls("search:a " * 4))
    assert found.title == "billing: tool search is called again and again with the same arguments and the same result"
    assert (found.count, found.severity, found.observed) == (4, "low", "4 of the last 4 calls are the same, 4 in a row")
    assert {one.args_hash for one in found.evidence} == {"b2:a"}


def test_three_are_not():
    assert said(IdenticalCalls(), calls("search:a " * 3)) == []


def test_another_result_is_progress():
    assert said(IdenticalCalls(), [call(n, "test:all", f"{n} failed") for n in range(30)]) == []


def test_other_arguments_are_another_call():
    assert said(IdenticalCalls(), calls(" ".join(f"search:{n}" for n in range(30)))) == []


def test_looking_whether_something_helped_is_ordinary():
    """The same question after each of several different attempts."""
    assert said(IdenticalCalls(), calls(" ".join(f"reset:{n} status:all" for n in range(12)))) == []


def test_two_in_turn_are_a_loop_and_not_this():
    assert said(IdenticalCalls(), calls("search:a search:b " * 10)) == []


def test_a_call_between_does_not_hide_it():
    (found,) = said(IdenticalCalls(), calls("search:a search:a list:x search:a search:a"))
    assert found.count == 4


def test_a_page_at_ten_in_a_row_and_a_step_more_at_eight():
    severities = [one.severity for one in said(IdenticalCalls(), calls("search:a " * 11))]
    assert severities == ["low"] * 4 + ["medium"] * 2 + ["high"] * 2


def test_a_critical_one_is_not_lowered_to_a_page():
    assert said(IdenticalCalls(severity="critical"), calls("search:a " * 10))[-1].severity == "critical"


def test_polling_tools_may_ask_four_times_as_often():
    decider = IdenticalCalls(given=POLLING)
    assert said(decider, calls("job_status:7 " * 15)) == []
    assert [one.severity for one in said(decider, calls("job_status:7 " * 40))][-1] == "high"


def test_a_call_that_fails_again_and_again_is_left_to_repeated_errors():
    failing = [b.tool_failed(n, args_hash="b2:a", result_hash=f"b2:{n}") for n in range(9)]
    assert said(IdenticalCalls(), failing) == []


@pytest.mark.parametrize(
    "hashes",
    [{}, {"args_hash": "b2:a"}, {"result_hash": "b2:r"}, {"args_hash": "", "result_hash": ""}],
    ids=["none", "no result", "no arguments", "empty"],
)
def test_without_both_hashes_nothing_is_judged(hashes):
    assert said(IdenticalCalls(), [b.tool_called(n, **hashes) for n in range(30)]) == []


@pytest.mark.parametrize(
    "progress",
    [
        b.checkpoint_recorded(2.5),
        b.tool_called(2.5, by="user"),
        b.tool_called(2.5, effect=Effect("refund")),
        b.checkpoint_recorded(2.5, diff=b.r.Diff(files=1)),
        call(2.5, "write:x", effect=Effect("file")),
        call(2.5, "write:x", resources=[b.r.Resource("file:///a", "write")]),
    ],
    ids=["checkpoint", "user", "effect", "changed", "write", "file"],
)
def test_after_progress_it_is_a_new_question(progress):
    asked = calls("search:a " * 6)
    assert said(IdenticalCalls(), [*asked[:3], progress, *asked[3:]]) == []


def test_a_failed_write_and_a_restored_checkpoint_are_no_progress():
    for event in (
        call(2.5, "w:x", effect=Effect("file"), status=Status.denied),
        b.checkpoint_recorded(2, op="restore"),
    ):
        asked = calls("search:a " * 6)
        assert said(IdenticalCalls(), [*asked[:3], event, *asked[3:]])


def test_limits_are_policy_also_for_one_agent():
    assert len(said(IdenticalCalls(Thresholds(same_min=2)), calls("search:a " * 2))) == 1
    chosen = (("bill*", Chosen(Thresholds(same_min=2), "critical", False)),)
    (found,) = said(IdenticalCalls(overrides=chosen), calls("search:a " * 2))
    assert found.severity == "critical"
