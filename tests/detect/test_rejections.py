"""Rejected events: a producer whose events cannot be used."""

from __future__ import annotations

from typing import Any

import builders as b

from streams.detect.session.rejections import IntakeRejections, Thresholds
from streams.records import Finding


def told(events: list[Any], thresholds: Thresholds | None = None) -> list[Finding]:
    decider, memory, said = IntakeRejections(thresholds), None, []
    for event in events:
        step = decider.step(memory, event)
        memory = step.remember
        said += step.say
    return said


def test_the_first_one_is_a_ticket_and_the_tenth_pages() -> None:
    said = told([b.intake_rejected(n) for n in range(10)])
    assert [found.severity for found in said] == ["medium"] * 9 + ["high"]
    assert said[-1].count == 10


def test_the_finding_says_what_was_wrong_and_what_would_be_right() -> None:
    (found,) = told([b.intake_rejected(0, example='{"ok":1}')])
    assert (found.observed, found.hint) == ("missing at /data/status", '{"ok":1}')


def test_each_reason_is_a_trouble_of_its_own() -> None:
    said = told([b.intake_rejected(0), b.intake_rejected(1, reason="too_large")])
    assert len({found.fingerprint for found in said}) == 2
    assert [found.count for found in said] == [1, 1]


def test_below_the_policys_number_nothing_is_said() -> None:
    assert told([b.intake_rejected(n) for n in range(4)], Thresholds(rejected_min=5)) == []


def test_invented_reasons_do_not_grow_without_bound() -> None:
    decider, memory = IntakeRejections(), None
    for n in range(500):
        memory = decider.step(memory, b.intake_rejected(n, reason=f"r{n}")).remember
    assert memory is not None
    assert len(memory.reasons) == IntakeRejections.REASONS_MAX
