"""Tools that a session was not given, and tools that it should have called."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
import pytest
from detect.listening import below, heard

from streams import records as r
from streams.detect.session.tools_skipped import ToolSkipped
from streams.detect.session.tools_unknown import Thresholds, ToolUnknown

TOOLS = ["search", "refund", "crm/update"]


def calls(*names: str, start: float = 1) -> list[Any]:
    return [b.tool_called(start + n, tool=name) for n, name in enumerate(names)]


def unknown(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(ToolUnknown(Thresholds(**limits)), list(events), until=3600)


def test_two_calls_of_tools_that_were_never_given_are_a_ticket() -> None:
    [found] = unknown(b.session_started(0, tools=TOOLS), *calls("search", "sarch", "search", "book"))
    assert (found.severity, found.subject, found.count) == ("medium", {"agent": "billing"}, 2)
    assert found.title == "billing: calls tools that it was not given: sarch, book"
    assert [one.tool for one in found.evidence] == ["sarch", "book"]
    assert unknown(b.session_started(0, tools=TOOLS), *calls("search", "sarch", "search")) == []


@pytest.mark.parametrize("tools", [None, [], ["mcp__*", "search"]])
def test_without_a_list_of_names_nothing_is_unknown(tools: list[str] | None) -> None:
    assert unknown(b.session_started(0, tools=tools), *calls("a", "b", "c")) == []
    assert unknown(*calls("a", "b", "c")) == []


def test_the_users_tools_and_those_of_servers_under_their_usual_names_are_fine() -> None:
    served = [b.r.Tool("update", server="crm"), b.r.Tool("search", server="web")]
    events = [b.tool_called(1 + n) for n in range(4)]
    for event, tool in zip(events, served * 2, strict=True):
        event.data = b.r.ToolCalledData(ctx=event.data.ctx, call_id="c", tool=tool, status=r.Status.ok)
    assert unknown(b.session_started(0, tools=TOOLS), *events) == []
    assert unknown(b.session_started(0, tools=TOOLS), *(b.tool_called(n, tool="x", by="user") for n in range(5))) == []


def test_a_start_that_arrives_late_is_waited_for() -> None:
    events = [b.session_started(0, tools=["search"]), *calls("sarch", "search", "book")]
    for order in permutations(events):
        assert [(one.count, one.subject) for one in unknown(*order)] == [(2, {"agent": "billing"})]
    known = [b.session_started(0, tools=["search", "book"]), *calls("book", "search", "book")]
    assert all(unknown(*order) == [] for order in permutations(known))


def test_a_session_that_starts_anew_may_have_more_tools() -> None:
    events = [b.session_started(0, tools=["search"]), *calls("search"), b.session_started(10, tools=["book"])]
    assert unknown(*events, *calls("book", "search", "book", start=20)) == []


def test_a_hundred_thousand_invented_names_are_one_trouble_in_a_small_memory() -> None:
    decider, memory = ToolUnknown(), None
    memory = decider.step(memory, b.session_started(0, tools=TOOLS)).remember
    for n in range(300):
        memory = decider.step(memory, b.tool_called(n, tool=f"t{n}")).remember
    assert memory is not None
    assert len(memory.waiting) == 64
    step = decider.step(memory, b.tick(300))
    assert (len(step.say), step.remember.waiting) == (1, ())


# -- tools without which the work is not done -------------------------------------------------------------------------


def skipped(*events: Any) -> list[r.Finding]:
    return heard(ToolSkipped(), list(events), until=3600)


def test_a_session_that_succeeds_without_an_expected_tool_is_a_ticket() -> None:
    start = b.session_started(0, expected_tools=["refund", "mail"])
    [found] = skipped(start, *calls("search", "mail"), b.session_ended(9))
    assert (found.severity, found.subject) == ("medium", {"agent": "billing", "tool": "refund"})


@pytest.mark.parametrize(
    "events",
    [
        [*calls("refund"), b.session_ended(9)],
        [b.tool_failed(1, tool="refund"), b.session_ended(9)],
        [b.session_ended(9, status=r.SessionStatus.failed)],
        [b.tool_called(1, tool="refund", ctx=below()), b.session_ended(9)],
        calls("search"),
    ],
    ids=["called", "called and failed", "failed anyway", "called by a subagent", "has not ended"],
)
def test_nothing_was_skipped(events: list[Any]) -> None:
    assert skipped(b.session_started(0, expected_tools=["refund"]), *events) == []


def test_what_a_subagent_expects_and_its_end_are_not_the_roots() -> None:
    start = b.session_started(0, ctx=below(), expected_tools=["mail"])
    assert skipped(b.session_started(0), start, b.session_ended(5, ctx=below()), b.session_ended(9)) == []


def test_events_that_arrive_in_any_order_say_the_same() -> None:
    events = [b.session_started(0, expected_tools=["mail"]), *calls("search", "mail"), b.session_ended(9)]
    assert all(skipped(*order) == [] for order in permutations(events))
    events = [b.session_started(0, expected_tools=["mail"]), *calls("search"), b.session_ended(9)]
    assert all(len(skipped(*order)) == 1 for order in permutations(events))


def test_a_session_that_expects_nothing_remembers_next_to_nothing() -> None:
    decider = ToolSkipped()
    memory = decider.step(None, b.session_started(0)).remember
    assert decider.step(memory, b.tool_called(1)).remember is memory
