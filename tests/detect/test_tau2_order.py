"""All nine real files: what is found in them, and that it is found however their events are delivered."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from detect.delivered import Seen, booked_as, delivered, worst
from detect.delivery import Line, Way, line

from streams import policy
from streams.importing.merge import read
from streams.records import Event, Finding, SessionEnded, SessionStatus

WAYS = {
    "late": Way(1, disorder_s=29.9),
    "twice": Way(2, twice=0.05, again=0.3),
    "crashes": Way(3, crashes=0.1),
    "everything": Way(4, disorder_s=29.9, twice=0.05, again=0.2, crashes=0.1),
}
LOOPS = {"tool.identical_call", "loop.sequence", "loop.stale"}
DISORDERLY = "loop.sequence"  # calls in turn that arrive in another order are none
TICKETS_MAX = 20


@pytest.fixture(scope="module")
def events(tocsin_data: Path) -> list[Event]:
    return list(read(sorted((tocsin_data / "data" / "tau2").glob("*.json.gz")))[0])


@pytest.fixture(scope="module")
def succeeded(events: list[Event]) -> set[str]:
    ends = [event.data for event in events if isinstance(event, SessionEnded)]
    assert len(ends) == 330
    return {data.ctx.session_id for data in ends if data.status is SessionStatus.succeeded}


@pytest.fixture(scope="module")
def lines(events: list[Event]) -> list[Line]:
    return [line(event) for event in events]


@pytest.fixture(scope="module")
def in_order(lines: list[Line]) -> Seen:
    return delivered(lines, policy.load())


def sessions(found: list[Finding], *names: str) -> set[str | None]:
    return {one.about.session for one in found if one.detector in names}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_same_is_found_however_it_is_delivered(
    lines: list[Line], in_order: Seen, succeeded: set[str], way: Way
) -> None:
    seen = delivered(lines, policy.load(), way)
    but = {DISORDERLY} if way.disorder_s else set()
    assert seen.detect.isolated == {}
    assert bool(way.crashes) == (seen.detect.starts > 10)
    assert worst(one for one in seen.findings if one.detector not in but) == worst(
        one for one in in_order.findings if one.detector not in but
    )
    assert booked_as(one for one in seen.incidents if one.detector not in but) == booked_as(
        one for one in in_order.incidents if one.detector not in but
    )
    for name in ("tool.repeated_error", "loop.stale"):
        assert sessions(seen.findings, name) == sessions(in_order.findings, name)
    assert len(sessions(seen.findings, *LOOPS) ^ sessions(in_order.findings, *LOOPS)) <= (2 if way.disorder_s else 0)
    assert not sessions(seen.findings, *LOOPS) & succeeded


def test_none_of_the_priced_sessions_costs_too_much(in_order: Seen) -> None:
    cost = [one for one in in_order.findings if one.detector.startswith("cost.")]
    assert [one.title for one in cost if one.detector != "cost.unpriced"] == []


def test_thirteen_sessions_have_a_tool_that_keeps_failing(in_order: Seen, succeeded: set[str]) -> None:
    found = sessions(in_order.findings, "tool.repeated_error")
    assert (len(found), len(found & succeeded)) == (13, 1)


def test_no_session_that_succeeded_goes_in_circles(in_order: Seen, succeeded: set[str]) -> None:
    assert len(succeeded) == 202
    assert len(sessions(in_order.findings, "loop.stale")) == 8
    assert not sessions(in_order.findings, *LOOPS) & succeeded


def test_evaluators_come_to_few_tickets_none_of_them_twice(in_order: Seen) -> None:
    evaluators = {one.id for one in in_order.incidents if one.detector.startswith("eval.")}
    tickets = Counter(one.incident for one in in_order.owed if one.kind == "ticket" and one.incident in evaluators)
    assert 0 < len(tickets) <= TICKETS_MAX
    assert set(tickets.values()) == {1}
    fingerprints = [one.fingerprint for one in in_order.incidents if one.detector.startswith("eval.")]
    assert len(fingerprints) == len(set(fingerprints))


def test_no_trouble_has_two_tickets(in_order: Seen) -> None:
    tickets = Counter(one.incident for one in in_order.owed if one.kind == "ticket")
    assert set(tickets.values()) == {1}
    assert len({one.fingerprint for one in in_order.incidents}) == len(in_order.incidents)
