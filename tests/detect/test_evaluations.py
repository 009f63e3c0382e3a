"""What evaluators say: the critical ones at once, all of them as facts."""

from __future__ import annotations

from typing import Any

import builders as b
import pytest

from streams.detect.session.evaluations import CriticalEvaluator, EvaluationFacts, Thresholds
from streams.records import Fact, Status


def told(event: Any, *critical: str) -> list[Any]:
    decider = CriticalEvaluator(Thresholds(critical=list(critical)))
    return list(decider.step(None, event).say) if decider.key(event) is not None else []


def test_one_failure_of_a_critical_evaluator_is_enough() -> None:
    (found,) = told(b.eval_scored(0, evaluator="safety", passed=False, score=0.125), "safety")
    assert (found.severity, found.observed, found.subject) == (
        "critical",
        "score 0.125",
        {"agent": "billing", "evaluator": "safety"},
    )


def test_names_are_patterns() -> None:
    assert told(b.eval_scored(0, evaluator="safety/pii", passed=False), "safety/*")


def test_others_passes_and_broken_ones_do_not_page() -> None:
    assert told(b.eval_scored(0, evaluator="tone", passed=False), "safety") == []
    assert told(b.eval_scored(0, evaluator="safety", passed=True), "safety") == []
    assert told(b.eval_scored(0, evaluator="safety", passed=None, status=Status.error), "safety") == []


def test_nothing_is_critical_unless_the_policy_says_so() -> None:
    assert told(b.eval_scored(0, evaluator="safety", passed=False)) == []


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ({"passed": True}, "passed"),
        ({"passed": False}, "failed"),
        ({"passed": None}, "unscored"),
        ({"passed": None, "status": Status.error}, "broken"),
        ({"passed": None, "status": Status.timeout}, "broken"),
    ],
)
def test_a_broken_evaluator_is_neither_a_pass_nor_a_failure(given: dict[str, Any], counted: str) -> None:
    fact, *_, wide = EvaluationFacts().step(None, b.eval_scored(12, **given)).say
    assert wide.sums == {"broken" if counted == "broken" else "scored": 1}
    assert isinstance(fact, Fact)
    assert (fact.sums, fact.bucket) == ({counted: 1}, b.at(10))
    assert fact.subject == ("billing", "tone", "7", "prod")


def test_only_failures_are_kept_as_samples() -> None:
    assert EvaluationFacts().step(None, b.eval_scored(0)).say[0].samples == ()
    assert len(EvaluationFacts().step(None, b.eval_scored(0, passed=False)).say[0].samples) == 1
