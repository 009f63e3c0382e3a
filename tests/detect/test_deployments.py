"""What pipelines say of their deployments."""

from __future__ import annotations

from typing import Any

import builders as b

from streams.detect.detector import Chosen
from streams.detect.scope.deployments import NoThresholds, RollbackFailed, Thresholds, UpdatesFailed
from streams.records import Deployed, Finding


def deployed(n: int, op: str = "promote", result: str = "ok", **given: Any) -> Deployed:
    known = {"agent": "billing", "release": f"9.{n}", "environment": "prod", "id": f"/ci|{n}{op}{result}"}
    return Deployed(**{**known, **given}, op=op, result=result, at=b.at(60 * n))


def said(detector: Any, *events: Deployed) -> list[Finding]:
    memories: dict[str, Any] = {}
    found: list[Finding] = []
    for event in events:
        key = detector.key(event)
        step = detector.step(memories.get(key), event)
        memories[key] = step.remember
        found += step.say
    return found


def test_a_rollback_that_fails_is_critical_at_once() -> None:
    (found,) = said(RollbackFailed(), deployed(1, "rollback", "error", decided_by="policy:canary"))
    assert (found.severity, found.releases, found.about.environment) == ("critical", ("9.1",), "prod")
    assert found.observed == "taking back 9.1: error, decided by policy:canary"


def test_a_rollback_that_works_and_a_promotion_that_fails_are_no_failed_rollback() -> None:
    assert said(RollbackFailed(), deployed(1, "rollback"), deployed(2, "promote", "error")) == []


def test_said_again_it_is_the_same_finding_and_another_one_is_another() -> None:
    once, again = said(RollbackFailed(), *[deployed(1, "rollback", "error")] * 2)
    (other,) = said(RollbackFailed(), deployed(2, "rollback", "timeout"))
    assert once.id == again.id != other.id
    assert once.fingerprint == other.fingerprint


def test_the_policy_says_how_severe_and_whether_on_trial() -> None:
    trial = RollbackFailed(overrides=(("bill*", Chosen(NoThresholds(), "medium", True)),))
    (found,) = said(trial, deployed(1, "rollback", "error"))
    assert (found.severity, found.dry_run) == ("medium", True)


def test_two_failed_updates_of_twenty_are_too_many() -> None:
    events = [deployed(n) for n in range(18)]
    assert said(UpdatesFailed(), *events, deployed(18, result="error")) == []
    (found,) = said(UpdatesFailed(), *events, deployed(18, result="error"), deployed(19, "abort"))
    assert (found.severity, found.observed) == ("medium", "2 of the last 20 updates failed (10%)")


def test_an_update_in_steps_that_is_taken_back_fails_once() -> None:
    steps = [deployed(1), deployed(1, "result", "error"), deployed(1, "rollback"), deployed(1, "abort")]
    more = [deployed(n) for n in range(2, 9)]
    assert said(UpdatesFailed(), *steps, *more) == []


def test_failures_that_are_long_ago_count_no_more() -> None:
    limits = UpdatesFailed(Thresholds(last=10))
    events = [deployed(1, "abort"), *(deployed(n) for n in range(2, 12)), deployed(12, "abort")]
    assert said(limits, *events) == []


def test_agents_and_environments_are_counted_apart() -> None:
    events = [deployed(n, "abort", environment=f"env-{n % 5}") for n in range(10)]
    assert said(UpdatesFailed(), *events) == []
