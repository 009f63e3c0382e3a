"""From events to what people are told: sessions that cost, hang and go round, with the shipped policy and all detectors."""

from __future__ import annotations

from typing import Any

import builders as b
import pytest
from detect.listening import below, recorded
from replay.saying import Said
from stories.telling import OWNERS, session, told, troubles

from streams import policy
from streams import records as r
from streams.records.timeline import encode
from streams.replay import run

DENIED, PENDING = r.PermissionResult.denied, r.PermissionResult.pending


def started(at: float = 0, name: str = "s1", **given: Any) -> Any:
    return b.session_started(at, session=name, attribution=b.attribution(team="everybody"), **given)


def lines(events: list[Any]) -> list[bytes]:
    for event in events:
        event.position = None
    return [encode(event) for event in events]


def models(start: float, count: int, step_s: float, **given: Any) -> list[Any]:
    return [b.llm_called(start + n * step_s, **given) for n in range(count)]


def test_a_session_without_a_budget_becomes_a_ticket_and_then_a_page():
    said = told([started(), *models(1, 8, 30, cost=b.money("0.7")), b.session_ended(300)])
    assert troubles(said) == {("cost.session", "medium", "billing")}
    assert {owed.kind for owed in said.obligation} == {"ticket", "evidence", "control"}
    worse = told([started(), *models(1, 16, 30, cost=b.money("0.7")), b.session_ended(600)])
    assert troubles(worse) == {("cost.session", "high", "billing")}
    assert "page" in {owed.kind for owed in worse.obligation}


def test_a_swarm_that_spends_more_than_its_root_declared_is_one_incident():
    budget = r.Budget(cost=b.money("2"))
    parts = [b.session_started(5 + n, ctx=below(f"p{n}")) for n in range(3)]
    spent = [one for n in range(3) for one in models(10 + n, 8, 20, cost=b.money("0.1"), ctx=below(f"p{n}"))]
    ends = [b.session_ended(250 + n, ctx=below(f"p{n}")) for n in range(3)]
    said = told([started(budget=budget), *parts, *spent, *ends, b.session_ended(260)])
    assert troubles(said) == {("cost.budget", "high", "billing/cost")}
    assert [one.severity for one in said.finding] == ["medium", "high"]


def test_money_that_goes_into_retries_is_worth_a_ticket():
    tried = [b.llm_called(10 + n * 20, cost=b.money("0.1"), attempt=1 + n % 3) for n in range(12)]
    said = told([started(), *tried, b.session_ended(300)])
    assert troubles(said) == {("cost.retry_share", "medium", "billing")}


def test_work_that_runs_for_an_hour_is_worth_a_ticket():
    said = told([started(), *models(60, 59, 60), b.session_ended(3600)])
    assert troubles(said) == {("session.overrun", "medium", "billing/duration")}
    assert len(said.finding) > 1


def test_a_window_that_fills_up_is_worth_a_ticket():
    growing = [b.llm_called(20 * n, tokens=r.Tokens(1000 * n, 10), context_limit=20_000) for n in range(1, 20)]
    said = told([started(), *growing, b.session_ended(400)])
    assert troubles(said) == {("context.pressure", "medium", "billing/full")}


def test_a_session_that_hangs_is_a_ticket_then_a_page_and_then_it_is_over():
    others = [event for n in range(40) for event in session(60 * n, f"{n}", agent="others")]
    said = told([started(), b.tool_called(30), *others])
    assert troubles(said) == {("session.stuck", "high", "billing")}
    moves = [b.tool_called(500), b.session_ended(510)]
    before = told([started(), b.tool_called(30), *moves, *others])
    assert troubles(before) == {("session.stuck", "medium", "billing")}


def test_a_session_that_waits_for_its_tool_is_left_alone():
    waiting = b.heartbeat(31, activity=r.Activity("tool", "render"))
    said = told([started(), b.tool_called(30), waiting, b.tool_called(1500), b.session_ended(1510)])
    assert troubles(said) == set()


def test_heartbeats_alone_are_no_work():
    beats = [b.heartbeat(30 * n) for n in range(1, 50)]
    said = told([started(), *beats, b.session_ended(1500)])
    assert troubles(said) == {("session.liveness_only", "medium", "billing")}


def test_a_request_that_nobody_answers_is_one_incident_and_not_also_a_session_that_is_stuck():
    asked = b.permission_checked(30, request_id="p", result=PENDING, decided_by=r.Actor("human"))
    said = told([started(), asked], until=3000)
    assert troubles(said) == {("approval.stalled", "medium", "billing/refund")}
    answered = b.permission_checked(1200, request_id="p", decided_by=r.Actor("human"))
    assert troubles(told([started(), asked, answered, b.session_ended(1210)], until=3000)) == set()


def test_agents_that_send_each_other_the_same_work_are_one_incident():
    handed = [
        b.decision_made(20 * n, kind="handoff", agent=giver, chosen=taker)
        for n, (giver, taker) in enumerate([("billing", "refunds"), ("refunds", "billing")] * 3, 1)
    ]
    said = told([started(), *handed, b.session_ended(200)])
    assert troubles(said) == {("handoff.cycle", "medium", "billing/billing → refunds")}


def test_somebody_who_tries_to_get_past_the_guardrails_pages():
    tries = [
        b.permission_checked(60 * n, result=DENIED, decided_by=r.Actor("guardrail", "prompt-injection"))
        for n in range(1, 4)
    ]
    said = told([started(), *tries, b.session_ended(300)])
    assert troubles(said) == {("guardrail.triggered", "high", "billing")}
    assert "page" in {owed.kind for owed in said.obligation}


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_clocks_that_are_an_hour_off_come_to_nothing(off_s: float):
    right = [recorded(event, 0.0) for n in range(40) for event in session(30 * n, f"{n}", agent="others")]
    wrong = [started(name="w"), *(b.tool_called(40 * n, session="w") for n in range(1, 30))]
    wrong += [b.heartbeat(40 * n + 5, session="w", state="waiting") for n in range(1, 30)]
    wrong += [b.permission_checked(100, session="w", request_id="p", result=PENDING, decided_by=r.Actor("human"))]
    wrong += [b.permission_checked(300, session="w", request_id="p", decided_by=r.Actor("human"))]
    wrong += [b.session_ended(1199, session="w")]
    # As they arrive: the replay's clock runs as Kafka's did.
    arrived = sorted(right + [recorded(event, off_s) for event in wrong], key=lambda event: event.recordedtime)
    said = Said(list(run(lines(arrived), policy.parse(OWNERS, "story"))))
    assert {one.detector for one in said.finding} <= {"telemetry.late"}
