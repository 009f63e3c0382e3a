"""What a delivery pipeline is told, and why: the thirteen rules in their order."""

from datetime import timedelta

import msgspec
import pytest
from learn.gating import ASKED, NOW, VALUES, incident, inputs

from streams.learn.gates.explained import explained
from streams.learn.gates.rules import RULES, decide
from streams.records import (
    Control,
    Freeze,
    GateCell,
    GateQuestion,
    GateShare,
    GateValues,
    Limits,
    Measure,
    Scope,
)

REPLACE = msgspec.structs.replace
WORSE = (GateCell(0.5, 30, 5),)
BETTER = (GateCell(0.5, 30, 40),)


def values(**given):
    return REPLACE(VALUES, **given)


def codes(decision):
    return [reason.code for reason in decision.reasons]


def rules(decision):
    return [reason.rule for reason in decision.reasons]


def control(state="forced_open", kind="agent", name=ASKED.agent, **given):
    known = {"scope": Scope(kind, ASKED.agent, name if kind == "release" else ""), "state": state, "seq": 1}
    return Control(**{**known, "issued_at": NOW, "actor": "ann", **given})


def freeze(**given):
    known = {"id": "f-1", "begins": NOW - timedelta(hours=1), "ends": NOW + timedelta(hours=1), "reason": "sale"}
    return Freeze(**{**known, "actor": "ann", "at": NOW, **given})


def test_a_release_with_enough_clean_sessions_is_allowed():
    decision = decide(VALUES, inputs(), NOW)
    assert (decision.state, decision.allow, decision.block, decision.score) == ("allow", True, False, 100)
    assert decision.summary == "No blocking incident in 60 sessions."
    assert [(one.code, one.effect, one.rule) for one in decision.reasons] == [("no_bad_session", "allow", "evidence")]


def test_too_few_sessions_hold_and_say_how_many_are_missing():
    decision = decide(VALUES, inputs(sessions=12), NOW)
    assert (decision.state, decision.progress, codes(decision), decision.score) == (
        "hold",
        "12 of about 59 candidate sessions",
        ["insufficient_evidence"],
        50,
    )
    assert decision.reasons[0].detail == {
        "e_block": 1.0,
        "e_pass": pytest.approx(1.0, abs=1),
        "need": 20.0,
        "candidate_sessions": 12,
        "baseline_sessions": 0,
    }


def test_the_time_left_follows_from_the_pace_of_now():
    decision = decide(VALUES, inputs(sessions=12, per_minute=2.0), NOW)
    assert decision.progress == "12 of about 59 candidate sessions, about 24 min to go"
    assert decide(VALUES, inputs(sessions=12, per_minute=0.0001), NOW).progress == "12 of about 59 candidate sessions"


def test_an_unknown_release_holds_and_is_not_an_error():
    decision = decide(VALUES, inputs(known=False, sessions=0), NOW)
    assert (decision.state, codes(decision)) == ("hold", ["release_unknown", "insufficient_evidence"])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"read_at": NOW - timedelta(seconds=5.001)}, "inputs_stale"),
        ({"watermark": NOW - timedelta(seconds=301)}, "inputs_stale"),
        ({"watermark": NOW + timedelta(seconds=301)}, "clock_skewed"),
        ({"watermark": None}, "inputs_stale"),
        ({"ambiguous": ("1", "2")}, "release_ambiguous"),
        ({"cyclic": True}, "releases_cyclic"),
        ({"incidents_cut": True}, "incidents_cut"),
        ({"uncompared": True}, "baseline_uncounted"),
        ({"ended": 100, "evaluated": 79}, "coverage_low"),
        ({"shares": (GateShare(0.1, 400, 600),)}, "sample_ratio_mismatch"),
        ({"freezes": (freeze(),)}, "frozen"),
    ],
)
def test_what_cannot_be_trusted_and_what_is_frozen_holds(given, code):
    decision = decide(values(coverage_min=0.8), inputs(**given), NOW)
    assert (decision.state, codes(decision)) == ("hold", [code, "no_bad_session"])


@pytest.mark.parametrize(
    "given",
    [
        {"shares": (GateShare(0.1, 100, 900), GateShare(0.5, 480, 520))},
        {"ended": 100, "evaluated": 80},
        {"ended": 0, "evaluated": 0},
        {"freezes": (freeze(ends=NOW),)},
        {"freezes": (freeze(begins=NOW + timedelta(seconds=1)),)},
        {"freezes": (freeze(ended_at=NOW),)},
        {"freezes": (freeze(agents=("billing-*",)),)},
        {"freezes": (freeze(environments=("staging",)),)},
        {"freezes": (freeze(),), "fixes": ("OPS-1",)},
        {"controls": (control(kind="agent", actor="", automatic=True, state="metrics_only"),)},
        {"controls": (control("open", ratio=0.5),)},
        {"controls": (control("open", limits=Limits(tool_deny=("refund",))),)},
        {"controls": (control("open", not_after=NOW),)},
        {"controls": (control(kind="release", name="2026.09.2"),)},
        {"controls": (control("closed"),)},
    ],
)
def test_what_is_as_it_should_be_lets_the_release_pass(given):
    assert decide(values(coverage_min=0.8), inputs(**given), NOW).state == "allow"


def test_a_freeze_that_exempts_nobody_holds_fixes_too():
    decision = decide(VALUES, inputs(freezes=(freeze(exempt="none"),), fixes=("OPS-1",)), NOW)
    assert (decision.state, rules(decision)) == ("hold", ["freeze", "evidence"])


@pytest.mark.parametrize(
    "one",
    [
        control(),
        control("open"),
        control(kind="release", name=ASKED.release),
        control("open", kind="release", name=ASKED.release, not_after=NOW + timedelta(1)),
        control(kind="global"),
    ],
)
def test_a_stop_by_a_person_blocks(one):
    decision = decide(VALUES, inputs(controls=(one,)), NOW)
    assert (decision.state, rules(decision)) == ("block", ["kill_switch", "evidence"])


def test_a_breaker_that_opened_by_itself_warns():
    decision = decide(VALUES, inputs(controls=(control("open", actor="", automatic=True),)), NOW)
    assert (decision.state, codes(decision)) == ("warn", ["no_bad_session", "breaker_open"])


def test_a_release_that_fails_more_often_than_the_stable_one_is_blocked():
    compared = {"sessions": 200, "bad": 30, "baseline_sessions": 200, "baseline_bad": 5}
    decision = decide(VALUES, inputs(cells=WORSE, **compared), NOW)
    assert (decision.state, rules(decision)[0]) == ("block", "regression_vs_stable")
    assert decision.summary == "Blocked: sessions fail more often than in the baseline."


def test_one_that_is_no_worse_is_allowed_although_some_sessions_were_bad():
    compared = {"sessions": 200, "bad": 30, "baseline_sessions": 200, "baseline_bad": 40}
    decision = decide(VALUES, inputs(cells=BETTER, **compared), NOW)
    assert (decision.state, codes(decision)) == ("allow", ["no_worse_than_stable"])
    stated = decide(values(objective=0.05), inputs(cells=BETTER, **compared), NOW)
    assert stated.state == "warn", "and the objective is broken by both"
    assert codes(stated) == ["no_worse_than_stable", "objective_broken_beside_stable"]
    assert decide(values(objective=0.3), inputs(cells=BETTER, **compared), NOW).state == "allow"


def test_without_a_baseline_the_objective_that_somebody_stated_decides():
    gate = values(objective=0.05)
    broken = decide(gate, inputs(sessions=100, bad=20), NOW)
    assert (broken.state, rules(broken)) == ("block", ["objective", "insufficient"])
    met = decide(gate, inputs(sessions=400, bad=4), NOW)
    assert (met.state, codes(met)) == ("allow", ["objective_met"])
    open_ = decide(gate, inputs(sessions=100, bad=5), NOW)
    assert (open_.state, codes(open_)) == ("hold", ["insufficient_evidence"])


@pytest.mark.parametrize(("sessions", "bad"), [(25, 1), (100, 20), (100, 100), (100_000, 1)])
def test_bad_sessions_that_nothing_is_stated_about_neither_block_nor_allow(sessions, bad):
    assert VALUES.objective == 0
    decision = decide(VALUES, inputs(sessions=sessions, bad=bad), NOW)
    assert (decision.state, codes(decision)) == ("hold", ["nothing_to_judge_by"])
    assert "no baseline" in decision.summary
    assert "no objective" in decision.summary
    assert decision.progress == f"{bad} bad of {sessions} candidate sessions, nothing to judge them by"
    (told,) = (one for rule in explained(decision) for one in rule.reasons)
    assert "`objective`" in told.change


def test_clean_sessions_are_evidence_without_an_objective():
    assert decide(VALUES, inputs(sessions=59), NOW).state == "allow"
    few = decide(VALUES, inputs(sessions=58), NOW)
    assert (few.state, codes(few)) == ("hold", ["insufficient_evidence"])


def test_a_quantity_that_is_worse_beyond_its_limit_blocks_and_shares_the_error():
    cheap, dear = Measure(3000, 3000 * 1.0, 3000 * 1.1), Measure(3000, 3000 * 1.5, 3000 * 2.4)
    gate = values(measures={"cost": 1.2})
    decision = decide(gate, inputs(sessions=3000, baseline_sessions=3000, measures={"cost": (dear, cheap)}), NOW)
    assert (decision.state, codes(decision)[0]) == ("block", "measure_worse_than_stable")
    assert decision.reasons[0].detail["limit"] == 1.2
    assert decide(gate, inputs(measures={"cost": (cheap, cheap)}), NOW).state == "allow"
    assert decide(gate, inputs(), NOW).state == "allow", "nothing was measured"


def test_a_first_step_with_hardly_any_traffic_may_go_on_by_its_regression_cases():
    gate = values(cases_min=10)
    decision = decide(gate, inputs(sessions=3, cases_passed=10), NOW)
    assert (decision.state, codes(decision)) == ("allow", ["regression_cases_passed"])
    for given in ({"cases_passed": 9}, {"cases_passed": 10, "cases_failed": 1}, {"cases_passed": 10, "bad": 1}):
        assert decide(gate, inputs(sessions=3, **given), NOW).state == "hold"
    assert decide(gate, inputs(sessions=30, cases_passed=10), NOW).state == "hold", "there is traffic to judge by"
    assert decide(VALUES, inputs(sessions=3, cases_passed=10), NOW).state == "hold", "the policy does not say so"


@pytest.mark.parametrize(("answer", "state"), [("hold", "hold"), ("warn", "warn"), ("block", "block")])
def test_what_too_little_evidence_means_is_a_field_of_the_policy(answer, state):
    assert decide(values(on_insufficient=answer), inputs(sessions=3), NOW).state == state


def test_tickets_that_cannot_be_read_are_said_and_decide_nothing():
    decision = decide(VALUES, inputs(tickets_away=True), NOW)
    assert (decision.state, codes(decision)) == ("allow", ["outcomes_stale", "no_bad_session"])


def test_a_known_block_beats_stale_inputs_and_every_reason_is_listed_in_the_order_of_the_rules():
    decision = decide(
        values(never_override=("data.*",)),
        inputs(
            incident(1, detector="tool.error"),
            incident(2, detector="data.leak"),
            controls=(control(),),
            freezes=(freeze(),),
            sessions=3,
            read_at=NOW - timedelta(minutes=2),
        ),
        NOW,
    )
    assert decision.state == "block"
    assert rules(decision) == ["kill_switch", "never_override", "incident", "freeze", "trust", "insufficient"]
    assert sorted(rules(decision), key=RULES.index) == rules(decision)
    assert decision.links.tickets == ("https://jira.example/browse/OPS-1", "https://jira.example/browse/OPS-2")


def test_a_gate_in_shadow_allows_and_says_what_it_would_have_said():
    decision = decide(values(shadow=True), inputs(incident(), sessions=3), NOW)
    assert (decision.state, decision.allow, decision.score) == ("allow", True, 100)
    assert decision.reasons[0].detail == {"would": "block"}
    assert [one.effect for one in decision.reasons] == ["allow", "block", "hold"]


def test_a_release_with_hundreds_of_incidents_still_gets_a_small_document():
    many = [incident(n, title="ü" * 4000, severity="critical", faulty_in="2026.09.1" * 9) for n in range(300)]
    decision = decide(VALUES, inputs(*many, sessions=3, freezes=(freeze(reason="x" * 900),)), NOW)
    assert decision.state == "block"
    assert sum(one.detail.get("more", 1) for one in decision.reasons if one.rule == "incident") == 300
    assert {"incident", "freeze", "insufficient"} == set(rules(decision))
    assert len(msgspec.json.encode(decision)) < 4096


def test_the_same_inputs_read_again_have_the_same_digest_and_others_another():
    first = decide(VALUES, inputs(), NOW)
    later = decide(VALUES, inputs(read_at=NOW + timedelta(seconds=1)), NOW + timedelta(seconds=2))
    assert first.inputs_digest == later.inputs_digest
    assert first.decision_id != later.decision_id
    assert decide(VALUES, inputs(sessions=61), NOW).inputs_digest != first.inputs_digest
    other = msgspec.json.decode(msgspec.json.encode(values(margin=3.0)), type=GateValues)
    assert decide(other, inputs(), NOW).decision_id != first.decision_id


def test_the_document_has_every_field_that_delivery_tools_look_for():
    document = msgspec.json.decode(msgspec.json.encode(decide(VALUES, inputs(question=GateQuestion("a", "1")), NOW)))
    assert {"schema", "decision_id", "gate", "agent", "environment", "release", "baseline", "state", "allow"} <= set(
        document
    )
    assert {"block", "score", "progress", "summary", "reasons", "overrides", "as_of", "valid_until"} <= set(document)
    assert {"retry_after_s", "freshness", "policy", "inputs_digest", "links"} <= set(document)
    assert isinstance(document["progress"], str)
