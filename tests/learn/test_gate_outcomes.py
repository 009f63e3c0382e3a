"""What people decided about an incident, and what a gate makes of it: release by release."""

from datetime import timedelta

import pytest
from learn.gating import ASKED, NOW, VALUES, incident, inputs
from msgspec.structs import replace

from streams.learn.gates.rules import decide
from streams.records import GateCell, GateFix

DAY = timedelta(days=1)
HERE, BEFORE, AFTER = ASKED.release, "2026.09.2", "2026.09.4"


def asked(one, **given):
    """State, and code and rule of what is said about the incident."""
    decision = decide(VALUES, inputs(one, **given), NOW)
    about = [(reason.code, reason.rule) for reason in decision.reasons if "incident" in reason.detail]
    return (decision.state, *(about[0] if about else ()))


def ended(outcome, **given):
    return incident(**{"stage": "closed", "outcome": outcome, "outcome_at": NOW - DAY, **given})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"stage": "open"}, "incident_open"),
        ({"stage": "acknowledged"}, "incident_open"),
        ({"stage": "mitigated"}, "incident_open"),
        ({"stage": "open", "outcome": "fixed", "fixed_in": HERE}, "incident_regressed"),  # it came back
        ({"stage": "open", "outcome": "unspecified"}, "incident_open"),
        ({"stage": "closed", "outcome": "fixed"}, "incident_fixed_elsewhere"),
        ({"stage": "resolved", "outcome": "fixed", "fixed_in": AFTER}, "incident_fixed_elsewhere"),
        ({"stage": "closed", "outcome": "unspecified"}, "outcome_unspecified"),
        ({"stage": "merged", "outcome": "fixed"}, "incident_fixed_elsewhere"),
        ({"stage": "merged"}, "incident_open"),  # into one that was merged itself: nobody has decided yet
        ({"severity": "critical"}, "incident_open"),
        ({"agents": ()}, "incident_open"),  # it names nobody, so it may be anybody's
        ({"releases": (BEFORE,), "faulty_in": BEFORE}, "incident_open"),  # it contains the faulty ancestor
    ],
)
def test_an_incident_of_the_release_or_of_what_it_contains_blocks_it(given, code):
    assert asked(incident(**given)) == ("block", code, "incident")


@pytest.mark.parametrize(
    "given",
    [
        {"stage": "resolved"},
        {"severity": "medium"},
        {"releases": (BEFORE,)},
        {"releases": ()},
        {"agents": ("billing-bot",)},
    ],
)
def test_an_incident_that_does_not_concern_the_release_lets_it_pass(given):
    assert asked(incident(**given)) == ("allow",)


# outcome, what else was said, what the gate answers
OUTCOMES = [
    # false_positive: clears at once, while it is open too
    ("false_positive", {}, ("allow",)),
    ("false_positive", {"stage": "open"}, ("allow",)),
    # ... said by one who wants the promotion: an override, and no longer than one
    ("false_positive", {"pressed": True, "outcome_at": NOW}, ("warn", "false_positive_pressed", "override")),
    ("false_positive", {"pressed": True, "outcome_at": NOW - DAY}, ("block", "false_positive_lapsed", "incident")),
    ("false_positive", {"pressed": True, "outcome_at": None}, ("block", "false_positive_lapsed", "incident")),
    # accepted_risk: warns until it expires, or until it comes twice as often
    ("accepted_risk", {"expires_at": NOW + DAY}, ("warn", "accepted_risk", "soft")),
    ("accepted_risk", {"expires_at": NOW + DAY, "stage": "open"}, ("warn", "accepted_risk", "soft")),
    ("accepted_risk", {"expires_at": NOW}, ("block", "risk_expired", "incident")),
    ("accepted_risk", {"expires_at": None}, ("block", "risk_expired", "incident")),
    ("accepted_risk", {"expires_at": (NOW + DAY).replace(tzinfo=None)}, ("block", "risk_expired", "incident")),
    (
        "accepted_risk",
        {"expires_at": NOW + 300 * DAY, "outcome_at": NOW - 90 * DAY},
        ("block", "risk_expired", "incident"),
    ),
    (
        "accepted_risk",
        {"expires_at": NOW + DAY, "opened_at": NOW - 2 * DAY, "accepted_count": 24, "count": 24 + 48},
        ("warn", "accepted_risk", "soft"),
    ),
    (
        "accepted_risk",
        {"expires_at": NOW + DAY, "opened_at": NOW - 2 * DAY, "accepted_count": 24, "count": 24 + 49},
        ("block", "risk_voided", "incident"),
    ),
    (  # it goes on as it did when it was accepted, for ten days
        "accepted_risk",
        {
            "expires_at": NOW + DAY,
            "opened_at": NOW - 11 * DAY,
            "outcome_at": NOW - 10 * DAY,
            "accepted_count": 24,
            "count": 24 + 240,
        },
        ("warn", "accepted_risk", "soft"),
    ),
    ("wont_fix", {}, ("warn", "wont_fix", "soft")),
    ("external_cause", {}, ("allow",)),
    ("external_cause", {"stage": "open"}, ("allow",)),
    ("duplicate", {"duplicate_of": "OPS-999"}, ("hold", "duplicate_of_unknown", "incident")),
    # cannot_reproduce: warns until a hundred clean sessions or two weeks
    ("cannot_reproduce", {"clean": 99}, ("warn", "cannot_reproduce", "soft")),
    ("cannot_reproduce", {"clean": 100}, ("allow",)),
    ("cannot_reproduce", {"outcome_at": NOW - 14 * DAY}, ("allow",)),
    ("cannot_reproduce", {"outcome_at": None}, ("warn", "cannot_reproduce", "soft")),
    # unspecified: as before for a day, then as cannot_reproduce
    ("unspecified", {"outcome_at": NOW - timedelta(hours=23)}, ("block", "outcome_unspecified", "incident")),
    ("unspecified", {"outcome_at": NOW - DAY, "clean": 3}, ("warn", "unspecified", "soft")),
    ("unspecified", {"outcome_at": NOW - DAY, "clean": 100}, ("allow",)),
    ("unspecified", {"outcome_at": NOW - 15 * DAY}, ("allow",)),
]


@pytest.mark.parametrize(("outcome", "given", "answer"), OUTCOMES)
def test_each_outcome_has_its_effect(outcome, given, answer):
    assert asked(ended(outcome, **given)) == answer


def fixed(**given):
    return ended("fixed", **{"fixed_in": HERE, **given})


def proof(state, release=HERE, incident_id=None):
    return (GateFix(incident_id or incident().id, ASKED.agent, release, state, "case"),)


@pytest.mark.parametrize(
    ("proofs", "answer"),
    [
        ((), ("hold", "fix_unverified", "fix_unverified")),
        (proof("unverified"), ("hold", "fix_unverified", "fix_unverified")),
        (proof("verified", incident_id="another"), ("hold", "fix_unverified", "fix_unverified")),
        (proof("verified"), ("allow",)),
        (proof("failed"), ("block", "fix_failed", "regression_case")),
        (proof("unreliable"), ("warn", "fix_unreliable", "soft")),
    ],
)
def test_a_fix_clears_the_release_once_it_is_verified(proofs, answer):
    assert asked(fixed(), fixed=proofs) == answer


def test_what_was_verified_in_an_ancestor_is_verified_unless_it_fails_here():
    later = fixed(fixed_in=BEFORE, fixed_here=True, fix=BEFORE)
    assert asked(later, lineage=(BEFORE,), fixed=proof("verified", BEFORE)) == ("allow",)
    both = (*proof("verified", BEFORE), *proof("failed"))
    assert asked(later, lineage=(BEFORE,), fixed=both) == ("block", "fix_failed", "regression_case")


def test_a_fix_in_a_release_that_never_had_the_fault_has_to_be_verified_too():
    assert asked(fixed(releases=(BEFORE,)))[0] == "hold"


@pytest.mark.parametrize(("answer", "state"), [("warn", "warn"), ("block", "block")])
def test_what_an_unverified_fix_means_is_a_field_of_the_policy(answer, state):
    assert decide(replace(VALUES, on_unverified=answer), inputs(fixed()), NOW).state == state


def test_what_serves_has_the_same_trouble_so_promoting_makes_nothing_worse():
    both = incident(releases=(BEFORE, HERE))
    assert asked(both, serving=BEFORE) == ("warn", "incident_in_baseline", "soft")
    assert asked(both, serving=HERE) == ("block", "incident_open", "incident")
    assert asked(incident(), serving=BEFORE) == ("block", "incident_open", "incident")


def test_unless_the_release_is_worse_or_somebody_said_where_it_is_fixed():
    both = incident(releases=(BEFORE, HERE))
    worse = {"cells": (GateCell(0.5, 10, 3),), "sessions": 100, "bad": 10, "baseline_sessions": 100, "baseline_bad": 3}
    assert asked(both, serving=BEFORE, **worse) == ("block", "incident_open", "incident")
    known = ended("fixed", releases=(BEFORE, HERE), fixed_in=AFTER)
    assert asked(known, serving=BEFORE) == ("block", "incident_fixed_elsewhere", "incident")


JUDGED = ("detector:tool.repeated_error@1", "LLM:grounded@4")


@pytest.mark.parametrize(
    ("powers", "answer"),
    [
        ({}, ("warn", "incident_open", "soft")),  # a model's word starts at ticket
        ({"LLM:grounded@4": "block"}, ("block", "incident_open", "incident")),
        ({"LLM:grounded@4": "page"}, ("warn", "incident_open", "soft")),
        (
            {"LLM:grounded@4": "block", "detector:tool.repeated_error@1": "ticket"},
            ("warn", "incident_open", "soft"),
        ),
        ({"LLM:grounded@4": "shadow"}, ("allow",)),
    ],
)
def test_an_incident_blocks_only_by_the_word_of_those_who_may(powers, answer):
    assert asked(incident(judges=JUDGED), powers=powers) == answer


def test_an_incident_below_block_power_that_is_open_for_too_long_says_so():
    late = incident(judges=JUDGED, opened_at=NOW - 15 * DAY)
    (said,) = [one for one in decide(VALUES, inputs(late), NOW).reasons if one.rule == "soft"]
    assert said.detail["open_days"] == 15
    assert asked(incident(severity="low", opened_at=NOW - 15 * DAY)) == ("warn", "incident_overdue", "soft")


def test_a_class_that_is_never_overridden_blocks_whatever_else_would_be_milder():
    gate = replace(VALUES, never_override=("data.*",))
    leak = incident(detector="data.leak", judges=JUDGED, releases=(BEFORE, HERE))
    decision = decide(gate, inputs(leak, serving=BEFORE), NOW)
    assert (decision.state, decision.reasons[0].rule) == ("block", "never_override")
    cleared = incident(detector="data.leak", stage="closed", outcome="false_positive")
    assert decide(gate, inputs(cleared), NOW).state == "allow"
