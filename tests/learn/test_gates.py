"""What a delivery pipeline is told, and why."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learn.gating import ASKED, NOW, VALUES, incident, inputs

from streams.learn.gates import CLEARING, ENDED, decide
from streams.records import GateInputs, GateValues


def codes(decision):
    return [reason.code for reason in decision.reasons]


def test_a_release_with_enough_clean_sessions_is_allowed():
    decision = decide(VALUES, inputs(), NOW)
    assert (decision.state, decision.allow, decision.block, decision.score) == ("allow", True, False, 100)
    assert decision.summary == "No blocking incident in 20 sessions."


def test_too_few_sessions_hold_and_say_how_many_are_missing():
    decision = decide(VALUES, inputs(sessions=12), NOW)
    assert (decision.state, decision.progress, codes(decision)) == (
        "hold",
        "12 of 20 sessions",
        ["insufficient_evidence"],
    )
    assert decision.score == 50


def test_an_unknown_release_holds_and_is_not_an_error():
    decision = decide(VALUES, inputs(known=False, sessions=0), NOW)
    assert decision.state == "hold"
    assert codes(decision) == ["release_unknown", "insufficient_evidence"]


@pytest.mark.parametrize(
    "stale",
    [
        {"read_at": NOW - timedelta(seconds=5.001)},
        {"watermark": NOW - timedelta(seconds=301)},
        {"watermark": None},
    ],
)
def test_what_is_too_old_holds(stale):
    decision = decide(VALUES, inputs(**stale), NOW)
    assert (decision.state, codes(decision), decision.freshness.stale) == ("hold", ["inputs_stale"], True)


def test_a_known_block_beats_stale_inputs_and_every_reason_is_listed():
    decision = decide(VALUES, inputs(incident(), sessions=3, read_at=NOW - timedelta(minutes=2)), NOW)
    assert decision.state == "block"
    assert codes(decision) == ["incident_open", "insufficient_evidence", "inputs_stale"]
    assert decision.summary == "Blocked by OPS-1: support-bot: tool /refund keeps failing"
    assert decision.links.tickets == ("https://jira.example/browse/OPS-1",)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"stage": "open"}, "incident_open"),
        ({"stage": "acknowledged"}, "incident_open"),
        ({"stage": "mitigated"}, "incident_open"),
        ({"stage": "open", "outcome": "fixed", "fixed_in": "2026.09.3"}, "incident_open"),  # it came back
        ({"stage": "open", "outcome": "unspecified"}, "incident_open"),
        ({"stage": "closed", "outcome": "fixed"}, "incident_fixed_elsewhere"),
        ({"stage": "resolved", "outcome": "fixed", "fixed_in": "2026.09.4"}, "incident_fixed_elsewhere"),
        ({"stage": "closed", "outcome": "unspecified"}, "outcome_unspecified"),
        ({"stage": "merged", "outcome": "fixed"}, "incident_fixed_elsewhere"),
        ({"stage": "merged"}, "incident_open"),  # into one that was merged itself: nobody has decided yet
        ({"severity": "critical"}, "incident_open"),
        ({"agents": ()}, "incident_open"),  # it names nobody, so it may be anybody's
    ],
)
def test_an_incident_sighted_in_the_release_blocks_it(given, code):
    decision = decide(VALUES, inputs(incident(**given)), NOW)
    assert (decision.state, codes(decision)) == ("block", [code])


@pytest.mark.parametrize(
    "given",
    [
        *({"stage": stage, "outcome": outcome} for stage in ("open", "closed") for outcome in sorted(CLEARING)),
        {"stage": "resolved"},
        {"stage": "closed", "outcome": "fixed", "fixed_in": "2026.09.3"},
        {"severity": "medium"},
        {"releases": ("2026.09.2",)},
        {"releases": ()},
        {"agents": ("billing-bot",)},
    ],
)
def test_an_incident_that_does_not_concern_the_release_lets_it_pass(given):
    assert decide(VALUES, inputs(incident(**given)), NOW).state == "allow"


def test_a_release_with_hundreds_of_incidents_still_gets_a_small_document():
    many = [incident(n, title="ü" * 4000) for n in range(300)]
    decision = decide(VALUES, inputs(*many), NOW)
    assert decision.reasons[-1].detail == {"more": 292}
    assert len(msgspec.json.encode(decision)) < 6000


def test_the_same_inputs_read_again_have_the_same_digest_and_others_another():
    first = decide(VALUES, inputs(), NOW)
    later = decide(VALUES, inputs(read_at=NOW + timedelta(seconds=1)), NOW + timedelta(seconds=2))
    assert first.inputs_digest == later.inputs_digest
    assert first.decision_id != later.decision_id
    assert decide(VALUES, inputs(sessions=21), NOW).inputs_digest != first.inputs_digest


INCIDENTS = st.builds(
    incident,
    st.integers(1, 99),
    severity=st.sampled_from(["critical", "high", "medium", "low"]),
    stage=st.sampled_from(["open", "acknowledged", "mitigated", "resolved", "closed", "merged"]),
    outcome=st.sampled_from([None, "fixed", "unspecified", *sorted(CLEARING)]),
    releases=st.lists(st.sampled_from(["2026.09.2", "2026.09.3", "2026.09.4"]), unique=True).map(tuple),
    agents=st.sampled_from([(), (ASKED.agent,), ("billing-bot",), ("billing-bot", ASKED.agent)]),
    fixed_in=st.sampled_from([None, "2026.09.3", "2026.09.4"]),
)
SITUATIONS = st.builds(
    lambda incidents, **rest: inputs(*incidents, **rest),
    st.lists(INCIDENTS, max_size=12),
    sessions=st.integers(0, 40),
    known=st.booleans(),
    watermark=st.none() | st.integers(-100, 1000).map(lambda s: NOW - timedelta(seconds=s)),
    read_at=st.integers(-10, 20).map(lambda s: NOW - timedelta(seconds=s)),
)


@given(SITUATIONS)
def test_nothing_is_allowed_with_an_open_blocking_incident_or_without_evidence(situation):
    decision = decide(VALUES, situation, NOW)
    ours = [
        one
        for one in situation.incidents
        if one.severity in ("critical", "high")
        and ASKED.release in one.releases
        and (not one.agents or ASKED.agent in one.agents)
        and one.outcome not in CLEARING
    ]
    if any(one.stage not in ENDED or (one.stage, one.outcome) == ("merged", None) for one in ours):
        assert decision.state == "block"
    if decision.allow:
        assert situation.known and situation.sessions >= 20 and situation.watermark is not None
        assert NOW - situation.read_at <= timedelta(seconds=5)
        assert NOW - situation.watermark <= timedelta(seconds=300)
    assert decision.allow == (decision.state == "allow") and decision.block == (decision.state == "block")
    assert decision.reasons, "a decision always says why"
    assert all(reason.effect != "block" for reason in decision.reasons) or decision.block


@given(SITUATIONS)
def test_a_decision_is_the_same_to_the_byte_when_it_is_replayed_from_what_was_stored(situation):
    said = msgspec.json.encode(decide(VALUES, situation, NOW))
    values = msgspec.json.decode(msgspec.json.encode(VALUES), type=GateValues)
    stored = msgspec.json.decode(msgspec.json.encode(situation), type=GateInputs)
    assert msgspec.json.encode(decide(values, stored, NOW)) == said
