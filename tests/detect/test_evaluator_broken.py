"""Evaluators that fail themselves, go silent, or skip sessions."""

from __future__ import annotations

import random

import builders as b
import msgspec
from detect.scoped import Scoped

from streams.detect.scope.evaluator_broken import EvaluatorBroken

HOUR, DAY = 3600, 86400


class Bench(Scoped):
    def __init__(self) -> None:
        super().__init__(EvaluatorBroken())

    def said(self, seconds: float, scored: int = 0, broken: int = 0, agent: str = "billing") -> None:
        if scored:
            self.fact(seconds, "evaluator", ("tone",), {"scored": scored})
        if broken:
            samples = (b.excerpt(seconds, type="agent.eval.scored.v1"),)
            self.fact(seconds, "evaluator", ("tone",), {"broken": broken}, marks=(agent,), samples=samples)

    def day(
        self, day: int, share: float = 0.5, evaluator: str = "tone", hours: range = range(24), each: int = 6
    ) -> None:
        """Sessions that end all day long, of which a share is evaluated."""
        chance = random.Random(day)
        for hour in hours:
            at = day * DAY + hour * HOUR
            self.fact(at, "session", ("billing", "7", "prod", ""), {"ended": each, "succeeded": each})
            evaluated = sum([chance.random() < share for _ in range(each)])
            if evaluated:
                self.fact(at + 10, "evaluation", ("billing", evaluator, "7", "prod"), {"passed": evaluated})


def test_three_errors_in_a_quarter_of_an_hour_are_a_ticket_with_the_evaluators_words() -> None:
    bench = Bench()
    for n in range(3):
        bench.said(n * 200, scored=2, broken=1)
    (found,) = bench.until(700)
    assert (found.severity, found.subject, found.about.agent) == ("medium", {"evaluator": "tone"}, "billing")
    assert found.observed == "3 of 9 evaluations failed in 15 minutes, of billing"
    assert len(found.evidence) == 3


def test_errors_at_many_agents_are_one_incident_about_nobody_in_particular() -> None:
    bench = Bench()
    for n in range(8):
        bench.said(n * 60, broken=1, agent=f"agent-{n % 4}")
    found = bench.until(700)
    assert len({one.fingerprint for one in found}) == 1
    assert found[-1].about.agent == ""
    assert found[-1].observed == "8 of 8 evaluations failed in 15 minutes, of agent-0, agent-1, agent-2, agent-3"


def test_two_errors_or_a_few_in_a_thousand_are_nothing() -> None:
    few, many = Bench(), Bench()
    few.said(0, broken=2)
    for n in range(15):
        many.said(n * 60, scored=60, broken=1)
    assert few.until(1000) == many.until(1000) == []


def test_errors_end_with_their_window() -> None:
    bench = Bench()
    bench.said(0, broken=5)
    for n in range(1, 30):
        bench.said(n * 60, scored=1)
    assert len(bench.until(600)) == 2
    assert bench.until(1000) != []
    assert bench.until(1900) == []


def test_an_evaluator_that_says_nothing_for_a_day_while_sessions_end_is_silent() -> None:
    bench = Bench()
    for day in range(3):
        bench.day(day)
        assert bench.until((day + 1) * DAY) == []
    bench.day(3, share=0)
    bench.day(4, share=0)
    found = bench.until(5 * DAY)
    assert {(one.severity, one.fingerprint) for one in found} == {("medium", found[0].fingerprint)}
    assert found[0].title == "billing: evaluator tone skips sessions"  # at first it only looks so
    assert found[0].at < b.at(3 * DAY + 16 * HOUR)
    assert next(one.at for one in found if one.title.endswith("is silent")) == b.at(4 * DAY)


def test_a_weekend_without_sessions_is_no_silence() -> None:
    bench = Bench()
    for day in range(3):
        bench.day(day)
    assert bench.until(10 * DAY) == []
    bench.day(10)
    assert bench.until(11 * DAY) == []


def test_office_hours_are_no_silence_and_no_skipping() -> None:
    bench = Bench()
    for day in range(20):
        bench.day(day, share=0.6, hours=range(8, 18))
        assert bench.until((day + 1) * DAY) == []


def test_an_evaluation_every_night_and_one_that_was_tried_once_are_not_missed() -> None:
    bench = Bench()
    for day in range(20):
        bench.day(day, share=0)
        bench.fact(day * DAY + 2 * HOUR, "evaluation", ("billing", "nightly", "7", "prod"), {"passed": 30})
        if day == 3:
            bench.fact(day * DAY, "evaluation", ("billing", "tried", "7", "prod"), {"passed": 30})
        assert bench.until((day + 1) * DAY) == []


def test_an_evaluator_that_looks_at_few_sessions_only_skips_the_others() -> None:
    bench = Bench()
    for day in range(4):
        bench.day(day, share=0.9)
        assert bench.until((day + 1) * DAY) == []
    bench.day(4, share=0.2)
    bench.day(5, share=0.2)
    found = bench.until(6 * DAY)
    assert {one.title for one in found} == {"billing: evaluator tone skips sessions"}


def test_one_that_was_taken_away_is_forgotten_after_a_week() -> None:
    bench, found = Bench(), []
    for day in range(12):
        bench.day(day, share=0.5 if day < 3 else 0)
        found.append(bench.until((day + 1) * DAY))
    assert [bool(each) for each in found] == [False] * 3 + [True] * 7 + [False] * 2
    assert bench.state.coverage.seen == {}


def test_a_thousand_evaluators_of_one_agent_do_not_fill_the_memory() -> None:
    bench = Bench()
    for n in range(1000):
        bench.fact(n * 600, "evaluation", ("billing", f"e{n}", "7", "prod"), {"passed": 1})
        bench.fact(n * 600, "session", ("billing", "7", "prod", ""), {"ended": 1})
        assert bench.until(n * 600) == []
    assert len(msgspec.msgpack.encode(bench.state)) < 12_000
