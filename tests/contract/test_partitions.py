"""A fact's first subject word decides its partition: whoever remembers anything must be found there alone."""

from __future__ import annotations

from random import Random
from typing import Any

import builders as b
import pytest
from contract.facts import KINDS, fact
from msgspec.structs import replace

from streams import policy
from streams.detect.catalogue import scope_deciders
from streams.detect.scope.series import Series
from streams.detect.session.totals import SessionFacts

RULES = '[[agents]]\nmatch = ["*"]\nobjective = 0.99\nbudget_month = 50.0\n'
FACTS_EACH = 20


def deciders() -> list[Any]:
    rules = policy.parse(RULES, "policy.toml")
    return [*scope_deciders(rules.detectors, rules.given), Series()]


EVERY = pytest.mark.parametrize("decider", deciders(), ids=lambda one: one.name)


def facts(*kinds: str) -> list[Any]:
    who = {"session": "s1", "release": "7"}
    found = [fact(Random(seed), seed * 60.0, who, (kind,)) for kind in kinds or KINDS for seed in range(FACTS_EACH)]
    return found + [replace(one, subject=(f"tocsin-{one.subject[0]}", *one.subject[1:])) for one in found]


@EVERY
def test_the_same_words_are_only_said_of_facts_of_one_partition(decider: Any) -> None:
    for one in facts():
        key = decider.key(one)
        elsewhere = replace(one, subject=(f"{one.subject[0]}-else", *one.subject[1:]))
        assert key is None or key != decider.key(elsewhere), "two partitions would write one shelf"


@EVERY
def test_a_separator_in_a_name_does_not_lead_to_another_shelf(decider: Any) -> None:
    for one in facts():
        if len(one.subject) < 2:
            continue
        first, second, *rest = one.subject
        left = decider.key(replace(one, subject=(f"{first}\x1fx", second, *rest)))
        right = decider.key(replace(one, subject=(first, f"x\x1f{second}", *rest)))
        assert left is None or left != right


def test_every_decider_of_facts_reads_a_kind_that_is_tried_here() -> None:
    assert all(set(one.kinds) <= set(KINDS) for one in deciders() if hasattr(one, "kinds"))
    assert all(
        any(one.key(fact) for fact in facts(*one.kinds)) if hasattr(one, "kinds") else any(map(one.key, facts()))
        for one in deciders()
    )


def test_the_fleet_is_one_partitions_whoever_is_heard_in_it() -> None:
    (fleet,) = (one for one in deciders() if one.name == "fleet.heartbeat")
    said = [
        saying
        for agent in ("billing", "refunds")
        for saying in SessionFacts().step(None, b.heartbeat(60, agent=agent)).say
        if saying.kind == "alive"
    ]
    assert len(said) == 2
    assert {one.subject[0] for one in said} == {"fleet"}
    assert len({fleet.key(one) for one in said}) == 1
