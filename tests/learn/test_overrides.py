"""Who may set a gate's reasons aside, for what, for how long, and what takes it away again."""

from datetime import timedelta

import pytest
from learn.gating import ASKED, NOW, VALUES, incident, inputs
from msgspec.structs import replace

from streams.learn.gates import overrides
from streams.learn.gates.rules import decide
from streams.records import Freeze, Override, OverrideAsked

WHY = "The refund tool is mocked in this canary; payments agreed."
ONE = incident().id


def asking(**given):
    known = {
        "gate": "promotion",
        "agent": ASKED.agent,
        "release": ASKED.release,
        "environment": ASKED.environment,
        "reasons": (ONE,),
        "reason": WHY,
        "requested_by": "ada",
    }
    return OverrideAsked(**{**known, **given})


def asked(given=None, *incidents, **more):
    found = inputs(*(incidents or (incident(),)), **more)
    return overrides.asked(given or asking(), VALUES, found, 0.0, NOW)


def given(**more):
    override = asked()
    assert isinstance(override, Override)
    return replace(override, approved_by="grace", **more)


def test_it_holds_for_a_day_unless_somebody_says_for_how_long():
    override = asked()
    assert override.expires_at == NOW + timedelta(days=1)
    assert override.known == {ONE: "high"}
    assert asked(asking(expires_at=(NOW + timedelta(hours=2)).isoformat())).expires_at == NOW + timedelta(hours=2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"reason": "because, please"}, "20 characters"),
        ({"reason": " " * 30}, "20 characters"),
        ({"reasons": ()}, "Name what it covers"),
        ({"reasons": ("*",)}, "pattern"),
        ({"reasons": ("v1:tool.*",)}, "pattern"),
        ({"reasons": ("everything",)}, "neither an incident"),
        ({"reasons": ("kill_switch",)}, "cannot be overridden"),
        ({"reasons": ("incident",)}, "by id"),
        ({"expires_at": "soon"}, "no date"),
        ({"expires_at": ""}, "no date"),
        ({"expires_at": "2026-13-40T00:00:00Z"}, "no date"),
        ({"expires_at": "2026-09-15T10:00:00"}, "no offset"),
        ({"expires_at": 4}, "no date"),
        ({"expires_at": "2026-09-14T10:00:00Z"}, "expired already"),
        ({"expires_at": "2026-09-30T10:00:00Z"}, "7 days at most"),
        ({"release": "stable"}, "Name the release exactly"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_words(wrong, words):
    assert words in asked(asking(**wrong))


def test_who_made_the_release_asks_for_no_incident_of_it():
    assert "made this release" in asked(asking(requested_by="Ada"), incident(), author="ada")
    assert isinstance(asked(asking(reasons=("insufficient",)), author="ada"), Override)


def test_a_class_that_is_never_overridden_is_refused_when_it_is_asked_for():
    values = replace(VALUES, never_override=("leak.*",))
    found = inputs(incident(detector="leak.secret"))
    assert "never lets anybody" in overrides.asked(asking(), values, found, 0.0, NOW)


@pytest.mark.parametrize(("severity", "alone"), [("high", True), ("critical", False)])
def test_what_is_critical_takes_a_second_person(severity, alone):
    override = asked(None, incident(severity=severity))
    assert overrides.second(override) is not alone
    assert (overrides.approvable(override, "ADA ", NOW) is None) is alone
    assert overrides.approvable(override, "grace", NOW) is None


def test_what_breaks_a_freeze_takes_a_second_person():
    override = asked(asking(reasons=("freeze",)))
    assert "second person" in overrides.approvable(override, "ada", NOW)


def test_what_is_critical_and_over_takes_a_second_person_too():
    override = asked(None, incident(severity="critical", stage="resolved", outcome="fixed", fixed_in="2026.09.9"))
    assert overrides.second(override)


def test_it_does_nothing_until_it_is_approved_and_nothing_once_it_is_over():
    found = inputs(incident())
    assert overrides.holds(asked(), found, 0.0, NOW).startswith("pending")
    assert overrides.holds(given(), found, 0.0, NOW) is None
    assert overrides.holds(given(), found, 0.0, NOW + timedelta(days=1)).startswith("expired")
    assert overrides.holds(given(ended_at=NOW), found, 0.0, NOW).startswith("ended")
    assert overrides.holds(given(used_by="d-1"), found, 0.0, NOW).startswith("used")
    assert overrides.holds(given(release="2026.09.2"), found, 0.0, NOW).startswith("other")


@pytest.mark.parametrize(
    "worse",
    [
        (incident(), incident(2)),
        (incident(severity="critical"),),
        (incident(), incident(3, severity="medium")),
    ],
)
def test_new_evidence_voids_it(worse):
    assert overrides.holds(given(), inputs(*worse), 0.0, NOW).startswith("voided: new_evidence")


@pytest.mark.parametrize(
    "same",
    [
        (),
        (incident(severity="medium"),),
        (incident(), incident(2, severity="low")),
        (incident(), incident(2, stage="closed", outcome="false_positive")),
        (incident(stage="acknowledged"),),
    ],
)
def test_what_is_no_worse_leaves_it_alone(same):
    assert overrides.holds(given(), inputs(*same), 0.0, NOW) is None


def test_an_incident_that_was_over_and_comes_back_voids_it():
    override = replace(asked(None, incident(stage="resolved", outcome="fixed")), approved_by="grace")
    assert overrides.holds(override, inputs(incident(stage="resolved", outcome="fixed")), 0.0, NOW) is None
    assert "was over then" in overrides.holds(override, inputs(incident(outcome="fixed")), 0.0, NOW)


@pytest.mark.parametrize(
    ("then", "now", "void"), [(0.0, 9.0, False), (0.0, 11.0, True), (30.0, 290.0, False), (30.0, 310.0, True)]
)
def test_ten_times_the_evidence_voids_it(then, now, void):
    assert (overrides.holds(given(e_block=then), inputs(incident()), now, NOW) is not None) is void


def test_the_gate_warns_lists_its_reasons_as_ever_and_says_whose_word_it_is():
    override = given()
    decision = decide(VALUES, inputs(incident(), sessions=200, overrides=(override,)), NOW)
    assert decision.state == "warn"
    blocking = next(one for one in decision.reasons if one.rule == "incident")
    assert (blocking.effect, blocking.detail["overridden_by"]) == ("block", override.id)
    assert decision.overrides[0]["approved_by"] == "grace"


def test_the_gate_blocks_again_once_a_second_incident_is_known():
    decision = decide(VALUES, inputs(incident(), incident(2), sessions=200, overrides=(given(),)), NOW)
    assert decision.state == "block"
    assert decision.overrides[0]["why"].startswith("voided: new_evidence")


def test_a_freeze_holds_and_never_hides_a_block():
    freeze = Freeze(
        id="f-1", begins=NOW, ends=NOW + timedelta(hours=1), reason="holidays", actor="ada", at=NOW, exempt="none"
    )
    assert decide(VALUES, inputs(sessions=200, freezes=(freeze,)), NOW).state == "hold"
    assert decide(VALUES, inputs(incident(), sessions=200, freezes=(freeze,)), NOW).state == "block"
