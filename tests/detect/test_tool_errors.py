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
