"""Which of all that is known a question's decision looks at."""

from datetime import timedelta

from learn.gating import ASKED, NOW, incident

from streams.learn.inputs import Index
from streams.records import GateExposure, GateQuestion, GateRelease, GateSnapshot

AGENT = ASKED.agent


def index(*, releases=(), exposure=(), incidents=()):
    return Index(GateSnapshot(1, tuple(releases), tuple(exposure), tuple(incidents)))


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
            GateRelease(AGENT, "1", NOW, aliases=("latest", "2")),
            GateRelease(AGENT, "2", NOW + timedelta(1), aliases=("latest",)),
        ]
    )
    assert [ask(known, name).question.release for name in ("latest", "2", "1")] == ["2", "2", "1"]
    assert ask(known, "1").newer == ("2",)


def test_another_agents_release_of_the_same_name_is_another_release():
    known = index(incidents=[incident(1, agents=("billing-bot",)), incident(2), incident(3, agents=())])
    assert [one.ticket for one in ask(known).incidents] == ["OPS-2", "OPS-3"]


def test_the_baseline_is_counted_too():
    known = index(exposure=[GateExposure(AGENT, "2026.09.2", "prod", 400, 2)])
    assert ask(known, baseline="2026.09.2").baseline_sessions == 400
