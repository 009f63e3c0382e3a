"""Which of all that is known a question's decision looks at."""

from datetime import timedelta

from learn.gating import ASKED, NOW, VALUES, incident
from msgspec.structs import replace

from streams.learn.gates.inputs import Index
from streams.learn.gates.rules import decide
from streams.records import (
    GateCell,
    GateComparison,
    GateExposure,
    GateFix,
    GateQuestion,
    GateRelease,
    GateServing,
    GateSnapshot,
)

AGENT = ASKED.agent


def index(*, releases=(), exposure=(), incidents=(), **given):
    more = {name: tuple(some) if isinstance(some, list) else some for name, some in given.items()}
    return Index(GateSnapshot(1, tuple(releases), tuple(exposure), tuple(incidents), **more))


def ask(known, release=ASKED.release, **given):
    return known.inputs(GateQuestion(AGENT, release, **given), NOW, NOW)


def test_sessions_count_for_the_environment_they_ran_in():
    known = index(
        exposure=[GateExposure(AGENT, "2026.09.3", "prod", 30, 2), GateExposure(AGENT, "2026.09.3", "staging", 9, 0)]
    )
    assert (ask(known).sessions, ask(known).bad) == (30, 2)
    assert ask(known, environment="staging").sessions == 9


def test_a_release_that_ran_anywhere_or_was_registered_is_known():
    known = index(
        releases=[GateRelease(AGENT, "registered", NOW)], exposure=[GateExposure(AGENT, "ran", "staging", 1, 0)]
    )
    assert [ask(known, name).known for name in ("registered", "ran", "never")] == [True, True, False]


def test_an_alias_finds_its_release_and_a_releases_own_name_wins():
    known = index(
        releases=[
            GateRelease(AGENT, "1", NOW, aliases=("stable", "2")),
            GateRelease(AGENT, "2", NOW + timedelta(1), aliases=("latest",)),
        ]
    )
    assert [ask(known, name).question.release for name in ("latest", "2", "stable")] == ["2", "2", "1"]
    assert ask(known, "1").newer == ("2",)


def test_an_alias_of_two_releases_means_neither():
    known = index(releases=[GateRelease(AGENT, name, NOW, aliases=("latest",)) for name in ("1", "2")])
    found = ask(known, "latest")
    assert (found.question.release, found.ambiguous, found.known) == ("latest", ("1", "2"), False)


def test_another_agents_release_of_the_same_name_is_another_release():
    known = index(incidents=[incident(1, agents=("billing-bot",)), incident(2), incident(3, agents=())])
    assert [one.ticket for one in ask(known).incidents] == ["OPS-2", "OPS-3"]


COUNTED = {"agent": AGENT, "release": ASKED.release, "environment": "prod", "baseline": "2026.09.2"}
BOTH = (GateExposure(AGENT, ASKED.release, "prod", 30, 2), GateExposure(AGENT, "2026.09.2", "prod", 400, 2))


def test_the_baseline_is_what_serves_unless_somebody_names_another():
    serves = GateServing(AGENT, "prod", (ASKED.release, "2026.09.2"))
    known = index(
        exposure=BOTH,
        serving=[serves],
        comparisons=[GateComparison(**COUNTED, baseline_sessions=90, baseline_bad=3, cells=(GateCell(0.1, 2, 3),))],
        compares=True,
    )
    found = ask(known)
    assert (found.question.baseline, found.serving) == ("2026.09.2", ASKED.release)
    assert (found.baseline_sessions, found.baseline_bad, found.cells) == (90, 3, (GateCell(0.1, 2, 3),))
    assert not found.uncompared
    assert ask(known, "2026.09.2").question.baseline == ASKED.release


def test_releases_that_nobody_has_compared_yet_are_said_and_asked_for():
    known = index(exposure=BOTH, serving=[GateServing(AGENT, "prod", ("2026.09.2",))], compares=True)
    assert ask(known).uncompared
    assert known.pair(ASKED) == (AGENT, ASKED.release, "prod", "2026.09.2")
    assert not ask(known, baseline="made-up").uncompared, "it never ran, so there is nothing to count"
    assert not ask(known, baseline=ASKED.release).uncompared


def test_only_questions_about_what_is_known_are_usual():
    known = index(releases=[GateRelease(AGENT, "1", NOW, aliases=("latest",))], exposure=BOTH)
    asked = [GateQuestion(AGENT, "1"), GateQuestion(AGENT, "latest"), GateQuestion(AGENT, "2026.09.2", "prod", "1")]
    assert all(known.usual(one) for one in asked)
    strange = [
        GateQuestion("made-up", "1"),
        GateQuestion(AGENT, "made-up"),
        GateQuestion(AGENT, "1", "made-up"),
        GateQuestion(AGENT, "1", "prod", "made-up"),
    ]
    assert not any(known.usual(one) for one in strange)


def released(name, *parents, **given):
    return GateRelease(AGENT, name, NOW, registered_at=NOW, parents=parents, registered=True, **given)


def test_a_release_has_the_incidents_of_what_it_contains_and_the_fixes_as_well():
    there = incident(1, releases=("1",))
    known = index(releases=[released("1"), released("2", "1"), released("3", "2"), released("x")], incidents=[there])
    assert [one.faulty_in for one in ask(known, "3").incidents] == ["1"]
    assert ask(known, "x").incidents == ()
    fixed = incident(1, releases=("1",), stage="closed", outcome="fixed", fixed_in="2", outcome_at=NOW)
    known = index(
        releases=[released("1"), released("2", "1"), released("3", "2"), released("1b", "1")],
        incidents=[fixed],
        fixed=[GateFix(fixed.id, AGENT, "2", "verified"), GateFix("another", AGENT, "2", "verified")],
    )
    states = {name: decide(VALUES, ask(known, name), NOW) for name in ("1", "1b", "2", "3")}
    about = {name: [one.code for one in said.reasons if "incident" in one.detail] for name, said in states.items()}
    assert about == {"1": ["incident_fixed_elsewhere"], "1b": ["incident_fixed_elsewhere"], "2": [], "3": []}
    assert ask(known, "3").fixed == (GateFix(fixed.id, AGENT, "2", "verified"),)


def test_fixed_in_next_is_the_first_release_after_it_that_says_so():
    after = NOW + timedelta(hours=1)
    fixed = incident(1, releases=("1",), stage="closed", outcome="fixed", fixed_in="next", outcome_at=NOW)
    named = GateRelease(AGENT, "2", after, registered_at=after, parents=("1",), fixes=("OPS-1",))
    known = index(releases=[released("1"), named], incidents=[fixed])
    (seen,) = ask(known, "2").incidents
    assert (seen.fix, seen.fixed_here, seen.inferred) == ("2", True, False)
    (old,) = ask(known, "1").incidents
    assert (old.fix, old.fixed_here) == ("2", False)


def test_a_circle_in_the_graph_is_said_and_holds():
    known = index(releases=[released("1", "2"), released("2", "1")], exposure=[GateExposure(AGENT, "1", "prod", 90, 0)])
    found = ask(known, "1")
    assert found.cyclic
    assert decide(VALUES, found, NOW).state == "hold"


def test_what_has_not_changed_is_not_arranged_again():
    first = index(releases=[released("1")], exposure=BOTH)
    again = Index(replace(first.snapshot, version=2, exposure=(*BOTH,)[:1]), first)
    assert again.graphs is first.graphs
    assert again.sightings is first.sightings
    assert again.ran is not first.ran


def test_agents_of_whom_not_every_incident_was_read_are_held():
    assert ask(index(cut=(AGENT,))).incidents_cut
    assert ask(index(cut=("",))).incidents_cut
    assert not ask(index(cut=("billing-bot",))).incidents_cut


def test_a_new_version_of_an_evaluator_has_no_more_power_than_the_one_before_it():
    """Nobody regains what was lost by another number behind the name."""
    judged = [incident(judges=("CODE:schema@2",))]
    known = index(
        releases=[GateRelease(AGENT, ASKED.release, NOW)],
        exposure=[GateExposure(AGENT, ASKED.release, "prod", 500, 1)],
        incidents=judged,
        powers={"CODE:schema@1": "shadow", "CODE:other@1": "block"},
    )
    inputs = ask(known)
    assert inputs.powers == {"CODE:schema@1": "shadow"}
    decision = decide(VALUES, inputs, NOW)
    assert [(why.effect, why.detail.get("power")) for why in decision.reasons if why.detail.get("incident")] == [
        ("warn", "ticket")
    ]


def test_a_release_that_another_prompt_implies_is_held_until_it_is_registered():
    name = "2026.09.3+ab12cd34"
    seen = GateExposure(AGENT, name, "prod", 500, 0)
    ran = GateRelease(AGENT, name, NOW, parents=(ASKED.release,), implied=ASKED.release)
    asked = ask(index(releases=[ran], exposure=[seen]), name)
    decision = decide(VALUES, asked, NOW)
    assert (asked.known, decision.state) == (False, "hold")
    assert "release_unknown" in {reason.code for reason in decision.reasons}
    registered = replace(ran, registered_at=NOW, registered=True)
    assert ask(index(releases=[registered], exposure=[seen]), name).known
