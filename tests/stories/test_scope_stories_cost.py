"""What agents spend, and how their metrics go: raw events in, exactly these findings out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import builders as b
import pytest
from stories.telling import session, told, troubles

from streams import policy
from streams.detect.catalogue import DETECTORS
from streams.records import Tokens

RUNBOOKS = Path(__file__).resolve().parents[2] / "docs/runbooks"
HOUR, DAY = 3600, 86_400
WHO: dict[str, Any] = {"attribution": b.attribution(team="everybody")}


def working(begin: float, end: float, each: int = 1, dollars: float = 1.0, apart: float = 300) -> Iterator[Any]:
    """So many sessions every five minutes, a dollar each, give or take a tenth."""
    for at in range(int(begin), int(end), int(apart)):
        for n in range(each):
            chance = random.Random(f"{at}{n}")
            cost = f"{dollars * chance.uniform(0.9, 1.1):.4f}"
            yield from session(at + 60 * n / each, f"{at}-{n}", cost=cost)


WEEK = 8 * DAY  # and a day, so that each hour of the week is known


def test_an_agent_that_spends_four_times_as_much_is_one_page_until_it_spends_as_usual_again() -> None:
    events = [
        *working(0, WEEK),
        *working(WEEK, WEEK + 3 * HOUR, each=4),
        *working(WEEK + 3 * HOUR, WEEK + 2 * DAY),
    ]
    said = told(events)
    assert troubles(said) == {("cost.rate", "high", "billing")}
    assert said.finding[0].at <= b.at(WEEK + HOUR)
    assert said.finding[-1].at <= b.at(WEEK + 4 * HOUR)
    (incident,) = said.incident
    assert (incident.severity, incident.owner) == ("high", "everybody")
    assert [owed.kind for owed in said.obligation][:2] == ["page", "ticket"]


def test_an_outage_and_the_return_from_it_are_no_matter_of_cost() -> None:
    events = [*working(0, WEEK), *working(WEEK + 6 * HOUR, WEEK + 2 * DAY)]
    assert troubles(told(events)) == set()


def test_a_new_agent_has_absolute_limits_only() -> None:
    quiet = [*working(0, HOUR), *working(HOUR, 2 * HOUR, each=8)]
    assert troubles(told(quiet)) == set()
    dear = [*working(0, HOUR), *working(HOUR, 2 * HOUR, each=12)]
    assert troubles(told(dear)) == {("cost.rate", "high", "billing")}


def runaway(at: float, dollars: float, calls: int = 20) -> Iterator[Any]:
    who = {"session": "billing/runaway", "agent": "billing", "release": "7"}
    yield b.session_started(at, task=b.r.Task(kind="refund"), **WHO, **who)
    for n in range(calls):
        yield b.llm_called(at + 30 * n, cost=b.money(f"{dollars / calls:.4f}"), **who)


def test_a_running_session_that_costs_far_more_than_its_peers_is_told_before_it_ends() -> None:
    events = [*working(0, 5 * HOUR, dollars=0.2), *runaway(5 * HOUR, 3.0)]
    said = told(events, until=5 * HOUR + 700)
    assert troubles(said) == {("cost.peers", "high", "billing")}
    assert "session billing/runaway" in said.finding[0].observed
    assert said.finding[0].evidence[0].session == "billing/runaway"
    few = [*working(0, 3 * HOUR, dollars=0.2), *runaway(3 * HOUR, 3.0)]
    assert troubles(told(few, until=3 * HOUR + 700)) == set()


def test_a_budget_of_a_day_is_a_ticket_when_it_is_nearly_spent_and_a_page_when_it_is() -> None:
    said = told(working(0, 2 * HOUR), rules='[[agents]]\nmatch = ["bill*"]\nbudget_day = 12.0\n')
    assert troubles(said) == {("cost.agent_budget", "high", "billing/day")}
    assert [one.severity for one in said.finding] == ["medium", "high"]
    assert len(said.incident) == 1


def test_sessions_that_succeed_thirty_times_as_often_are_told_though_none_fails() -> None:
    events = [
        *working(0, WEEK, dollars=0.5, apart=1800),
        *working(WEEK, WEEK + HOUR, each=6, dollars=0.5),
        *working(WEEK + HOUR, WEEK + 3 * HOUR, dollars=0.5, apart=1800),
    ]
    said = told(events)
    assert troubles(said) == {
        ("cost.success_runaway", "high", "billing/sessions"),
        ("cost.success_runaway", "high", "billing/spending"),
        ("cost.rate", "high", "billing"),
    }


@pytest.mark.parametrize("priced", [True, False])
def test_a_model_without_a_price_is_a_ticket_for_the_platform(priced: bool) -> None:
    who = {"session": "billing/s", "agent": "billing"}
    cost = b.money() if priced else None
    events = [b.session_started(0, **WHO, **who), b.llm_called(1, cost=cost, **who), b.session_ended(9, **who)]
    said = told(events)
    assert troubles(said) == (set() if priced else {("cost.unpriced", "low", "gpt-5")})
    assert [one.owner for one in said.incident] == ([] if priced else ["platform"])


def test_an_agent_whose_calls_no_longer_say_what_they_took_has_gone_blind() -> None:
    events = list(working(0, 6 * HOUR))
    for n in range(60):
        who = {"session": f"billing/blind-{n}", "agent": "billing", "release": "8"}
        at = 6 * HOUR + 60 * n
        events += [
            b.session_started(at, **WHO, **who),
            b.llm_called(at + 1, tokens=None, cost=None, **who),
            b.session_ended(at + 9, **who),
        ]
    said = told(events)
    assert troubles(said) == {("cost.telemetry_missing", "medium", "billing")}
    assert {one.owner for one in said.incident} == {"platform"}


def test_an_agents_own_number_that_was_never_as_high_is_told_and_a_watched_one_is_a_ticket() -> None:
    def beats(rules: str) -> set[tuple[str, str, str]]:
        who = {"session": "billing/s", "agent": "billing"}
        events = [b.session_started(0, **WHO, **who)]
        for n in range(400):
            numbers = {"queue": 90.0 + n % 20 if n < 390 else 400.0}
            events.append(b.heartbeat(300 * n + 1, state="idle", interval_s=300.0, numbers=numbers, **who))
        return troubles(told(events, rules))

    assert beats("") == {("metric.novelty", "low", "billing/queue")}
    assert beats('[detectors."metric.novelty"]\nwatched = ["que*"]\n') == {
        ("metric.novelty", "medium", "billing/queue")
    }


def tools(begin: int, end: int, **given: Any) -> Iterator[Any]:
    """A session a minute, which asks the tool three times and does something else."""
    for n in range(begin, end):
        at, who = 60.0 * n, {"session": f"billing/{n}", "agent": "billing"}
        yield b.session_started(at, **WHO, **who)
        for call in range(3):
            chance = random.Random(f"{n}{call}")
            ms = round(given.get("ms", 40) * chance.lognormvariate(0, 0.4))
            hits = given.get("hits")
            named = {"args_hash": f"b2:{n}{call}", "result_hash": f"b2:{n}{call}"}
            yield b.tool_called(at + call, tool="lookup", duration_ms=ms, hits=hits, **named, **who)
        yield b.tool_called(at + 4, tool="answer", args_hash=f"b2:{n}", result_hash=f"b2:{n}", empty=False, **who)
        yield b.llm_called(at + 8, tokens=Tokens(900, 200), **who)
        yield b.session_ended(at + 9, **who)


def test_a_tool_that_has_become_slow_is_told_and_ends_when_it_is_fast_again() -> None:
    events = [*tools(0, 120, ms=700), *tools(120, 160, ms=3500), *tools(160, 240, ms=700)]
    said = told(events)
    assert troubles(said) == {("tool.latency", "medium", "billing/lookup")}
    assert said.finding[-1].at <= b.at(60 * 172)


def test_retrieval_that_finds_nothing_any_more_is_told_while_every_session_succeeds() -> None:
    said = told([*tools(0, 100, hits=5), *tools(100, 130, hits=0)])
    assert troubles(said) == {("retrieval.empty", "medium", "billing/lookup")}
    assert said.finding[0].at <= b.at(60 * 106)


def test_whether_a_finding_pages_or_throttles_is_the_policys_word() -> None:
    """`severity = "high"` pages; `control` is owed besides: agents are slowed down."""
    dear = [*working(0, HOUR), *working(HOUR, 2 * HOUR, each=12)]
    pages = told(dear)
    assert {(one.severity, one.control) for one in pages.finding} == {("high", "")}
    assert "page" in {owed.kind for owed in pages.obligation}
    rules = '[detectors."cost.rate"]\nseverity = "medium"\ncontrol = "throttle"\n'
    throttles = told(dear, rules)
    assert {(one.severity, one.control) for one in throttles.finding} == {("medium", "throttle")}
    assert {owed.kind for owed in throttles.obligation} <= {"ticket", "evidence", "control"}
    assert "control" in {owed.kind for owed in throttles.obligation}


@pytest.mark.parametrize("detector", [one.name for one in DETECTORS if one.name.startswith("cost.")])
def test_each_runbook_of_cost_says_how_to_have_it_throttled(detector: str) -> None:
    text = " ".join((RUNBOOKS / f"{detector}.md").read_text(encoding="utf-8").split())
    assert "**Page or throttle.**" in text
    assert 'control = "throttle"' in text
    assert policy.parse(f'[detectors."{detector}"]\ncontrol = "throttle"\n', "p").detectors[detector].control
