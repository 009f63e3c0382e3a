"""What the policy says for some agents only, and what it wants done besides a page; the two rules without statistics."""

from __future__ import annotations

from typing import Any

import builders as b
import pytest
from replay.saying import Said
from stories.telling import OWNERS, evaluation, session, told, troubles

from streams import policy
from streams.replay import run

REPEATED = '[detectors."tool.repeated_error"'


def failing(agent: str, errors: int, at: float = 0) -> list[Any]:
    calls = [b.tool_failed(at + 2 + n * 0.5, session=f"{agent}/s", agent=agent) for n in range(errors)]
    rest = [b.tool_called(at + 8, session=f"{agent}/s", agent=agent, args_hash="b2:1")]
    return [
        b.session_started(at, session=f"{agent}/s", agent=agent, attribution=b.attribution(team="everybody")),
        *calls,
        *rest,
        b.session_ended(at + 9, session=f"{agent}/s", agent=agent),
    ]


def test_a_threshold_may_differ_for_some_agents():
    rules = f'{REPEATED}.agents."batch-*"]\nerrors_min = 2\n'
    said = told([*failing("batch-7", 2), *failing("billing", 2)], rules)
    assert troubles(said) == {("tool.repeated_error", "high", "batch-7/search")}


def test_a_severity_may_differ_for_some_agents_and_then_nobody_is_paged():
    rules = f'{REPEATED}.agents."batch-*"]\nseverity = "low"\n'
    said = told([*failing("batch-7", 4), *failing("billing", 4, at=900)], rules)
    assert troubles(said) == {
        ("tool.repeated_error", "low", "batch-7/search"),
        ("tool.repeated_error", "high", "billing/search"),
    }
    assert len([owed for owed in said.obligation if owed.kind == "page" and owed.ordinal == 1]) == 1


def test_some_agents_may_be_on_trial():
    rules = f'{REPEATED}.agents."batch-*"]\ndry_run = true\n'
    said = told(failing("batch-7", 4), rules)
    assert [one.held for one in said.incident] == [("dry_run",)]
    assert said.obligation == []


def test_the_first_override_that_matches_holds():
    rules = f'{REPEATED}.agents."batch-7"]\nerrors_min = 9\n{REPEATED}.agents."batch-*"]\nerrors_min = 2\n'
    assert troubles(told(failing("batch-7", 4), rules)) == set()
    assert troubles(told(failing("batch-8", 2), rules)) != set()


def test_a_finding_says_what_control_the_policy_wants():
    said = told(failing("billing", 4), f'{REPEATED}]\ncontrol = "throttle"\n')
    assert {one.control for one in said.finding} == {"throttle"}
    assert {one.control for one in told(failing("billing", 4)).finding} == {""}


def test_an_unknown_threshold_of_an_override_is_an_error_with_a_suggestion():
    with pytest.raises(policy.PolicyError, match="did you mean `errors_min`"):
        policy.parse(f'{REPEATED}.agents."batch-*"]\nerror_min = 2\n', "policy.toml")


def test_one_failure_of_an_evaluator_that_the_policy_calls_critical_pages():
    events = [*session(0, "s1"), evaluation(9, "safety", False, session="billing/s1", agent="billing", release="7")]
    said = told(events, '[detectors."eval.critical"]\ncritical = ["safety"]\n')
    assert troubles(said) == {("eval.critical", "critical", "billing/safety")}
    assert "page" in {owed.kind for owed in said.obligation}
    assert troubles(told(events)) == set()


def test_an_event_that_cannot_be_used_is_a_ticket_and_ten_page():
    line = b'{"specversion":"1.0","id":"%d","source":"/a","type":"agent.tool.called.v1","time":"2026-09-01T12:00:%02dZ","data":{"ctx":{"session_id":"s","run_id":"r","agent":{"id":"legacy"}},"call_id":"c","tool":{"name":"t"},"status":"ok","duration_ms":"12 ms"}}'
    rules = policy.parse(OWNERS, "story")

    def said(count: int) -> Said:
        return Said(list(run([line % (n, n) for n in range(count)], rules, b.at(600))))

    assert troubles(said(1)) == {("intake.rejected", "medium", "legacy/invalid")}
    assert troubles(said(12)) == {("intake.rejected", "high", "legacy/invalid")}
