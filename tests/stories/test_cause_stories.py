"""What is only the consequence of something else opens nothing of its own, for as long as that explains it."""

import builders as b
import pytest
from stories.world import World, commented, edited, merged, page, ticket

from streams.respond.routing import BookValues, Inhibition

CRM = "mcp:crm"
SHARED = ("provider.incident", "tool.dependency")
RULES = (
    Inhibition(bigger=SHARED, smaller=("session.*", "eval.failure_rate"), equal=("agent",)),
    Inhibition(bigger=SHARED, smaller=("tool.*", "session.*"), equal=("dependency",)),
    Inhibition(bigger=("eval.broken",), smaller=("eval.*",), equal=("evaluator",)),
    Inhibition(bigger=("fleet.heartbeat",), smaller=("telemetry.gap",), equal=("environment",)),
)


@pytest.fixture
def world() -> World:
    return World(BookValues(inhibitions=RULES))


def event(name: str, session: str = "s1") -> str:
    return f"{name}-of-{session}-0123456789abcdef"


def fails(world, trouble, *events, cause=None, status="error", **given):
    """A trouble in a session of its own, with these events as evidence; the first one names its cause."""
    session = given.setdefault("session", f"s-{trouble}")
    evidence = tuple(
        b.excerpt(world.now + n / 10, id=event(one), cause=None if n else cause, session=session, status=status)
        for n, one in enumerate(events or (f"own-{trouble}",))
    )
    return world.finds(trouble, evidence=evidence, agent=given.pop("agent", f"agent-{trouble}"), **given)


def shared(world, trouble, detector, subject, **given):
    """A trouble of what agents share."""
    name = f"v1:tool.repeated_error:{trouble}"
    known = {"fingerprint": name, "agent": "", "dependency": subject.get("dependency"), **given}
    return world.finds(trouble, detector=detector, subject=subject, **known)


def crm_fails(world, **given):
    return shared(world, "crm", "tool.dependency", {"dependency": CRM}, **given)


# -- causes -----------------------------------------------------------------------------------------------------------


def test_a_failure_that_names_the_failure_it_depends_on_opens_nothing_of_its_own(world):
    fails(world, "root", "e1", "e2")
    fails(world.at(200), "child", cause=event("e2")).told(page("root"), ticket("root")).told_nothing_else()
    assert world.held("child") == (f"explained:{world.id('root')}",)
    assert world.incident("child").parent == world.id("root")


def test_one_that_was_told_before_its_cause_was_found_becomes_its_duplicate(world):
    fails(world.at(10), "child", cause=event("e1")).told(page("child"), ticket("child"))
    root = b.excerpt(1, id=event("e1"))
    world.at(20).finds("root", evidence=(root,), agent="other").told(page("root"), ticket("root"))
    world.told(merged("child", "root"), edited("child", "merged")).told_nothing_else()


def test_what_a_cause_goes_on_to_do_is_found_after_it_was_told(world):
    fails(world, "root", "e1").at(300)
    fails(world, "root", "e1", "e9", session="s-root")
    fails(world.at(310), "child", cause=event("e9")).told(page("root"), ticket("root")).told_nothing_else()


def test_a_cascade_is_one_ticket(world):
    fails(world, "a", "e1")
    fails(world.at(60), "b", "e2", cause=event("e1"))
    fails(world.at(120), "c", "e3", cause=event("e2")).told(page("a"), ticket("a")).told_nothing_else()
    world.at(180).decides("a", "external_cause")
    assert [world.incident(one).stage for one in "abc"] == ["resolved"] * 3


def test_failures_that_name_each_other_do_not_hide_each_other(world):
    fails(world, "a", "e1", cause=event("e2"))
    fails(world.at(5), "b", "e2", cause=event("e1")).told(page("a"), ticket("a")).told_nothing_else()
    assert world.held("b") == (f"explained:{world.id('a')}",)
    fails(world.at(60), "a", "e1", cause=event("e2")).told_nothing()


def test_an_event_that_went_well_explains_nothing(world):
    fails(world, "root", "e1", status="ok")
    fails(world, "child", cause=event("e1")).told(page("child"), ticket("child"))


def test_an_id_that_may_be_a_counter_names_an_event_of_its_own_session_only(world):
    world.finds("root", agent="a", evidence=(b.excerpt(0, id="7", session="x"),))
    world.finds("stranger", agent="b", evidence=(b.excerpt(1, id="9", cause="7", session="y"),))
    world.finds("child", agent="c", evidence=(b.excerpt(1, id="8", cause="7", session="x"),))
    assert (world.held("stranger"), world.held("child")) == ((), (f"explained:{world.id('root')}",))


def test_what_began_before_its_alleged_cause_is_told(world):
    fails(world, "child", "own", cause=event("e1"))
    fails(world.at(30), "root", "e1").told(page("child"), ticket("child"), page("root"), ticket("root"))
    world.told_nothing_else()


def test_a_cause_that_nobody_spoke_of_for_an_hour_explains_nothing_new(world):
    fails(world, "root", "e1")
    fails(world.at(4000), "child", cause=event("e1")).told(page("child"), ticket("child"))


def test_a_quiet_ticket_swallows_no_page_that_names_it_as_its_cause(world):
    fails(world, "root", "e1", severity="medium")
    fails(world, "child", cause=event("e1")).told(ticket("root"), page("child"), ticket("child")).told_nothing_else()


# -- recovery ---------------------------------------------------------------------------------------------------------


def test_what_is_still_seen_after_its_cause_was_fixed_is_told(world):
    fails(world, "root", "e1")
    fails(world.at(60), "well", cause=event("e1"))
    fails(world.at(70), "ill", cause=event("e1"), release="7").at(600).decides("root", "fixed")
    world.told(page("root"), ticket("root"), edited("root", "resolved"), commented("root", "fixed"))
    world.told_nothing_else()
    assert [world.incident(one).outcome for one in ("well", "ill")] == ["external_cause"] * 2
    fails(world.at(700), "ill", cause=event("e1"), release="7")
    world.told(page("ill", 2), ticket("ill", 2)).told_nothing_else()
    assert (world.incident("well").stage, world.incident("ill", 2).stage) == ("resolved", "open")


def test_one_whose_ticket_was_closed_as_a_duplicate_comes_back_with_a_new_one(world):
    fails(world.at(10), "child", cause=event("e1")).receives("child", "ticket", "OPS-7")
    world.finds("root", event=1, evidence=(b.excerpt(1, id=event("e1")),), agent="other")
    world.at(600).decides("root", "fixed").unheard.clear()
    fails(world.at(700), "child").told(page("child", 2), ticket("child", 2)).told_nothing_else()
    assert world.incident("child", 2).previous_ticket == "OPS-7"


def test_a_late_event_from_before_the_fix_of_its_cause_brings_nothing_back(world):
    fails(world, "root", "e1")
    fails(world.at(60), "child", cause=event("e1")).at(600).decides("root", "fixed")
    world.at(700).finds("child", event=590)
    assert (world.incident("child").findings, world.incident("child").stage) == (2, "resolved")


def test_a_cause_that_was_none_lets_go_of_what_it_explained(world):
    fails(world, "root", "e1")
    fails(world.at(60), "child", cause=event("e1")).at(120).decides("root", "false_positive")
    world.told(page("root"), ticket("root"), edited("root", "resolved"), commented("root", "false_positive"))
    world.told(page("child"), ticket("child")).told_nothing_else()
    assert (world.held("child"), world.incident("child").parent) == ((), None)


def test_taking_back_the_decision_on_a_cause_takes_it_back_for_what_it_explains(world):
    fails(world, "root", "e1")
    fails(world.at(60), "child", cause=event("e1")).at(120).decides("root", "fixed").at(130)
    world.decides("root", "fixed", reopened=True)
    assert (world.incident("child").stage, world.held("child")) == ("open", (f"explained:{world.id('root')}",))


def test_the_incident_of_the_rest_stays_when_the_dependency_is_no_longer_seen(world):
    crm_fails(world)
    for agent in ("well", "ill"):
        fails(world.at(30), agent, dependency=CRM)
    crm_fails(world.at(300)).told(page("crm"), ticket("crm")).told_nothing_else()
    fails(world.at(800), "ill", dependency=CRM).told_nothing()
    fails(world.at(1200), "ill", dependency=CRM).told(page("ill"), ticket("ill")).told_nothing_else()
    assert world.held("well") == (f"explained:{world.id('crm')}",)
    assert world.incident("crm").stage == "open"


# -- bigger incidents -------------------------------------------------------------------------------------------------


def test_the_incident_of_a_dependency_explains_those_of_its_agents(world):
    crm_fails(world)
    fails(world.at(30), "billing", dependency=CRM)
    fails(world.at(40), "search", dependency="mcp:search")
    world.told(page("crm"), ticket("crm"), page("search"), ticket("search")).told_nothing_else()
    assert world.held("billing") == (f"explained:{world.id('crm')}",)


def test_the_incident_of_a_dependency_explains_what_fails_at_the_agents_it_names(world):
    crm_fails(world, agents=("billing", "sales"))
    for agent in ("billing", "search"):
        fails(world.at(30), f"f-{agent}", agent=agent, detector="session.failure_rate", fingerprint=fp(f"f-{agent}"))
    fails(world.at(40), "cost", agent="billing", detector="cost.session", fingerprint=fp("cost"))
    world.told(*(what(one) for one in ("crm", "f-search", "cost") for what in (page, ticket))).told_nothing_else()
    assert world.held("f-billing") == (f"explained:{world.id('crm')}",)


def test_an_agent_that_a_dependency_reaches_later_is_explained_from_then_on(world):
    crm_fails(world, agents=("sales",))
    fails(world.at(30), "f", agent="billing", detector="session.failure_rate", fingerprint=fp("f"))
    crm_fails(world.at(300), agents=("billing",)).told(page("crm"), ticket("crm"), page("f"), ticket("f"))
    world.told(merged("f", "crm"), edited("f", "merged")).told_nothing_else()
    assert world.incident("crm").agents == ("billing", "sales")


def test_a_session_that_was_told_first_becomes_a_duplicate_of_its_dependency(world):
    fails(world, "billing", dependency=CRM)
    crm_fails(world.at(120)).told(page("billing"), ticket("billing"), page("crm"), ticket("crm"))
    world.told(merged("billing", "crm"), edited("billing", "merged")).told_nothing_else()


def test_a_dependency_explains_for_as_long_as_it_is_seen(world):
    for minute in range(0, 300, 5):
        crm_fails(world.at(60 * minute))
    fails(world.at(18_000), "billing", dependency=CRM).told(page("crm"), ticket("crm")).told_nothing_else()


def test_a_dependency_that_nobody_closed_explains_nothing_that_comes_days_later(world):
    crm_fails(world)
    fails(world.at(200_000), "billing", dependency=CRM).told(page("crm"), ticket("crm"))
    world.told(page("billing"), ticket("billing")).told_nothing_else()


def test_what_failed_long_before_its_dependency_is_another_trouble(world):
    fails(world, "billing", dependency=CRM)
    crm_fails(world.at(5000)).told(page("billing"), ticket("billing"), page("crm"), ticket("crm")).told_nothing_else()


def test_the_dependency_speaks_for_a_group_also_when_it_came_last(world):
    for second, agent in enumerate(("billing", "support", "sales")):
        fails(world.at(second), agent, dependency=CRM)
    crm_fails(world.at(60))
    assert {world.incident(one).parent for one in ("billing", "support", "sales")} == {world.id("crm")}
    assert world.incident("crm").parent is None


def test_a_quiet_dependency_swallows_no_page(world):
    crm_fails(world, severity="medium")
    fails(world, "billing", dependency=CRM).told(ticket("crm"), page("billing"), ticket("billing"))
    fails(world.at(60), "sales", dependency=CRM, severity="medium").told_nothing_else()


def test_a_silenced_dependency_hides_nobody_else(world):
    world.silences(600, matchers={"detector": "tool.dependency"})
    fails(crm_fails(world).at(30), "billing", dependency=CRM).told(page("billing"), ticket("billing"))


def test_a_dependency_on_trial_explains_nothing(world):
    fails(crm_fails(world, dry_run=True).at(30), "billing", dependency=CRM)
    world.told(page("billing"), ticket("billing")).told_nothing_else()


def test_an_evaluator_that_is_broken_for_all_explains_what_it_says_about_each(world):
    tone = {"evaluator": "tone"}
    shared(world, "tone", "eval.broken", tone)
    for agent in ("billing", "sales"):
        subject = {"agent": agent, **tone}
        fails(world.at(30), agent, agent=agent, detector="eval.failure_rate", subject=subject, fingerprint=fp(agent))
    world.told(page("tone"), ticket("tone")).told_nothing_else()


def test_an_evaluator_that_is_broken_for_one_agent_explains_nothing_about_another(world):
    subject = {"agent": "billing", "evaluator": "tone"}
    world.finds("broken", detector="eval.broken", subject=subject, fingerprint=fp("broken"), agent="billing")
    for agent in ("billing", "sales"):
        subject = {"agent": agent, "evaluator": "tone"}
        fails(world.at(30), agent, agent=agent, detector="eval.failure_rate", subject=subject, fingerprint=fp(agent))
    world.told(page("broken"), ticket("broken"), page("sales"), ticket("sales")).told_nothing_else()


def test_a_silent_fleet_explains_the_silence_of_its_agents_in_the_same_environment(world):
    shared(world, "fleet", "fleet.heartbeat", {"environment": "prod"})
    for agent, environment in (("billing", "prod"), ("sales", "staging")):
        about = b.about(agent, environment=environment)
        world.finds(agent, detector="telemetry.gap", agent=agent, fingerprint=fp(agent), about=about)
    world.told(page("fleet"), ticket("fleet"), page("sales"), ticket("sales")).told_nothing_else()


def test_of_two_that_explain_it_the_one_whose_rule_comes_first_does():
    first = Inhibition(bigger=("provider.incident",), smaller=("tool.*",), equal=("dependency",))
    world = World(BookValues(inhibitions=(first, *RULES)))
    fails(crm_fails(world).at(30), "billing", dependency=CRM)
    shared(world.at(60), "provider", "provider.incident", {"provider": "x"}, dependency=CRM)
    fails(world.at(90), "billing", dependency=CRM)
    assert [world.incident(one).parent for one in ("billing", "crm")] == [world.id("provider")] * 2


def fp(trouble: str) -> str:
    return f"v1:tool.repeated_error:{trouble}"
