"""How many sessions ran in a release, and which were bad."""

from __future__ import annotations

import math
from typing import Any

import builders as b
import pytest

from streams.detect.methods.sketch import index
from streams.detect.scope.exposure import MARKS_MAX, TOOLS_MAX, ExposureMinutes
from streams.detect.session.evaluations import EvaluationFacts
from streams.detect.session.exposure import ExposureFacts
from streams.detect.session.totals import SessionFacts
from streams.records import Exposure, Fact, SessionStatus, Status


def facts(events: list[Any]) -> list[Fact]:
    decider, memory = ExposureFacts(), None
    said: list[Fact] = []
    for event in events:
        step = decider.step(memory, event)
        memory = step.remember
        said += step.say
    return said


def counted(events: list[Any]) -> tuple[int, set[str]]:
    said = facts(events)
    return sum(fact.sums.get("sessions", 0) for fact in said), {mark for fact in said for mark in fact.marks}


def test_a_session_counts_once_however_it_is_heard_of_first() -> None:
    assert counted([b.session_started(0), b.eval_scored(1), b.session_ended(2)]) == (1, set())
    assert counted([b.session_ended(2), b.session_started(0)]) == (1, set())


def test_a_subagents_session_is_part_of_its_root() -> None:
    ctx = b.ctx("child", root_session_id="s1")
    assert counted([b.session_started(0, ctx=ctx), b.session_ended(2, ctx=ctx)]) == (0, set())


def test_a_failed_one_is_bad_once_per_user_group_and_day() -> None:
    sessions, marks = counted(
        [
            b.session_started(0, user="ann"),
            b.eval_scored(1, user="ann", passed=False),
            b.eval_scored(2, user="ann", passed=False),
            b.session_ended(3, user="ann", status=SessionStatus.failed),
        ]
    )
    assert sessions == 1
    assert marks == {"ann|eval.tone|2026-09-01", "ann|session.failed|2026-09-01"}


def test_a_cancelled_session_is_not_bad() -> None:
    assert counted([b.session_started(0), b.session_ended(3, status=SessionStatus.cancelled)]) == (1, set())


def evaluated(events: list[Any]) -> int:
    return sum(fact.sums.get("evaluated", 0) for fact in facts(events))


def test_a_session_is_evaluated_once_it_ended_and_was_judged_whichever_came_first() -> None:
    start, judged, end = b.session_started(0), b.eval_scored(1, passed=True), b.session_ended(2)
    assert [evaluated(some) for some in ([start, judged], [start, end])] == [0, 0]
    for order in ([start, judged, end, judged], [end, start, judged, end]):
        assert evaluated(order) == 1


def test_an_evaluator_that_came_to_no_result_has_judged_nobody() -> None:
    broken = b.eval_scored(1, status=Status.error, passed=None)
    assert evaluated([b.session_started(0), broken, b.session_ended(2)]) == 0


def test_a_session_that_the_breaker_halted_is_neither_bad_nor_evaluated() -> None:
    halted = b.session_ended(2, status=SessionStatus.halted)
    events = [b.session_started(0), halted, b.eval_scored(3, passed=False)]
    assert counted(events) == (1, set())
    assert evaluated(events) == 0


def measured(*events: Any) -> list[Fact]:
    """What is said of the session once the clock has passed its end."""
    decider, memory = SessionFacts(), None
    for event in events:
        memory = decider.step(memory, event).remember
    return [fact for fact in decider.step(memory, b.r.Tick(b.at(900))).say if fact.kind == "exposure"]


def test_a_session_that_ended_says_what_it_cost_and_how_long_it_took() -> None:
    (fact,) = measured(b.session_started(0), b.llm_called(1, cost=b.money("0.5")), b.session_ended(60))
    assert fact.subject == ("billing", "7", "prod")
    assert fact.sums == {"ended": 1, f"cost#{index(0.5)}": 1, f"steps#{index(1)}": 1, f"ms#{index(60_000)}": 1}


def test_neither_a_subagents_session_nor_one_that_was_halted_is_measured() -> None:
    child = b.ctx("child", root_session_id="s1")
    assert measured(b.session_started(0, ctx=child), b.session_ended(60, ctx=child)) == []
    assert measured(b.session_started(0), b.session_ended(60, status=SessionStatus.halted)) == []


class Minutes:
    def __init__(self) -> None:
        self.decider = ExposureMinutes()
        self.memory: Any = None
        self.wake: Any = None

    def fact(self, seconds: float, sessions: int, *marks: str) -> None:
        fact = b.fact(
            seconds, kind="exposure", subject=("billing", "7", "prod"), sums={"sessions": sessions}, marks=marks
        )
        self._stepped(fact)

    def _stepped(self, fact: Fact) -> None:
        step = self.decider.step(self.memory, fact)
        self.memory, self.wake = step.remember, step.wake

    def called(self, seconds: float, tool: str, n: int) -> None:
        self._stepped(b.fact(seconds, kind="tool", subject=("billing", "7", "prod", tool, ""), sums={"calls": n}))

    def ended(self, seconds: float, **sums: int) -> None:
        known = {name.replace("_", "#"): n for name, n in sums.items()}
        self._stepped(b.fact(seconds, kind="exposure", subject=("billing", "7", "prod"), sums={"ended": 1, **known}))

    def began(self, seconds: float, *marks: str) -> None:
        """A session that says what it runs with."""
        fact = b.fact(seconds, kind="config", subject=("billing", "7", "prod"), sums={"starts": 1}, marks=marks)
        self._stepped(fact)

    def until(self, seconds: float) -> list[Exposure]:
        said: list[Exposure] = []
        while self.wake is not None and self.wake <= b.at(seconds):
            step = self.decider.step(self.memory, b.r.Tick(self.wake))
            self.memory, self.wake = step.remember, step.wake
            said += step.say
        return said


def test_a_minute_is_said_when_it_closes_and_once() -> None:
    minutes = Minutes()
    minutes.fact(0, 3, "a")
    minutes.fact(50, 2)
    minutes.fact(61, 1)
    assert minutes.until(59) == []
    assert [(one.minute, one.sessions, one.bad) for one in minutes.until(60)] == [(b.at(0), 5, 1)]
    assert [(one.minute, one.sessions) for one in minutes.until(500)] == [(b.at(60), 1)]
    assert minutes.until(5000) == []


def test_the_same_mark_makes_nothing_worse_in_another_minute() -> None:
    minutes = Minutes()
    minutes.fact(0, 1, "a")
    minutes.fact(70, 1, "a", "b")
    assert [one.bad for one in minutes.until(500)] == [1, 1]


def test_a_late_fact_counts_in_the_first_open_minute() -> None:
    minutes = Minutes()
    minutes.fact(0, 1)
    minutes.until(60)
    minutes.fact(5, 4)
    assert [(one.minute, one.sessions) for one in minutes.until(500)] == [(b.at(60), 4)]


def test_a_bad_day_does_not_grow_without_bound() -> None:
    minutes = Minutes()
    for n in range(MARKS_MAX + 500):
        minutes.fact(0, 1, f"user-{n}")
    assert len(minutes.memory.marks) == MARKS_MAX * 8
    assert minutes.until(60)[0].bad == MARKS_MAX + 500


def test_a_minute_says_what_the_session_ran_with_that_began_last() -> None:
    minutes = Minutes()
    minutes.began(30, "prompt:p2", "model:m", "config:c")
    minutes.fact(30, 2)
    minutes.began(10, "prompt:p1", "tools:t")
    minutes.began(70, "prompt:p3")
    minutes.fact(70, 1)
    assert [one.config for one in minutes.until(500)] == [
        {"model": "m", "prompt": "p2", "tools": "t"},
        {"prompt": "p3"},
    ]
    assert minutes.memory.config == {}


def test_of_two_that_began_at_once_it_is_the_same_one_in_whatever_order_they_come() -> None:
    said = []
    for order in (("prompt:a", "prompt:b"), ("prompt:b", "prompt:a")):
        minutes = Minutes()
        minutes.fact(0, 2)
        for mark in order:
            minutes.began(0, mark)
        said += [one.config for one in minutes.until(60)]
    assert said == [{"prompt": "b"}] * 2


def test_sessions_that_are_never_counted_leave_little_behind() -> None:
    minutes = Minutes()
    for n in range(300):
        minutes.began(60 * n, f"prompt:{n}")
    assert len(minutes.memory.config) <= 64 and minutes.until(10**6) == []


def test_a_minute_says_how_often_each_tool_was_called_and_the_rest_together() -> None:
    minutes = Minutes()
    for n in range(TOOLS_MAX + 10):
        minutes.called(0, f"tool-{n:02}", 100 - n)
        minutes.called(10, f"tool-{n:02}", 1)
    (said,) = minutes.until(500)
    assert (said.sessions, len(said.calls), said.calls["tool-00"]) == (0, TOOLS_MAX + 1, 101)
    assert said.calls["…"] == sum(101 - n for n in range(TOOLS_MAX, TOOLS_MAX + 10))


def test_a_minute_sums_up_the_logarithms_of_what_its_sessions_came_to() -> None:
    minutes = Minutes()
    minutes.ended(0, **{f"steps_{index(9)}": 2, f"ms_{index(60_000)}": 1})
    minutes.ended(30, **{f"steps_{index(99)}": 1})
    (said,) = minutes.until(500)
    assert (said.ended, set(said.measures)) == (2, {"steps", "duration"})
    steps = said.measures["steps"]
    assert steps.count == 3
    assert steps.total == pytest.approx(2 * math.log(10) + math.log(100), abs=0.1)
    assert steps.squares == pytest.approx(2 * math.log(10) ** 2 + math.log(100) ** 2, abs=0.6)


def test_a_session_that_ran_away_counts_no_more_than_the_bound() -> None:
    minutes = Minutes()
    minutes.ended(0, **{f"cost_{index(1e9)}": 1, f"ms_{index(1e12)}": 1})
    (said,) = minutes.until(500)
    assert said.measures["cost"].total == pytest.approx(math.log1p(1e10))
    assert said.measures["duration"].total == pytest.approx(math.log1p(86_400_000))


def judged(at: float, evaluator: str, session: str, *, flagged: bool = False) -> Fact:
    sums = {"scored": 1, "flagged": 1} if flagged else {"scored": 1}
    return b.fact(
        at, kind="judged", subject=("billing", "7", "prod", evaluator), sums=sums, marks=(session,) * (not flagged)
    )


def minute(facts: list[Fact]) -> Exposure:
    decider, memory = ExposureMinutes(), None
    for fact in facts:
        memory = decider.step(memory, fact).remember
    (said,) = decider.step(memory, b.tick(120)).say
    return said


def test_what_an_evaluator_passed_is_drawn_for_people_to_look_at_in_whatever_order_it_comes() -> None:
    facts = [judged(n % 50, "LLM:tone@1", f"s{n}", flagged=n % 4 == 0) for n in range(200)]
    one, other = minute(facts), minute(facts[::-1])
    assert one.judged == other.judged
    found = one.judged["LLM:tone@1"]
    assert (found.scored, found.flagged, len(found.sample)) == (200, 50, 10)
    assert not {f"s{n}" for n in range(0, 200, 4)} & set(found.sample)


def test_a_minutes_evaluators_have_a_bound() -> None:
    assert len(minute([judged(1, f"LLM:{n}@1", "s") for n in range(200)]).judged) == 50


def test_a_person_who_judges_is_no_evaluator_to_be_audited() -> None:
    human, machine = (b.eval_scored(1, evaluator=b.r.Evaluator("tone", kind)) for kind in ("HUMAN", "LLM"))
    said = [[fact.kind for fact in EvaluationFacts().step(None, one).say] for one in (human, machine)]
    assert ["judged" in kinds for kinds in said] == [False, True]
