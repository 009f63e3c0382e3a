"""What evaluators, people and the ends of sessions say about agents: raw events in, exactly these troubles out."""

from __future__ import annotations

import random
from typing import Any

import builders as b
from msgspec.structs import replace
from stories.telling import session, told, troubles

from streams.records import SessionStatus

FAILED, GOOD = SessionStatus.failed, SessionStatus.succeeded


def test_a_release_whose_answers_are_no_longer_grounded_is_one_incident_and_blocks_that_release() -> None:
    chance = random.Random(1)
    events: list[Any] = []
    for n in range(60):
        events += session(20 * n, f"s{n}", evaluations={"groundedness": chance.random() > 0.02, "tone": True})
    for n in range(60, 90):
        events += session(20 * n, f"s{n}", release="8", evaluations={"groundedness": n % 5 < 2, "tone": True})
    said = told(events)
    assert troubles(said) == {("eval.failure_rate", "high", "billing/groundedness")}
    (incident,) = said.incident
    assert incident.releases == ("8",)
    assert incident.first_seen.timestamp() < events[0].time.timestamp() + 20 * 75
    assert {(one.release, one.state) for one in said.decision if one.state == "block"} == {("8", "block")}


def test_many_evaluators_of_one_agent_that_fall_together_are_one_ticket() -> None:
    names = ("groundedness", "tone", "safety", "format", "language")
    events: list[Any] = []
    for n in range(90):
        events += session(20 * n, f"s{n}", evaluations=dict.fromkeys(names, n < 60))
    said = told(events)
    assert troubles(said) == {("eval.failure_rate", "high", f"billing/{name}") for name in names}
    assert len([one for one in said.incident if one.parent is None]) == 1


def test_sessions_that_fail_more_often_than_they_did_are_found_while_the_usual_few_are_not() -> None:
    chance = random.Random(3)
    events: list[Any] = []
    for n in range(200):
        rate = 0.05 if n < 150 else 0.6
        events += session(30 * n, f"s{n}", status=FAILED if chance.random() < rate else GOOD)
        events += session(30 * n, f"t{n}", agent="search", status=FAILED if chance.random() < 0.05 else GOOD)
    assert troubles(told(events)) == {("session.failure_rate", "high", "billing")}


def test_a_judge_that_fails_at_several_agents_is_one_incident_and_no_agents_failure() -> None:
    events: list[Any] = []
    for n in range(120):
        works = n < 90
        events += session(20 * n, f"s{n}", evaluations={"judge": True if works else None, "tone": True})
        events += session(20 * n + 5, f"t{n}", agent="search", evaluations={"judge": True if works else None})
    said = told(events)
    assert troubles(said) == {("eval.broken", "medium", "judge")}
    assert said.finding[-1].observed is not None
    assert said.finding[-1].observed.endswith("of billing, search")


def test_scores_that_slide_without_anything_failing_are_a_ticket_the_next_hours() -> None:
    chance = random.Random(4)
    events: list[Any] = []
    for n in range(36 * 6):
        mean = 0.9 if n < 30 * 6 else 0.6
        events += session(600 * n, f"s{n}", evaluations={"helpfulness": chance.gauss(mean, 0.05)})
    said = told(events)
    assert troubles(said) == {("eval.drift", "medium", "billing/helpfulness")}
    assert said.incident[0].first_seen.timestamp() - events[0].time.timestamp() < 34 * 3600


def test_a_suite_with_a_flaky_case_and_one_that_stays_broken_is_two_tickets_and_no_page() -> None:
    chance = random.Random(5)
    events: list[Any] = []
    for n in range(60):
        who = {"session": f"suite/{n}", "agent": "billing", "release": "7"}
        for number in range(40):
            failed = (number == 3 and chance.random() < 0.4) or (number == 4 and n > 55)
            events.append(b.eval_scored(600 * n, evaluator="suite", passed=not failed, case_id=f"case-{number}", **who))
    said = told(events)
    assert troubles(said) == {
        ("eval.flake", "low", "billing/suite"),
        ("eval.regression", "medium", "billing/suite"),
    }
    found = {one.detector: one.observed or "" for one in said.finding}
    assert "case-3" in found["eval.flake"]
    assert found["eval.regression"] == "case-4 (4 in a row)"


def test_people_who_complain_more_than_they_did_are_one_ticket() -> None:
    chance, thumbs = random.Random(6), b.r.Evaluator("thumbs", kind="HUMAN")
    events: list[Any] = []
    for n in range(12 * 24):
        bad = chance.random() < (0.1 if n < 10 * 24 else 0.6)
        who = {"session": f"billing/s{n}", "agent": "billing", "release": "7"}
        events += session(3600 * n, f"s{n}")
        events.append(_said(3600 * n + 10, thumbs, passed=not bad, **who))
    assert troubles(told(events)) == {("feedback.negative", "medium", "billing")}


def _said(at: float, evaluator: Any, **given: Any) -> Any:
    made = b.eval_scored(at, **given)
    made.data = replace(made.data, evaluator=evaluator)
    return made


def test_an_agent_that_always_fails_a_little_too_often_burns_its_objective() -> None:
    chance = random.Random(7)
    events: list[Any] = []
    for n in range(400):
        events += session(60 * n, f"s{n}", status=FAILED if chance.random() < 0.05 else GOOD)
        events += session(60 * n, f"t{n}", agent="search", status=FAILED if chance.random() < 0.05 else GOOD)
    rules = '[[agents]]\nmatch = ["billing"]\nobjective = 0.995\n'
    assert troubles(told(events, rules)) == {("slo.burn", "high", "billing")}


def test_a_suite_that_falls_with_a_release_is_one_ticket_though_two_detectors_see_it() -> None:
    events: list[Any] = []
    for n in range(44):
        release = "7" if n < 40 else "8"
        who = {"session": f"suite/{n}", "agent": "billing", "release": release}
        for number in range(40):
            failed = number in (1, 2) or (number < 14 and release == "8")
            events.append(b.eval_scored(600 * n, evaluator="suite", passed=not failed, case_id=f"case-{number}", **who))
    said = told(events)
    assert troubles(said) == {
        ("eval.failure_rate", "high", "billing/suite"),
        ("eval.regression", "high", "billing/suite"),
    }
    assert [(one.detector, one.releases) for one in said.incident if one.parent is None] == [
        ("eval.failure_rate", ("8",))
    ]
    assert [owed.kind for owed in said.obligation].count("ticket") == 1


def test_sessions_that_fail_are_one_page_also_for_an_agent_with_an_objective() -> None:
    chance = random.Random(8)
    events: list[Any] = []
    for n in range(260):
        rate = 0.01 if n < 200 else 0.5
        release = "7" if n < 200 else "8"
        events += session(30 * n, f"s{n}", release=release, status=FAILED if chance.random() < rate else GOOD)
    said = told(events, '[[agents]]\nmatch = ["billing"]\nobjective = 0.99\n')
    assert troubles(said) == {
        ("session.failure_rate", "high", "billing"),
        ("slo.burn", "high", "billing"),
        ("version.regression", "high", "billing/failure rate"),
    }
    assert [one.detector for one in said.incident if one.parent is None] == ["session.failure_rate"]
