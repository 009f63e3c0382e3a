"""Repeated tool error: one tool that keeps failing in one session."""

from __future__ import annotations

from typing import Any

import builders as b

from streams.detect.session.tool_errors import Calls, RepeatedToolError, Thresholds
from streams.records import Finding, Status


def told(events: list[Any], thresholds: Thresholds | None = None) -> list[Finding]:
    decider, memory, said = RepeatedToolError(thresholds), None, []
    for event in events:
        step = decider.step(memory, event)
        memory = step.remember
        said += step.say
    assert isinstance(memory, Calls)
    return said


def test_three_times_the_same_error_is_trouble_whatever_its_ids() -> None:
    said = told([b.tool_failed(n, message=f"order {n} not found after {n} ms") for n in range(3)])
    assert [found.count for found in said] == [3]
    assert said[0].title == "billing: tool search keeps failing: order * not found after *"
    assert [excerpt.text for excerpt in said[0].evidence] == ["order * not found after *"] * 3


def test_different_errors_are_trouble_when_they_are_half_of_the_calls() -> None:
    failing = [b.tool_failed(n, message=word) for n, word in enumerate(("refused", "expired", "missing"))]
    working = [b.tool_called(10 + n) for n in range(3)]
    (found,) = told(working + failing)
    assert found.title.endswith("different errors")


def test_a_few_errors_among_many_calls_are_ordinary_work() -> None:
    calls = [b.tool_called(n) for n in range(14)]
    failing = [b.tool_failed(n, message=word) for n, word in enumerate(("refused", "expired", "missing"))]
    assert told(calls + failing) == []


def test_errors_of_different_tools_are_not_one_trouble() -> None:
    assert told([b.tool_failed(n, tool=f"tool-{n}") for n in range(6)]) == []


def test_a_persons_denial_is_not_a_tool_error() -> None:
    assert told([b.tool_called(n, status=Status.denied) for n in range(9)]) == []


def test_a_timeout_is_one() -> None:
    assert len(told([b.tool_called(n, status=Status.timeout) for n in range(3)])) == 1


def test_two_are_not_yet_three_and_old_ones_fall_out() -> None:
    assert told([b.tool_failed(n) for n in range(2)]) == []
    spread = [b.tool_failed(0), b.tool_failed(1), *(b.tool_called(2 + n) for n in range(19)), b.tool_failed(30)]
    assert told(spread) == []


def test_it_says_so_again_with_each_further_error_and_never_with_a_success() -> None:
    assert [found.count for found in told([b.tool_failed(n) for n in range(5)] + [b.tool_called(9)])] == [3, 4, 5]


def test_limits_are_policy() -> None:
    assert len(told([b.tool_failed(n) for n in range(2)], Thresholds(errors_min=2))) == 1


def test_a_server_is_part_of_the_tool() -> None:
    events = [b.tool_failed(n, tool="search") for n in range(2)]
    other = b.tool_failed(5)
    other.data = b.r.ToolCalledData(
        ctx=other.data.ctx,
        call_id="x",
        tool=b.r.Tool("search", server="mcp"),
        status=Status.error,
        error=other.data.error,
    )
    assert told([*events, other]) == []


def named(*names: str, start: int = 0) -> list[Any]:
    return [b.tool_failed(start + n, message=f"customer {name} not found") for n, name in enumerate(names)]


def test_messages_that_differ_in_a_name_are_the_same_error_in_whatever_order() -> None:
    (found,) = told(named("alice", "bob", "eve"))
    assert found.title == "billing: tool search keeps failing: customer … not found"
    assert {one.fingerprint for one in told(named("eve", "alice", "bob"))} == {found.fingerprint}


def test_what_people_were_told_keeps_its_name_when_more_names_come() -> None:
    found = told(named("alice", "alice", "alice", "bob", "eve"))
    assert [one.count for one in found] == [3, 4, 5]
    assert {one.title for one in found} == {"billing: tool search keeps failing: customer alice not found"}
    assert len({one.fingerprint for one in found}) == 1


def test_another_error_between_does_not_make_it_several() -> None:
    found = told([*named("alice", "alice", "alice"), b.tool_failed(9, message="refused")])
    assert len({one.fingerprint for one in found}) == 1


def test_the_class_of_an_error_is_part_of_it() -> None:
    failing = [
        b.tool_failed(n, error=b.r.Error(("NotFound", "Forbidden", "Gone")[n], "customer x refused")) for n in range(3)
    ]
    (found,) = told(failing)
    assert found.title.endswith("different errors")


def test_without_a_message_its_class_is_its_name() -> None:
    (found,) = told([b.tool_failed(n, error=b.r.Error("Throttled")) for n in range(3)])
    assert found.title.endswith("keeps failing: Throttled")
    (late,) = told([b.tool_called(n, status=Status.timeout) for n in range(3)])
    assert late.title.endswith("keeps failing: timeout")


def test_it_names_what_the_tool_depends_on() -> None:
    assert told([b.tool_failed(n) for n in range(3)])[0].dependency == "search"
    server = b.r.Tool("search", server="crm")
    events = [b.tool_called(n, status=Status.error) for n in range(3)]
    for event in events:
        event.data = b.r.ToolCalledData(ctx=event.data.ctx, call_id="x", tool=server, status=Status.error)
    (found,) = told(events)
    assert (found.dependency, found.subject["tool"]) == ("crm", "crm/search")


def test_the_newest_five_are_evidence() -> None:
    found = told([b.tool_failed(n) for n in range(12)])[-1]
    assert found.count == 12
    assert [one.at for one in found.evidence] == [b.at(n) for n in range(7, 12)]


def test_a_smaller_window_in_a_new_policy_forgets_what_is_beyond_it() -> None:
    memory = None
    for event in [b.tool_failed(0), b.tool_failed(1), *(b.tool_called(2 + n) for n in range(10))]:
        memory = RepeatedToolError().step(memory, event).remember
    later = RepeatedToolError(Thresholds(calls=5)).step(memory, b.tool_failed(20))
    assert not later.say
    assert later.remember is not None
    assert len(later.remember.failed) == 1


def test_a_long_ordinary_session_with_one_tool_changes_nothing_any_more() -> None:
    memory = None
    for n in range(20):
        memory = RepeatedToolError().step(memory, b.tool_called(n)).remember
    assert RepeatedToolError().step(memory, b.tool_called(21)).remember is memory


def test_a_tool_that_fails_now_and_then_in_a_long_session_is_no_trouble() -> None:
    words = ("refused", "expired", "missing", "locked", "too late")
    events = [b.tool_failed(n, message=words[n // 8 % 5]) if n % 8 == 0 else b.tool_called(n) for n in range(400)]
    assert told(events) == []
