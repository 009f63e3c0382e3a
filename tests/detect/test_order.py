"""The same story shuffled within the lateness, partly repeated, with crashes at random places: the same incidents.

Exactly the same for every decider of order free or bucketed, and for those of order near in a story whose troubles are
clear; but for which kind of loop a loop is (LOOPS).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import builders as b
import pytest
from contract.running import history
from detect import troubles
from detect.delivered import Seen, booked_as, delivered, told_and_seen, worst
from detect.delivery import Line, Way, line
from msgspec.structs import replace

from streams import policy
from streams.detect.catalogue import DELIVERY_DETECTORS, DETECTORS, scope_deciders, session_detectors
from streams.records import Agent, Fact, Finding, IntakeRejected, SessionEnded

WAYS = {
    "late": Way(1, disorder_s=29.9),
    "twice": Way(2, twice=0.05, again=0.3),
    "crashes": Way(3, crashes=0.1),
    "everything": Way(4, disorder_s=29.9, twice=0.05, again=0.2, crashes=0.1),
    "everything else": Way(5, disorder_s=15.0, twice=0.05, again=0.2, crashes=0.2),
}
EVERY = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
# What a near decider may say otherwise when calls arrive in another order than they were made:
NEAR = {
    "tool.identical_call": "one call in turn with another looks like one call again and again, and the other way round",
    "loop.sequence": "calls in turn are no calls in turn any more; `loop.stale` finds them whatever their order",
    "loop.stale": "a call earlier or later, for which calls that were made before count as the newest",
    "tool.repeated_error": "a call earlier or later: it is asked of the last calls that arrived",
    "cost.session": "beyond its floor before the start is heard that gives it a budget of its own",
    "cost.retry_share": "a repetition that overtakes its failure is no retry",
    "permission.violation": "a call without effect that overtakes its denial is not compared with it",
}
LOOPS = ("tool.identical_call", "loop.sequence")
CIRCLING = {"s-same-call", "s-circle", "s-two-in-turn"}


@pytest.fixture(scope="module")
def rules() -> policy.Policy:
    return policy.parse(troubles.POLICY, "policy.toml")


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    events = troubles.story()
    nonsense = [Line(b.at(50 * n), "nobody", b'{"data": %d}' % n, b.at(50 * n)) for n in range(40)]
    return sorted([*map(line, events), *nonsense], key=lambda one: one.at)


@pytest.fixture(scope="module")
def in_order(lines: list[Line], rules: policy.Policy) -> Seen:
    return delivered(lines, rules)


def without(found: Iterable[Any], names: Iterable[str]) -> list[Any]:
    return [one for one in found if one.detector not in names]


def same(one: Seen, other: Seen, but: Iterable[str] = ()) -> None:
    assert other.detect.isolated == {}
    assert worst(without(other.findings, but)) == worst(without(one.findings, but))
    assert booked_as(without(other.incidents, but)) == booked_as(without(one.incidents, but))


def looping(found: Iterable[Finding]) -> set[str | None]:
    return {one.about.session for one in found if one.detector in (*LOOPS, "loop.stale")}


@EVERY
def test_a_story_comes_to_the_same_incidents_however_it_is_delivered(
    lines: list[Line], rules: policy.Policy, in_order: Seen, way: Way
) -> None:
    seen = delivered(lines, rules, way)
    assert bool(way.crashes) == (seen.detect.starts > 10)
    same(in_order, seen, LOOPS if way.disorder_s else ())
    assert looping(in_order.findings) == looping(seen.findings) == CIRCLING
    if not way.disorder_s and not way.twice:
        assert {one.id for one in seen.findings} == {one.id for one in in_order.findings}


def test_who_may_differ_is_known(rules: policy.Policy) -> None:
    assert {one.name for one in session_detectors(rules.detectors, rules.given) if one.order == "near"} == NEAR.keys()
    assert {one.order for one in scope_deciders(rules.detectors, rules.given)} == {"bucketed"}


# -- whatever the contract suite makes them say ------------------------------------------------------------------------


def sampled(rules: policy.Policy) -> list[Line]:
    """Hardly beyond any threshold, now and then below: a session for each detector."""
    found = []
    for n, detector in enumerate(session_detectors(rules.detectors, rules.given)):
        mine = [one for one in history(detector, 150, session=f"s-{n}") if not isinstance(one, IntakeRejected)]
        ends = [one for one in mine if isinstance(one, SessionEnded)]
        mine = [one for one in mine if not isinstance(one, SessionEnded)]
        if ends:
            mine.append(b.session_ended(mine[-1].time + timedelta(seconds=3), session=f"s-{n}"))
        for event in mine:
            ctx = event.data.ctx
            event.data = replace(event.data, ctx=replace(ctx, agent=Agent(f"{ctx.agent.id}-{n}", ctx.agent.version)))
        found += mine
    return [line(one) for one in sorted(found, key=lambda one: one.time)]


def sampled_facts(rules: policy.Policy) -> list[Fact]:
    found: list[Fact] = []
    for decider in scope_deciders(rules.detectors, rules.given):
        found += history(decider, 300, session=f"x-{decider.name}")
    return sorted(found, key=lambda one: one.bucket)


@pytest.fixture(scope="module")
def samples(rules: policy.Policy) -> tuple[list[Line], Seen]:
    lines = sampled(rules)
    return lines, delivered(lines, rules)


@pytest.fixture(scope="module")
def facts(rules: policy.Policy) -> tuple[list[Fact], Seen]:
    found = sampled_facts(rules)
    return found, told_and_seen(found, rules)


@EVERY
def test_sessions_hardly_in_trouble_come_to_the_same(
    samples: tuple[list[Line], Seen], rules: policy.Policy, way: Way
) -> None:
    lines, in_order = samples
    same(in_order, delivered(lines, rules, way), NEAR if way.disorder_s else ())


@EVERY
def test_scopes_come_to_the_same_whatever_the_order_of_facts(
    facts: tuple[list[Fact], Seen], rules: policy.Policy, way: Way
) -> None:
    found, in_order = facts
    same(in_order, told_and_seen(found, rules, way))


def test_every_detector_speaks_in_one_of_the_stories(
    in_order: Seen, samples: tuple[list[Line], Seen], facts: tuple[list[Fact], Seen]
) -> None:
    spoke = {one.detector for seen in (in_order, samples[1], facts[1]) for one in seen.findings}
    assert {one.name for one in DETECTORS} - spoke == {
        one.name for one in DELIVERY_DETECTORS
    }  # over no events of agents
