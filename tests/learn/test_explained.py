"""A decision in words: which rule decides, and why an override that holds does not help yet."""

from learn.gating import NOW, VALUES, incident, inputs
from learn.test_overrides import ONE, given

from streams.learn.gates.explained import explained
from streams.learn.gates.rules import decide

BLOCKED = incident(severity="high")


def deciding(decision):
    return [rule.rule for rule in explained(decision) if rule.decides]


def changes(decision, rule):
    return [reason.change for one in explained(decision) if one.rule == rule for reason in one.reasons]


def test_of_several_rules_that_block_the_first_decides():
    worse = {"sessions": 400, "bad": 380, "baseline_sessions": 0}
    decision = decide(VALUES.__class__(**{**_fields(VALUES), "objective": 0.05}), inputs(BLOCKED, **worse), NOW)
    assert [one.rule for one in decision.reasons if one.effect == "block"] == ["incident", "objective"]
    assert deciding(decision) == ["incident"]


def test_an_override_that_leaves_something_open_says_what_it_does_not_cover():
    decision = decide(VALUES, inputs(BLOCKED, sessions=3, overrides=(given(),)), NOW)
    assert decision.state != "warn"
    (change,) = changes(decision, "override")
    assert change.startswith("It does not cover insufficient.")
    assert deciding(decision) != ["override"]


def test_an_override_that_covers_all_decides():
    decision = decide(VALUES, inputs(BLOCKED, overrides=(given(reasons=(ONE, "insufficient")),)), NOW)
    assert decision.state == "warn"
    assert deciding(decision) == ["override"]
    assert changes(decision, "override") == ["It ends, or new evidence voids it."]


def test_a_release_whose_trouble_is_fixed_elsewhere_is_told_to_give_way():
    fixed = incident(outcome="fixed", stage="resolved", fixed_in="2026.09.4")
    decision = decide(VALUES, inputs(fixed), NOW)
    assert any("release with the fix" in one for one in changes(decision, "incident"))


def _fields(values):
    return {name: getattr(values, name) for name in values.__struct_fields__}
