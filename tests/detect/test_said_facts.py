"""What sessions, calls and reports contribute to wider questions, exactly, whatever the order."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import builders as b
from contract.running import run
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.detect.methods.sketch import index
from streams.detect.session.calls import ModelFacts, ToolFacts
from streams.detect.session.reports import NumberFacts, PermissionFacts
from streams.detect.session.totals import GONE_S, YOUNG_S, SessionFacts
from streams.records import Effect, Error, Fact, PermissionResult, Resource, SessionStatus, Status, Task, Tokens, Tool


def facts(decider: Any, events: list[Any], kind: str = "") -> list[Fact]:
    return [fact for _, fact in run(decider, events).said if not kind or fact.kind == kind]


def summary(events: list[Any]) -> Fact:
    (ended,) = [fact for fact in facts(SessionFacts(), events, "session") if "ended" in fact.sums]
    return ended


def session() -> list[Any]:
    return [
        b.session_started(0, task=Task(kind="refund"), prompt_hash="b2:p", model="gpt-5"),
        b.llm_called(1, cost=b.money("0.02"), tokens=Tokens(900, 100)),
        b.tool_called(2),
        b.tool_failed(3),
        b.llm_called(4, cost=b.money("0.03"), tokens=Tokens(500, 50), attempt=2),
        b.llm_called(5, cost=None, tokens=Tokens(10, 5)),
        b.session_ended(6, status=SessionStatus.failed),
    ]


def test_a_session_is_summed_up_once_when_its_end_is_past() -> None:
    found = summary(session())
    assert found.subject == ("billing", "7", "prod", "refund")
    known = {name: value for name, value in found.sums.items() if "#" not in name}
    assert known == {
        "ended": 1,
        "failed": 1,
        "ms": 6000,
        "steps": 5,
        "tokens": 1565,
        "nano": 50_000_000,
        "models": 3,
        "tools": 2,
        "errors": 1,
        "retries": 1,
        "retry_nano": 30_000_000,
        "unpriced": 1,
    }
    assert found.sums[f"cost#{index(0.05)}"] == found.sums[f"steps#{index(5)}"] == found.sums[f"ms#{index(6000)}"] == 1
    assert [sample.status for sample in found.samples] == ["failed"]


@given(st.permutations(range(7)))
def test_the_sum_does_not_depend_on_the_order_in_which_its_events_arrive(order: list[int]) -> None:
    events = session()
    assert summary([events[n] for n in order]).sums == summary(events).sums


def test_a_start_says_what_it_was_configured_with() -> None:
    said = facts(SessionFacts(), session())
    (config,) = [fact for fact in said if fact.kind == "config"]
    assert config.marks == ("prompt:b2:p", "model:gpt-5")
    assert next(fact.sums for fact in said if fact.kind == "session") == {"started": 1}


def test_a_session_is_alive_once_a_minute() -> None:
    said = facts(SessionFacts(), [b.heartbeat(n * 20) for n in range(9)], "alive")
    assert [(fact.subject, fact.marks) for fact in said] == [(("fleet", "prod"), ("billing",))] * 3


def test_a_second_start_of_a_session_is_a_crash_and_so_is_a_young_session_that_vanishes() -> None:
    again = [
        b.session_started(0, ctx=b.ctx(node="n1")),
        b.session_started(40, ctx=b.ctx(node="n1")),
        b.session_ended(50),
    ]
    assert [(fact.sums, fact.marks) for fact in facts(SessionFacts(), again, "crash")] == [({"restarts": 1}, ("n1",))]
    gone = [b.session_started(0, ctx=b.ctx(node="n2")), b.llm_called(5)]
    assert [(fact.sums, fact.marks) for fact in facts(SessionFacts(), gone, "crash")] == [({"vanished": 1}, ("n2",))]


def test_neither_an_old_session_nor_one_that_ended_has_vanished() -> None:
    beats = [b.heartbeat(n * 60.0) for n in range(int(YOUNG_S + GONE_S) // 60 + 2)]
    assert facts(SessionFacts(), beats, "crash") == []
    assert facts(SessionFacts(), [b.session_started(0), b.session_ended(1)], "crash") == []


def test_spending_is_told_at_levels_not_at_calls() -> None:
    calls = [b.llm_called(n, cost=b.money("0.001")) for n in range(1000)]
    told = [fact.samples[0].value for fact in facts(SessionFacts(), calls, "spent")]
    assert told[0] == 0.05
    assert len(told) < 25
    assert all(later / earlier < 1.25 for earlier, later in pairwise(told))


def test_what_a_session_has_spent_names_the_session_so_that_none_is_lost_when_many_spend_at_once() -> None:
    start = b.session_started(0, task=Task(kind="refund"))
    (fact,) = facts(SessionFacts(), [start, b.llm_called(1, cost=b.money("0.07"))], "spent")
    assert fact.marks == ("70000000\x1fs1\x1frefund",)


def test_an_absurd_price_or_count_of_tokens_is_added_to_nothing() -> None:
    absurd = b.llm_called(1, cost=b.money("5000000"), tokens=Tokens(10**9, 5))
    (model,) = facts(ModelFacts(), [absurd], "model")
    assert (model.sums["priced"], model.sums.keys() & {"nano", "input", "output"}) == (1, set())
    ended = summary([b.session_started(0), absurd, b.llm_called(2), b.session_ended(3)])
    assert (ended.sums["nano"], ended.sums["tokens"]) == (10_000_000, 1200)
    assert facts(SessionFacts(), [absurd], "spent") == []


def test_a_tool_that_is_paid_for_says_so_and_so_does_a_call_that_has_a_cost_without_tokens() -> None:
    assert facts(ToolFacts(), [b.tool_called(0, cost=b.money("0.5"))])[0].sums["nano"] == 500_000_000
    (model,) = facts(ModelFacts(), [b.llm_called(0, tokens=None)], "model")
    assert (model.sums["bare"], "priced" in model.sums) == (1, False)


def test_late_arrivals_and_clocks_ahead_are_counted_and_the_past_is_not() -> None:
    def arriving(after_s: float) -> Any:
        event = b.tool_called(100)
        event.recordedtime = b.at(100 + after_s)
        return event

    said = facts(SessionFacts(), [arriving(s) for s in (0.2, 12, -30, 3 * 86_400)], "late")
    assert sum((Counter(fact.sums) for fact in said), Counter()) == {f"late#{index(12)}": 1, "ahead": 1}


def test_an_ordinary_call_is_one_fact_and_a_failure_names_what_it_depends_on() -> None:
    (fact,) = facts(ToolFacts(), [b.tool_called(0)])
    assert (fact.kind, fact.subject, fact.sums) == (
        "tool",
        ("billing", "7", "prod", "search", ""),
        {"calls": 1, f"ms#{index(40)}": 1},
    )
    failed = b.tool_failed(
        1, message="order 17 not found", tool="search", error=Error("NotFound", "order 17 not found")
    )
    failed.data = replace(failed.data, tool=Tool("search", server="shop-mcp"))
    error = facts(ToolFacts(), [failed], "tool_error")[0]
    assert error.subject == ("shop-mcp",)
    assert error.sums == {"search\x1fNotFound\x1forder * not found": 1}
    assert [mark.partition("\x1e")[2] for mark in error.marks] == ["billing\x1fs1"]


def test_a_denial_is_no_error_of_the_tool() -> None:
    said = facts(ToolFacts(), [b.tool_called(0, status=Status.denied)])
    assert [(fact.kind, fact.sums.get("denied")) for fact in said] == [("tool", 1)]


def test_what_was_written_and_what_was_not_found_are_told() -> None:
    wrote = b.tool_called(
        0, effect=Effect("file", target="file:///a"), resources=[Resource("file:///b", "write"), Resource("file:///c")]
    )
    assert [fact.subject for fact in facts(ToolFacts(), [wrote], "write")] == [
        ("file:///a", "prod"),
        ("file:///b", "prod"),
    ]
    searched = [b.tool_called(1, hits=0), b.tool_called(2, hits=4, top_score=0.5)]
    sums = sum((Counter(fact.sums) for fact in facts(ToolFacts(), searched, "retrieval")), Counter())
    assert sums == {"calls": 2, "empty": 1, "scored": 1, "score": 500_000}


def test_a_model_call_is_told_to_its_agent_and_to_its_provider() -> None:
    failed = b.llm_called(0, status=Status.error, error=Error("429", "slow down"), cost=None, tokens=None)
    model, provider = facts(ModelFacts(), [failed])
    assert (model.subject, model.sums["errors"]) == (("billing", "7", "prod", "openai", "gpt-5"), 1)
    assert (provider.subject, provider.sums, provider.marks) == (
        ("openai", "gpt-5"),
        {"calls": 1, "errors": 1},
        ("billing",),
    )
    model, provider = facts(ModelFacts(), [b.llm_called(0, finish_reasons=["length"], cost=None)])
    assert (model.sums["unpriced"], model.sums["cut"], provider.marks) == (1, 1, ())


def test_denials_are_told_with_their_session_and_numbers_within_reason() -> None:
    denied = b.permission_checked(0, result=PermissionResult.denied)
    (fact,) = facts(PermissionFacts(), [denied])
    assert (fact.subject, fact.sums["denied"], fact.marks) == (("billing", "prod", "refund"), 1, ("s1",))
    beat = b.heartbeat(0, numbers={"queue": 2.5, "absurd": 1e200})
    assert [(fact.subject[2], fact.sums) for fact in facts(NumberFacts(), [beat])] == [
        ("queue", {"n": 1, "micro": 2_500_000})
    ]


def test_a_young_session_that_waits_for_a_persons_answer_has_not_vanished() -> None:
    asked = [b.session_started(0), b.permission_checked(30, result=PermissionResult.pending)]
    assert facts(SessionFacts(), asked, "crash") == []
    answered = [*asked, b.permission_checked(60)]
    assert [fact.sums for fact in facts(SessionFacts(), answered, "crash")] == [{"vanished": 1}]
