"""Sessions that say they succeeded and left nothing behind."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import builders as b
import pytest
from detect.listening import below, heard, ruled

from streams import records as r
from streams.detect.session.silent_failures import SilentFailure, Thresholds

PAID = r.Effect("refund.paid")


def said(*events: Any, **limits: Any) -> list[r.Finding]:
    return heard(SilentFailure(Thresholds(**limits)), list(events), until=3600)


def start(**given: Any) -> Any:
    return b.session_started(0, **given)


def test_success_without_the_expected_effect_is_a_ticket() -> None:
    [found] = said(start(expected_effects=["refund.paid"]), b.tool_called(1), b.session_ended(9))
    assert (found.severity, found.subject) == ("medium", {"agent": "billing", "effect": "refund.paid"})


@pytest.mark.parametrize(
    "events",
    [
        [b.tool_called(1, effect=PAID), b.session_ended(9)],
        [b.tool_called(1, effect=PAID, ctx=below()), b.session_ended(9)],
        [b.session_ended(9, status=r.SessionStatus.failed)],
        [b.session_ended(9, status=r.SessionStatus.cancelled)],
        [b.tool_called(1)],
        [b.session_ended(9, ctx=below())],
    ],
    ids=["made", "made by a subagent", "says it failed", "cancelled", "has not ended", "a subagent's end"],
)
def test_nothing_is_missing(events: list[Any]) -> None:
    assert said(start(expected_effects=["refund.*"]), *events) == []


def test_an_effect_that_failed_was_not_made() -> None:
    failed = b.tool_failed(1, effect=PAID)
    assert len(said(start(expected_effects=["refund.paid"]), failed, b.session_ended(9))) == 1


def test_the_policy_may_expect_effects_of_an_agent() -> None:
    decider = SilentFailure(given=ruled(expected_effects=["refund.*", "mail.*"]))
    found = heard(decider, [start(), b.tool_called(1, effect=PAID), b.session_ended(9)], until=600)
    assert [one.subject["effect"] for one in found] == ["mail.*"]
    assert heard(decider, [start(agent="other"), b.session_ended(9, agent="other")], until=600) == []


def test_success_on_empty_results_is_told_quietly() -> None:
    empty = [b.tool_called(1, empty=True), b.tool_called(2, hits=0), b.tool_called(3, empty=True)]
    [found] = said(start(), *empty, b.session_ended(9))
    assert (found.severity, found.subject) == ("low", {"agent": "billing", "empty": "results"})
    assert said(start(), *empty[:2], b.session_ended(9)) == []
    assert said(start(), *empty, b.tool_called(4, hits=2), b.session_ended(9)) == []
    assert said(start(), *empty, b.tool_called(4, effect=PAID), b.session_ended(9)) == []
    assert said(start(), *empty, b.session_ended(9), empty_min=0) == []


def test_success_with_next_to_no_answer_is_told_quietly() -> None:
    short, long = b.llm_called(2, tokens=r.Tokens(900, 3)), b.llm_called(3, tokens=r.Tokens(900, 4))
    [found] = said(start(), b.llm_called(1), short, b.session_ended(9))
    assert (found.severity, found.subject, found.observed) == (
        "low",
        {"agent": "billing", "empty": "answer"},
        "3 tokens in the last model call",
    )
    assert said(start(), short, long, b.session_ended(9)) == []
    assert said(start(), short, b.tool_called(2.5, effect=PAID), b.session_ended(9)) == []  # "Done."
    assert said(start(), short, b.session_ended(9), answer_tokens_max=0) == []
    assert said(start(), b.llm_called(1), b.llm_called(2, tokens=r.Tokens(9, 1), ctx=below()), b.session_ended(9)) == []


def test_the_order_of_arrival_does_not_matter() -> None:
    events = [
        start(expected_effects=["refund.paid"]),
        b.llm_called(1, tokens=r.Tokens(9, 1)),
        b.llm_called(2),
        b.tool_called(3, effect=PAID),
        b.session_ended(9),
    ]
    assert all(said(*order) == [] for order in permutations(events))
    without = [*events[:3], b.session_ended(9)]
    assert all(len(said(*order)) == 1 for order in permutations(without))
