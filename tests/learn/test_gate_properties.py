"""What holds of every decision, whatever is known."""

from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from learn.gating import ASKED, NOW, VALUES, incident, inputs
from msgspec.structs import replace

from streams.learn.gates import overrides
from streams.learn.gates.incidents import over
from streams.learn.gates.rules import RULES, decide
from streams.records import (
    Control,
    Freeze,
    GateCell,
    GateFix,
    GateInputs,
    GateShare,
    GateValues,
    Override,
    Scope,
)

OUTCOMES = [
    *(None, "fixed", "false_positive", "accepted_risk", "wont_fix", "external_cause", "duplicate"),
    *("cannot_reproduce", "unspecified"),
]
JUDGES = ["detector:tool.repeated_error@1", "LLM:grounded@4", "CODE:schema@2"]
MOMENTS = st.integers(-40 * 24, 40 * 24).map(lambda hours: NOW + timedelta(hours=hours))
DATES = st.none() | MOMENTS | MOMENTS.map(lambda moment: moment.replace(tzinfo=None))
INCIDENTS = st.builds(
    incident,
    st.integers(1, 9),
    severity=st.sampled_from(["critical", "high", "medium", "low"]),
    stage=st.sampled_from(["open", "acknowledged", "mitigated", "resolved", "closed", "merged"]),
    outcome=st.sampled_from(OUTCOMES),
    releases=st.lists(st.sampled_from(["2026.09.2", "2026.09.3", "2026.09.4"]), unique=True).map(tuple),
    agents=st.sampled_from([(), (ASKED.agent,), ("billing-bot",), ("billing-bot", ASKED.agent)]),
    fixed_in=st.sampled_from([None, "2026.09.3", "2026.09.4"]),
    judges=st.lists(st.sampled_from(JUDGES), unique=True).map(tuple),
    detector=st.sampled_from(["tool.repeated_error", "data.leak"]),
    outcome_at=DATES,
    opened_at=DATES,
    expires_at=DATES,
    count=st.integers(0, 20),
    accepted_count=st.integers(0, 10),
    clean=st.integers(0, 120),
    pressed=st.booleans(),
)
OVERRIDES = st.builds(
    Override,
    id=st.sampled_from(["o-1", "o-2"]),
    gate=st.sampled_from([VALUES.gate, "other"]),
    agent=st.just(ASKED.agent),
    release=st.sampled_from([ASKED.release, "2026.09.2"]),
    environment=st.just("prod"),
    reasons=st.lists(
        st.sampled_from([*RULES, *(incident(n).id for n in range(1, 10)), "*", ""]), max_size=14, unique=True
    ).map(tuple),
    reason=st.just("the customer waits for this"),
    requested_by=st.sampled_from(["ann", "bob"]),
    approved_by=st.sampled_from(["", "ann", "carla"]),
    created_at=MOMENTS | MOMENTS.map(lambda moment: moment.replace(tzinfo=None)),
    expires_at=MOMENTS | MOMENTS.map(lambda moment: moment.replace(tzinfo=None)),
    used_by=st.sampled_from(["", "", "d-1"]),
    known=st.just({incident(n).id: "critical" for n in range(1, 10)}),
    e_block=st.floats(0, 1e6),
    ended_at=DATES,
)
FREEZES = st.builds(
    Freeze,
    id=st.just("f"),
    begins=MOMENTS,
    ends=MOMENTS,
    reason=st.just("sale"),
    actor=st.just("ann"),
    exempt=st.sampled_from(["fixes", "none"]),
    ended_at=DATES,
    at=st.just(NOW),
)
CONTROLS = st.builds(
    Control,
    scope=st.sampled_from([Scope("agent", ASKED.agent), Scope("release", ASKED.agent, ASKED.release), Scope("global")]),
    state=st.sampled_from(["open", "half_open", "forced_open", "metrics_only"]),
    actor=st.sampled_from(["", "ann"]),
    automatic=st.booleans(),
    ratio=st.sampled_from([None, None, 0.5]),
    seq=st.just(1),
    issued_at=st.just(NOW),
    not_after=st.none() | MOMENTS,
)
CELLS = st.lists(
    st.builds(GateCell, st.floats(0.001, 0.999), st.integers(0, 200), st.integers(0, 200)), max_size=4
).map(tuple)
SITUATIONS = st.builds(
    lambda some, **rest: inputs(*some, **rest),
    st.lists(INCIDENTS, max_size=6, unique_by=lambda one: one.id),
    sessions=st.integers(0, 400),
    bad=st.integers(0, 30),
    baseline_sessions=st.sampled_from([0, 3, 500]),
    cells=CELLS,
    shares=st.lists(
        st.builds(GateShare, st.floats(0.01, 0.99), st.integers(0, 900), st.integers(0, 900)), max_size=2
    ).map(tuple),
    known=st.booleans(),
    cyclic=st.sampled_from([False, False, True]),
    watermark=st.none() | st.integers(-1000, 1000).map(lambda s: NOW - timedelta(seconds=s)),
    read_at=st.integers(-10, 20).map(lambda s: NOW - timedelta(seconds=s)),
    serving=st.sampled_from(["", "2026.09.2", "2026.09.3"]),
    fixed=st.lists(
        st.builds(
            GateFix,
            st.integers(1, 9).map(lambda n: incident(n).id),
            st.just(ASKED.agent),
            st.just(ASKED.release),
            st.sampled_from(["unverified", "verified", "failed", "unreliable"]),
        ),
        max_size=3,
    ).map(tuple),
    overrides=st.lists(OVERRIDES, max_size=2).map(tuple),
    freezes=st.lists(FREEZES, max_size=2).map(tuple),
    controls=st.lists(CONTROLS, max_size=2).map(tuple),
    powers=st.dictionaries(st.sampled_from(JUDGES), st.sampled_from(["shadow", "ticket", "page", "block"])),
    author=st.sampled_from(["", "ann"]),
    tickets_away=st.booleans(),
)
GATES = st.builds(
    lambda **given: replace(VALUES, **given),
    never_override=st.sampled_from([(), ("data.*",)]),
    on_insufficient=st.sampled_from(["hold", "hold", "warn", "block"]),
    on_unverified=st.sampled_from(["hold", "warn", "block"]),
    clean_min=st.sampled_from([59, 300]),
)
WORST = ("block", "hold", "warn", "allow")


@settings(deadline=None)
@given(GATES, SITUATIONS)
def test_the_state_is_that_of_the_worst_reason_unless_everything_is_overridden(gate, situation):
    decision = decide(gate, situation, NOW)
    assert decision.reasons, "a decision always says why"
    effects = [one.effect for one in decision.reasons]
    need = [one for one in decision.reasons if one.effect in ("block", "hold") and one.code != "more"]
    taken = bool(need) and all("overridden_by" in one.detail for one in need)
    assert decision.state == ("warn" if taken else min(effects, key=WORST.index))
    assert (decision.allow, decision.block) == (decision.state in ("allow", "warn"), decision.state == "block")
    places = [RULES.index(one.rule) for one in decision.reasons]
    assert places == sorted(places)
    assert decision.state != "allow" or any(one.rule == "evidence" for one in decision.reasons), "only evidence says so"
    assert len(msgspec.json.encode(decision)) < 4600


@settings(deadline=None)
@given(GATES, SITUATIONS)
def test_a_decision_is_the_same_to_the_byte_when_it_is_replayed_from_what_was_stored(gate, situation):
    said = msgspec.json.encode(decide(gate, situation, NOW))
    values = msgspec.json.decode(msgspec.json.encode(gate), type=GateValues)
    stored = msgspec.json.decode(msgspec.json.encode(situation), type=GateInputs)
    assert msgspec.json.encode(decide(values, stored, NOW)) == said


@settings(deadline=None)
@given(GATES, SITUATIONS, st.sampled_from(["open", "acknowledged", "mitigated"]))
def test_one_more_open_incident_never_frees_a_release(gate, situation, stage):
    more = incident(99, stage=stage, judges=(JUDGES[0],))
    situation = replace(situation, powers={**situation.powers, JUDGES[0]: "block"}, serving="")
    before = decide(gate, situation, NOW).state
    after = decide(gate, replace(situation, incidents=(*situation.incidents, more)), NOW).state
    assert after == "block"
    assert WORST.index(after) <= WORST.index(before)


@settings(deadline=None)
@given(GATES, SITUATIONS)
def test_an_override_changes_no_evidence(gate, situation):
    situation = replace(situation, incidents=situation.incidents[:3])
    with_ = decide(gate, situation, NOW).reasons
    without = decide(gate, replace(situation, overrides=()), NOW).reasons
    bare = [{key: value for key, value in one.detail.items() if key != "overridden_by"} for one in with_]
    if len(with_) == len(without):  # one of them may have been cut a little shorter to fit
        assert [(one.code, one.effect, one.rule) for one in with_] == [
            (one.code, one.effect, one.rule) for one in without
        ]
        assert bare == [one.detail for one in without]


@settings(deadline=None)
@given(GATES, SITUATIONS)
def test_a_stop_by_a_person_and_a_class_that_is_never_overridden_are_beyond_overrides(gate, situation):
    stop = Control(scope=Scope("agent", ASKED.agent), state="forced_open", actor="ann", seq=1, issued_at=NOW)
    assert decide(gate, replace(situation, controls=(stop,)), NOW).state == "block"
    leak = incident(1, detector="data.leak", stage="open", outcome=None)
    gate = replace(gate, never_override=("data.*",))
    assert decide(gate, replace(situation, incidents=(leak,)), NOW).state == "block"


@settings(deadline=None)
@given(GATES, SITUATIONS)
def test_nothing_is_allowed_that_is_stale_unknown_or_open(gate, situation):
    decision = decide(replace(gate, on_insufficient="hold"), replace(situation, overrides=()), NOW)
    if not decision.allow:
        return
    assert situation.known
    assert situation.watermark is not None
    assert NOW - situation.read_at <= timedelta(seconds=5)
    for one in situation.incidents:
        ours = ASKED.release in one.releases and (not one.agents or ASKED.agent in one.agents)
        if ours and one.severity in ("critical", "high") and not over(one) and one.outcome in (None, "unspecified"):
            powers = [situation.powers.get(judge, "ticket" if "LLM" in judge else "block") for judge in one.judges]
            assert set(powers) - {"block"} or situation.serving in one.releases


def override(**given):
    known = {
        "id": "o-1",
        "gate": VALUES.gate,
        "agent": ASKED.agent,
        "release": ASKED.release,
        "environment": "prod",
        "reasons": (incident().id,),
        "reason": "the customer waits for this",
        "requested_by": "ann",
        "approved_by": "carla",
        "created_at": NOW - timedelta(hours=1),
        "expires_at": NOW + timedelta(hours=1),
        "known": {incident().id: "high"},
    }
    return Override(**{**known, **given})


def state(one, *incidents, **given):
    return decide(VALUES, inputs(*(incidents or (incident(),)), overrides=(one,), **given), NOW).state


def test_an_override_that_covers_everything_warns_and_says_by_whom():
    decision = decide(VALUES, inputs(incident(), overrides=(override(),)), NOW)
    assert (decision.state, decision.allow) == ("warn", True)
    assert decision.reasons[0].detail["overridden_by"] == "o-1"
    assert decision.reasons[0].effect == "block"
    assert [(one["id"], one["valid"], one["approved_by"]) for one in decision.overrides] == [("o-1", True, "carla")]


def test_an_override_that_does_not_hold_or_covers_too_little_changes_nothing():
    naive = (NOW + timedelta(hours=1)).replace(tzinfo=None)
    for one in (
        override(expires_at=NOW),
        override(expires_at=naive),
        override(created_at=naive),
        override(created_at=NOW - timedelta(days=7), expires_at=NOW + timedelta(days=30)),
        override(ended_at=NOW),
        override(approved_by=""),
        override(used_by="d-1"),
        override(gate="other"),
        override(release="2026.09.2"),
        override(environment="staging"),
        override(reasons=("*",)),
        override(reasons=(incident().id, "rule*")),
        override(reasons=("incident",)),
        override(reasons=()),
        override(known={}),
        override(known={incident().id: "low"}),
    ):
        assert state(one) == "block", one
    assert state(override(), incident(), sessions=3) == "block", "nobody took upon themselves that little is known"
    both = override(reasons=(incident().id, "insufficient"))
    assert state(both, incident(), sessions=3) == "warn"
    assert state(override(), incident(), author="Ann") == "block", "who made the release does not ask for it"
    alone = override(approved_by="Ann", known={incident().id: "critical"})
    assert state(alone, incident(severity="critical")) == "block", "what is critical takes two people"


def test_evidence_that_grew_ten_times_voids_an_override():
    worse = {"sessions": 200, "bad": 30, "baseline_sessions": 200, "baseline_bad": 5, "cells": (GateCell(0.5, 30, 5),)}
    strength = overrides.against(VALUES, inputs(**worse))
    assert strength > 20
    known = override(reasons=("regression_vs_stable", "insufficient"), known={}, e_block=strength)
    assert decide(VALUES, inputs(**worse, overrides=(known,)), NOW).state == "warn"
    assert decide(VALUES, inputs(**worse, overrides=(replace(known, e_block=strength / 11),)), NOW).state == "block"


def test_a_freeze_is_broken_by_two_people():
    window = Freeze(
        id="f", begins=NOW - timedelta(1), ends=NOW + timedelta(1), reason="sale", actor="ann", exempt="none", at=NOW
    )
    one = override(reasons=("freeze",), known={})
    assert decide(VALUES, inputs(freezes=(window,), overrides=(one,)), NOW).state == "warn"
    same = replace(one, approved_by="ann")
    assert decide(VALUES, inputs(freezes=(window,), overrides=(same,)), NOW).state == "hold"


def test_every_rule_that_may_be_overridden_is_one():
    assert set(overrides.OVERRIDABLE) <= set(RULES)
    assert not set(overrides.OVERRIDABLE) & {"kill_switch", "never_override", "incident"}
