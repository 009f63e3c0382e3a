"""Sequence loop: the same few calls in turn."""

import builders as b
from detect.loops import POLLING, call, calls, said

from streams.detect.session.sequences import Sequences, Thresholds


def test_two_calls_in_turn_three_times_are_found():
    (found,) = said(Sequences(), calls("read:a write:b " * 3))
    assert (found.count, found.severity, found.observed) == (3, "medium", "3 turns of the same 2 calls")
    assert found.title == "billing: a session makes the same calls in turn: read → write"
    assert [one.tool for one in found.evidence] == ["read", "write"]


def test_three_as_well():
    assert [one.count for one in said(Sequences(), calls("a:1 b:1 c:1 " * 4))] == [3, 4]


def test_two_turns_are_not_yet_three():
    assert said(Sequences(), calls("read:a write:b " * 2 + "read:a")) == []


def test_results_do_not_matter():
    events = [call(n, ("edit:x", "test:all")[n % 2], result=f"{n}") for n in range(6)]
    assert len(said(Sequences(), events)) == 1


def test_other_arguments_each_time_are_ordinary_work():
    assert said(Sequences(), calls(" ".join(f"edit:{n} test:{n}" for n in range(20)))) == []


def test_one_call_alone_is_no_sequence():
    assert said(Sequences(), calls("a:1 " * 30)) == []
    assert said(Sequences(Thresholds(lengths=(2, 3, 4))), calls("a:1 " * 30)) == []


def test_the_shortest_turn_names_it():
    found = said(Sequences(Thresholds(lengths=(4, 2))), calls("a:1 b:1 " * 8))
    assert {len(one.evidence) for one in found} == {2}


def test_the_same_circle_is_the_same_trouble_wherever_it_begins():
    one, other = said(Sequences(), calls("a:1 b:1 c:1 " * 3)), said(Sequences(), calls("c:1 a:1 b:1 " * 3))
    assert {found.fingerprint for found in one} == {found.fingerprint for found in other}
    (reverse,) = said(Sequences(), calls("c:1 b:1 a:1 " * 3))
    assert reverse.fingerprint != one[0].fingerprint


def test_it_rises_at_twice_as_many_turns():
    assert [one.severity for one in said(Sequences(), calls("a:1 b:1 " * 6))] == ["medium"] * 3 + ["high"]


def test_with_a_polling_tool_it_takes_four_times_as_many():
    decider = Sequences(given=POLLING)
    assert said(decider, calls("job_status:7 sleep:9 " * 11)) == []
    assert len(said(decider, calls("job_status:7 sleep:9 " * 12))) == 1


def test_the_users_turn_ends_it():
    assert said(Sequences(), [*calls("a:1 b:1 " * 2), b.tool_called(9, by="user"), *calls("a:1 b:1 " * 2)]) == []


def test_without_a_hash_of_the_arguments_nothing_is_judged():
    events = [b.tool_called(n, tool="ab"[n % 2], args_hash="" if n % 3 else None) for n in range(30)]
    assert said(Sequences(), events) == []


def test_with_other_lengths_after_a_restart_it_goes_on():
    memory, found = None, []
    for event in calls("a:1 b:1 " * 2):
        memory = Sequences().step(memory, event).remember
    for event in calls("a:1 b:1"):
        step = Sequences(Thresholds(lengths=(2,))).step(memory, event)
        memory = step.remember
        found += step.say
    assert [one.count for one in found] == [3]


def test_when_both_calls_poll_the_longest_turn_that_is_remembered_is_enough():
    decider = Sequences(Thresholds(lengths=(5,), turns_min=10), given=POLLING)
    turn = " ".join(f"job_{n}:x" for n in range(5)) + " "
    assert said(decider, calls(turn * 11)) == []
    assert said(decider, calls(turn * 12))
