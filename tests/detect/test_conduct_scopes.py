"""Denials, settings that differ within a release, writers that meet, and the pipeline itself."""

from __future__ import annotations

from typing import Any

import builders as b
from contract.running import run
from detect.scoped import Scoped

from streams.detect.detector import Chosen
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.scope.conflicts import EffectConflict
from streams.detect.scope.permissions import DeniedSpike
from streams.detect.scope.pipeline import PipelineSelf
from streams.detect.scope.pipeline import Thresholds as Numbers
from streams.detect.scope.skew import ConfigSkew, Thresholds
from streams.records import Fact, Facts, Finding, Position


def told(decider: Any, facts: list[Fact]) -> list[Finding]:
    return [saying for _, saying in run(decider, facts).said]


def denied(at_s: float, action: str = "refund", session: str = "s1") -> Fact:
    return b.fact(at_s, kind="permission", subject=("billing", "prod", action), sums={"denied": 1}, marks=(session,))


def test_five_denials_in_ten_minutes_are_a_spike_and_four_are_none() -> None:
    (found,) = told(DeniedSpike(), [denied(n * 100, session=f"s{n}") for n in range(5)])
    assert (found.severity, found.count) == ("medium", 5)
    assert "refund (5)" in (found.observed or "")
    assert told(DeniedSpike(), [denied(n * 100) for n in range(4)]) == []
    assert told(DeniedSpike(), [denied(n * 200) for n in range(20)]) == []


def test_an_action_that_was_never_denied_before_makes_it_high_once_the_agent_is_known() -> None:
    known = [denied(n * 7200) for n in range(14)]
    spike = [denied(100_000 + n, "transfer") for n in range(5)]
    assert told(DeniedSpike(), known + spike)[-1].severity == "high"
    assert told(DeniedSpike(), spike)[-1].severity == "medium"


def start(at_s: float, *marks: str, release: str = "7") -> Fact:
    return b.fact(at_s, kind="config", subject=("billing", release, "prod"), sums={"starts": 1}, marks=marks)


def test_two_prompts_under_one_release_are_a_skew() -> None:
    (found,) = told(ConfigSkew(), [start(0, "prompt:b2:1", "model:m"), start(40, "prompt:b2:2", "model:m")])
    assert found.subject == {"agent": "billing", "part": "prompt"}
    assert found.releases == ("7",)


def test_another_release_may_differ_and_a_part_may_be_left_out() -> None:
    assert told(ConfigSkew(), [start(0, "prompt:b2:1"), start(40, "prompt:b2:2", release="8")]) == []
    assert told(ConfigSkew(), [start(0, "prompt:b2:1", release=""), start(40, "prompt:b2:2", release="")]) == []
    assert told(ConfigSkew(Thresholds(parts=["prompt"])), [start(0, "model:a"), start(40, "model:b")]) == []


def write(at_s: float, agent: str, session: str) -> Fact:
    mark = f"{agent}\x1f{session}"
    return b.fact(
        at_s, kind="write", subject=("file:///ledger", "prod"), sums={"writes": 1}, marks=(mark,), about=b.r.About()
    )


def test_two_agents_that_write_one_resource_within_a_minute_conflict() -> None:
    (found,) = told(EffectConflict(), [write(0, "billing", "s1"), write(30, "audit", "s2")])
    assert found.title == "audit, billing: wrote the same resource at the same time"
    assert found.subject == {"resource": "file:///ledger"}


def test_one_after_the_other_one_agent_alone_and_a_swarm_do_not() -> None:
    assert told(EffectConflict(), [write(0, "billing", "s1"), write(300, "audit", "s2")]) == []
    assert told(EffectConflict(), [write(0, "billing", "s1"), write(10, "billing", "s2")]) == []
    assert told(EffectConflict(), [write(0, "billing", "s1"), write(10, "audit", "s1")]) == []


def number(at_s: float, name: str, value: float, agent: str = "tocsin-intake") -> Fact:
    return b.fact(at_s, kind="number", subject=(agent, "prod", name), sums={"n": 1, "micro": round(value * 1e6)})


def test_the_pipelines_own_numbers_are_held_against_limits() -> None:
    (found,) = told(PipelineSelf(), [number(0, "lag_messages", 2e6)])
    assert (found.severity, found.subject) == ("high", {"agent": "tocsin-intake", "number": "lag_messages"})
    assert told(PipelineSelf(), [number(0, "lag_messages", 20)]) == []
    assert told(PipelineSelf(), [number(0, "lag_messages", 2e6, agent="billing")]) == []


def test_more_than_one_dead_letter_in_a_hundred_events_is_trouble() -> None:
    assert told(PipelineSelf(), [number(0, "events", 1000), number(0, "dead_letters", 30)])[0].severity == "high"
    assert told(PipelineSelf(), [number(0, "events", 1000), number(0, "dead_letters", 5)]) == []
    assert told(PipelineSelf(), [number(0, "events", 50), number(0, "dead_letters", 30)]) == []


def test_a_refused_call_is_a_ticket() -> None:
    (found,) = told(PipelineSelf(), [number(0, "refused", 1, agent="tocsin-respond")])
    assert found.severity == "medium"


def test_a_skew_is_over_when_one_of_both_is_gone() -> None:
    facts = [start(0, "prompt:b2:1"), *(start(3600 + n * 3600, "prompt:b2:2") for n in range(96))]
    found = told(ConfigSkew(), facts)
    assert len(found) > 2
    assert found[-1].at < b.at(2 * 86_400 + 10)
    daily = [start(day * 86_400, f"prompt:b2:{day}") for day in range(4)]
    assert len(told(ConfigSkew(), daily)) == 3


def test_what_is_brought_in_hours_later_did_not_happen_at_once() -> None:
    conflict, denials = Scoped(EffectConflict()), Scoped(DeniedSpike())
    conflict.fact(90_000, "write", ("file:///ledger", "prod"), {"writes": 1}, marks=("x\x1fs",))
    denials.fact(90_000, "permission", ("billing", "prod", "refund"), {"allowed": 1})
    assert conflict.until(90_100) == denials.until(90_100) == []
    for n in range(8):
        mark = f"agent-{n}\x1fs{n}"
        conflict.fact(n * 7200, "write", ("file:///ledger", "prod"), {"writes": 1}, marks=(mark,))
        denials.fact(n * 7200, "permission", ("billing", "prod", "refund"), {"denied": 1}, marks=("s",))
    assert conflict.until(200_000) == denials.until(200_000) == []


def test_the_policys_severity_is_never_made_louder_nor_a_new_action_quieter() -> None:
    (found,) = told(PipelineSelf(severity="low"), [number(0, "refused", 1, agent="tocsin-respond")])
    assert found.severity == "low"
    known = [denied(n * 7200) for n in range(14)]
    spike = [denied(100_000 + n, "transfer") for n in range(5)]
    assert told(DeniedSpike(severity="critical"), known + spike)[-1].severity == "critical"


def test_the_pipelines_limits_may_differ_by_role() -> None:
    lax = (("tocsin-in*", Chosen(Numbers(lag_max=1e9), "low", dry_run=False)),)
    assert told(PipelineSelf(overrides=lax), [number(0, "lag_messages", 2e6)]) == []
    assert told(PipelineSelf(overrides=lax), [number(0, "lag_messages", 2e6, agent="tocsin-detect")])


def test_a_million_resources_are_forgotten_after_an_hour_and_agents_are_not() -> None:
    kept: dict[str, bytes] = {}
    fold = Fold([EffectConflict(), DeniedSpike()], kept.get, idle_s=SCOPE_IDLE_S)
    facts = [write(0, "billing", "s1"), denied(0)]
    fold.facts(Facts(Position("tocsin.timeline/0", 1), tuple(facts)), 0)
    fold.tick(0, b.at(4000).timestamp())
    names = {key: value for items in fold.remembered().values() for key, value in items}
    assert {key.partition("\x1f")[0]: value is None for key, value in names.items()} == {
        "resource": True,
        "agent": False,
    }
