"""A session that runs into guardrails again and again."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
from detect.listening import brief, heard

from streams import policy
from streams import records as r
from streams.detect.session.guardrails import GuardrailTriggered, Thresholds


def denied(at: float, kind: str = "guardrail", **given: Any) -> Any:
    return b.permission_checked(at, result=r.PermissionResult.denied, decided_by=r.Actor(kind), **given)


def test_three_denials_within_ten_minutes_page() -> None:
    [said] = heard(GuardrailTriggered(), [denied(0), denied(300), denied(600)])
    assert (said.severity, said.count, len(said.evidence)) == ("high", 3, 3)


def test_denials_far_apart_are_nobodys_business() -> None:
    assert heard(GuardrailTriggered(), [denied(301 * n) for n in range(10)]) == []


def test_a_persons_denial_and_a_policys_are_no_guardrails() -> None:
    assert (
        heard(GuardrailTriggered(), [denied(n, kind) for n in range(9) for kind in ("human", "policy", "default")])
        == []
    )


def test_a_model_that_denies_and_a_policy_that_is_called_a_guardrail_are() -> None:
    ruled = [denied(n, "policy", policy=r.PolicyRef("input-guardrails", rule="jailbreak")) for n in range(2)]
    [said] = heard(GuardrailTriggered(), [*ruled, denied(2, "model")])
    assert [one.text for one in said.evidence] == ["refund: jailbreak", "refund: jailbreak", "refund: model"]


def test_what_is_a_guardrail_can_be_said_in_the_policy() -> None:
    ruled = [denied(n, "policy", policy=r.PolicyRef("refunds", rule="pii-7")) for n in range(3)]
    assert heard(GuardrailTriggered(), ruled) == []
    assert len(heard(GuardrailTriggered(Thresholds(guardrails=["pii-*"])), ruled)) == 1


def test_what_was_allowed_triggered_nothing() -> None:
    assert (
        heard(GuardrailTriggered(), [b.permission_checked(n, decided_by=r.Actor("guardrail")) for n in range(9)]) == []
    )


def test_the_order_of_events_does_not_matter() -> None:
    events = [denied(0), denied(200), denied(599), denied(5000)]
    for seed in range(10):
        said = heard(GuardrailTriggered(), Random(seed).sample(events, len(events)))
        assert (len(said), said[0].count) == (1, 3)


def test_further_denials_are_told_with_all_of_their_window() -> None:
    said = heard(GuardrailTriggered(), [denied(60 * n) for n in range(6)])
    assert brief(said) == [(120.0, "high"), (180.0, "high"), (240.0, "high"), (300.0, "high")]
    assert said[-1].count == 6


def test_it_is_owed_to_security_whoever_owns_the_agent() -> None:
    assert policy.load().detectors["guardrail.triggered"].owner == "security"
