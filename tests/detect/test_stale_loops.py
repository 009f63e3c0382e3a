"""Stale loop: a session in which nothing is new any more."""

import builders as b
import pytest
from detect.loops import POLLING, call, calls, said

from streams.detect.session.stale_loops import StaleLoops
from streams.records import Effect


@pytest.mark.parametrize("period", range(1, 9))
def test_a_loop_of_any_period_is_found_six_calls_after_its_first_turn(period):
    turn = " ".join(f"tool{n}:x" for n in range(period))
    events = calls(f"{turn} " * 7)
    assert said(StaleLoops(), events[: period + 5]) == []
    (found,) = said(StaleLoops(), events[: period + 6])
    assert (found.count, found.severity) == (6, "medium")
    assert found.title == "billing: a session goes in circles, nothing it asks or hears is new"


def test_the_order_of_the_calls_does_not_matter():
    assert said(StaleLoops(), calls("a:1 b:1 c:1 c:1 a:1 b:1 b:1 c:1 a:1"))


def test_one_new_call_starts_the_count_anew():
    assert said(StaleLoops(), calls("a:1 a:1 a:1 a:1 a:1 b:1 a:1 a:1 a:1 a:1 a:1")) == []


def test_a_new_answer_is_new():
    assert said(StaleLoops(), [call(n, "test:all", f"{n}") for n in range(30)]) == []


def test_an_error_is_the_same_though_its_text_names_another_request():
    failing = [
        b.tool_failed(n, args_hash="b2:a", result_hash=f"b2:{n}", message=f"request req_{n}7 refused") for n in range(7)
    ]
    assert len(said(StaleLoops(), failing)) == 1
    other = [b.tool_failed(n, args_hash="b2:a", message=f"refused {'abcdefgh'[n]}") for n in range(7)]
    assert said(StaleLoops(), other) == []


def test_it_rises_when_it_goes_on():
    severities = [one.severity for one in said(StaleLoops(), calls("a:1 " * 14))]
    assert severities == ["medium"] * 6 + ["high"] * 2


def test_the_evidence_is_what_was_asked_again():
    found = said(StaleLoops(), calls("a:1 b:1 " * 6))[-1]
    assert {one.tool for one in found.evidence} == {"a", "b"}
    assert found.observed == "10 calls in a row that were made before with the same results: a, b"
    assert len(found.evidence) == 5


@pytest.mark.parametrize(
    "progress",
    [b.checkpoint_recorded(5), b.tool_called(5, by="user"), call(5, "write:x", effect=Effect("file"))],
    ids=["checkpoint", "user", "write"],
)
def test_after_progress_everything_may_be_asked_again(progress):
    assert said(StaleLoops(), [*calls("a:1 " * 6), progress, *calls("a:1 " * 6)]) == []


def test_the_same_write_again_is_no_progress():
    writes = [call(n, "write:x", effect=Effect("file")) for n in range(7)]
    assert len(said(StaleLoops(), writes)) == 1


def test_polling_counts_a_quarter():
    decider = StaleLoops(given=POLLING)
    assert said(decider, calls("job_status:7 " * 24)) == []
    assert len(said(decider, calls("job_status:7 " * 25))) == 1


def test_what_was_asked_more_than_64_calls_ago_is_forgotten():
    between = " ".join(f"read:{n}" for n in range(60))
    asked = "a:0 a:1 a:2 a:3 a:4 a:5"
    assert said(StaleLoops(), calls(f"{asked} {between} {asked}")) == []
    assert said(StaleLoops(), calls(f"{asked} {between[: between.index('read:50')]} {asked}"))


def test_a_long_loop_is_told_to_its_end():
    found = said(StaleLoops(), calls("a:1 b:1 c:1 " * 50))
    assert len(found) == 150 - 3 - 5
    assert found[-1].count == 61


@pytest.mark.parametrize("hashes", [{}, {"args_hash": "", "result_hash": ""}, {"args_hash": "b2:a", "result_hash": ""}])
def test_without_hashes_nothing_is_judged(hashes):
    assert said(StaleLoops(), [b.tool_called(n, **hashes) for n in range(30)]) == []
