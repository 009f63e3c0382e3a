"""What cannot be undone, or touches customer data, and nobody had allowed it."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
import pytest
from detect.listening import heard

from streams import records as r
from streams.detect.session.approval_missing import ApprovalMissing, Thresholds

HUMAN = r.Actor("human", "ann")


def final(at: float, **given: Any) -> Any:
    """A refund that cannot be taken back."""
    effect = r.Effect(given.pop("kind", "refund.paid"), reversible=False, customer_data=given.pop("customer", False))
    return b.tool_called(at, tool=given.pop("tool", "refund"), effect=effect, **given)


def allowed(at: float, **given: Any) -> Any:
    return b.permission_checked(at, **{"action": "other", "decided_by": HUMAN, **given})


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(ApprovalMissing(Thresholds(**limits)), list(events), until=600)


def test_what_cannot_be_undone_is_a_page_and_customer_data_is_critical() -> None:
    [page] = said(final(1))
    assert (page.severity, page.subject) == ("high", {"agent": "billing", "tool": "refund", "effect": "refund.paid"})
    [critical] = said(final(1, customer=True))
    assert critical.severity == "critical"
    assert "customer data" in critical.title


@pytest.mark.parametrize(
    "approval",
    [
        allowed(1, request_id="p1"),
        allowed(1, call_id="c1"),
        allowed(1, action="refund"),
        allowed(1, action="refund.paid"),
        allowed(1, action="refund", decided_by=r.Actor("policy", "small-refunds")),
    ],
)
def test_who_was_allowed_by_request_call_or_action_is_left_alone(approval: Any) -> None:
    assert said(approval, final(2, call_id="c1", permission_id="p1")) == []


@pytest.mark.parametrize(
    "approval",
    [
        allowed(3, action="refund"),
        allowed(1, action="refund", result=r.PermissionResult.denied),
        allowed(1, action="refund", result=r.PermissionResult.pending),
        allowed(1, action="refund", decided_by=r.Actor("model", "self")),
        allowed(1, action="refund", session="another"),
        allowed(1, action="mail"),
    ],
)
def test_a_later_word_another_sessions_a_models_and_a_denial_do_not_count(approval: Any) -> None:
    assert len(said(approval, final(2, call_id="c1", permission_id="p1"))) == 1


def test_the_order_of_arrival_within_the_lateness_does_not_matter() -> None:
    events = [allowed(1, call_id="c1"), final(2, call_id="c1"), final(3, call_id="c2")]
    for order in permutations(events):
        assert [one.evidence[0].id for one in said(*order)] == [events[2].id]


def test_nothing_is_said_before_all_events_of_the_calls_time_are_in() -> None:
    assert heard(ApprovalMissing(), [final(1), b.tool_called(30)]) == []
    assert len(heard(ApprovalMissing(), [final(1), final(31)])) == 1


def test_calls_that_did_nothing_or_can_be_undone_need_nobody() -> None:
    reversible = b.tool_called(1, tool="note", effect=r.Effect("note.added", reversible=True))
    unknown = b.tool_called(2, tool="note", effect=r.Effect("note.added"))
    refused = [final(n, status=r.Status(status)) for n, status in enumerate(("error", "denied", "cancelled"), 3)]
    assert said(reversible, unknown, *refused, b.tool_called(9)) == []
    assert len(said(final(1, status=r.Status.timeout))) == 1  # it may have happened


def test_an_exempt_effect_needs_nobody_and_per_call_each_call_needs_somebody() -> None:
    assert said(final(1), exempt=["refund.*"]) == []
    once = [allowed(1, action="refund", call_id="c1"), final(2, call_id="c1"), final(3, call_id="c2")]
    assert said(*once) == []
    assert [one.evidence[0].id for one in said(*once, per_call=True)] == [once[2].id]


def test_a_session_of_ordinary_calls_remembers_nothing() -> None:
    decider = ApprovalMissing()
    assert decider.step(None, b.tool_called(1)).remember is None
    assert decider.step(None, final(1, status=r.Status.error)).remember is None
