"""An incident's life in time: quiet, back, worse, closed, and what people are told of it."""

import builders as b
from stories.world import World, closed, commented, edited, noted, page, paged_again, ticket

from streams.respond.routing import BookValues, Owner, Quiet, Upgrade

MINUTE, HOUR, DAY = 60, 3600, 86_400
WAKING = BookValues(owners=(Owner(name="platform", mention="S0ONCALL"),))


def told(world, trouble="search", **given):
    """An incident that people know of."""
    world.finds(trouble, **given)
    world.unheard.clear()
    return world


def quiet(world, at=31 * MINUTE, **given):
    """Its agent has worked on without it for half an hour."""
    told(world, **given).at(at).works()
    return world


# -- quiet ------------------------------------------------------------------------------------------------------------


def test_a_trouble_that_is_not_seen_while_its_agent_works_on_is_over_and_people_are_told_once(world):
    told(world).at(29 * MINUTE).works().told_nothing()
    world.at(30 * MINUTE).works()
    world.told(noted("search", "recovered"), edited("search", "mitigated"), commented("search", "recovered"))
    for minute in range(31, 60):
        world.at(minute * MINUTE).works()
    world.told_nothing_else()
    incident = world.incident("search")
    assert (incident.stage, incident.quiet_since, incident.mitigated_at) == ("mitigated", b.at(0), b.at(1800))
    assert world.obligations[f"{world.id('search')}:note:1"].after == (f"{world.id('search')}:page:1",)


def test_an_agent_that_does_nothing_proves_nothing(world):
    told(world).at(5 * HOUR).works("another")
    assert world.incident("search").stage == "open"
    world.at(5 * HOUR + 1).works("another", event=6 * HOUR).told_nothing()


def test_what_an_agent_does_in_staging_says_nothing_about_production(world):
    told(world).at(HOUR).works(environment="staging").told_nothing()
    world.at(HOUR + 1).works().told(noted("search", "recovered"))


def test_a_trouble_of_staging_is_quiet_when_staging_works_on(world):
    told(world, about=b.about(environment="staging")).at(HOUR).works().told_nothing()
    world.at(HOUR + 1).works(environment="staging").told(noted("search", "recovered"))


def test_a_trouble_that_goes_on_is_not_over_however_long_its_agent_works(world):
    told(world)
    for minute in range(1, 300):
        world.at(minute * MINUTE).works()
        if minute % 25 == 0:
            world.finds("search")
    assert world.incident("search").stage == "open"
    world.told_nothing()


def test_a_sighting_costs_no_word_about_time(world):
    """What is asked of the clock is asked once, and again when that time has come."""
    told(world)
    before = world.memories["clock", "billing"]
    for minute in range(1, 25):
        world.at(minute * MINUTE).finds("search")
    assert world.memories["clock", "billing"] == before


def test_event_time_that_was_read_ahead_of_the_findings_closes_nothing(world):
    """After an outage the minutes are there before the findings are: who was just heard of is not quiet."""
    world.works(event=4 * HOUR)
    for minute in range(0, 120, 20):
        world.finds("search", event=minute * MINUTE)
        world.works(event=(4 * HOUR) + minute)
    assert world.incident("search").stage == "open"
    world.at(6 * MINUTE).works(event=5 * HOUR)
    assert world.incident("search").stage == "mitigated"


def test_of_hundreds_that_end_at_once_all_are_told_within_minutes(world):
    for number in range(250):
        world.finds(f"t{number}")
    for minute in (31, 32):
        world.at(minute * MINUTE).works()
    assert not [one.id for one in world.incidents.values() if one.stage == "open"]


def test_a_minute_that_comes_late_turns_no_time_back(world):
    told(world).at(31 * MINUTE).works().told(noted("search", "recovered"))
    world.unheard.clear()
    world.at(32 * MINUTE).works(event=60).finds("search").at(33 * MINUTE).works(event=120)
    assert world.incident("search").stage == "open"


def test_a_trouble_of_no_agent_goes_by_the_clock_of_all(world):
    told(world, about=b.about(agent=""), agents=("billing", "refunds"))
    world.at(31 * MINUTE).works("another").told(noted("search", "recovered"))


def test_an_acknowledged_one_stays_acknowledged_when_it_comes_back(world):
    told(world).acknowledges("search").at(31 * MINUTE).works()
    assert (world.incident("search").stage, world.incident("search").acknowledged_by) == ("mitigated", "ann")
    world.at(40 * MINUTE).finds("search")
    assert world.incident("search").stage == "acknowledged"


def test_who_acknowledges_what_is_quiet_is_on_it_and_it_stays_quiet(world):
    quiet(world).acknowledges("search", "bob")
    assert (world.incident("search").stage, world.incident("search").acknowledged_by) == ("mitigated", "bob")


def test_what_nobody_was_told_of_is_quiet_without_a_word(world):
    world.finds("search", dry_run=True).at(31 * MINUTE).works().told_nothing()
    assert world.incident("search").stage == "mitigated"
    world.at(8 * DAY).told_nothing()
    assert world.incident("search").stage == "closed"


def test_a_silenced_trouble_that_goes_quiet_is_told_to_nobody_when_the_silence_ends(world):
    world.silences(HOUR, matchers={"agent": "billing"}).finds("search").at(31 * MINUTE).works()
    world.at(HOUR + 60).told_nothing()
    assert (world.incident("search").stage, world.incident("search").findings) == ("mitigated", 1)
    world.at(2 * HOUR).finds("search").told(page("search"), ticket("search")).told_nothing_else()


def test_a_person_who_reopens_gets_as_much_time_as_the_trouble_had(world):
    told(world).at(20 * MINUTE).decides("search", "fixed")
    world.at(2 * HOUR).decides("search", "fixed", reopened=True)
    world.unheard.clear()
    world.at(2 * HOUR + 29 * MINUTE).works().told_nothing()
    world.at(2 * HOUR + 30 * MINUTE).works().told(noted("search", "recovered"))


def test_what_is_decided_asks_the_clock_for_nothing_more(world):
    told(world).at(60).decides("search", "fixed")
    world.unheard.clear()
    world.at(HOUR).works().told_nothing_else()
    assert world.incident("search").stage == "resolved"


def test_how_long_is_quiet_is_policy():
    world = World(BookValues(quiet=Quiet(after_s=120.0, close_s=600.0)))
    told(world).at(121).works().told(noted("search", "recovered"), edited("search", "mitigated"))
    world.told(commented("search", "recovered")).at(121 + 601).told(closed("search"))


# -- back again -------------------------------------------------------------------------------------------------------


def test_what_comes_back_is_said_in_the_thread_and_wakes_nobody(world):
    world = quiet(world)
    world.unheard.clear()
    world.at(40 * MINUTE).finds("search")
    world.told(noted("search", "back"), commented("search", "back")).told_nothing_else()
    incident = world.incident("search")
    assert (incident.stage, incident.quiet_since, incident.mitigated_at) == ("open", None, None)
    assert world.page("search", incident.told["page"]).state == "open"
    assert world.due == {}, "nothing is due to be closed"
    world.at(69 * MINUTE).works().told_nothing()
    world.at(70 * MINUTE).works().told(noted("search", "recovered"))


def test_what_comes_late_from_before_it_was_quiet_only_counts(world):
    world = quiet(world, at=31 * MINUTE)
    world.unheard.clear()
    world.at(32 * MINUTE).finds("search", event=-60).told_nothing()
    assert (world.incident("search").stage, world.incident("search").findings) == ("mitigated", 2)


# -- worse ------------------------------------------------------------------------------------------------------------


def test_what_becomes_critical_pages_again(world):
    world = told(World(WAKING)).at(60).finds("search", severity="critical")
    world.told(paged_again("search"), commented("search", "critical")).told_nothing_else()
    world.at(120).finds("search", severity="critical").told_nothing()


def test_what_becomes_critical_is_said_where_nobody_can_be_woken(world):
    told(world).at(60).finds("search", severity="critical")
    world.told(noted("search", "worse"), commented("search", "critical")).told_nothing_else()


def test_what_was_quiet_and_returns_more_severe_pages_again():
    world = World(WAKING)
    world.finds("search", severity="medium").at(31 * MINUTE).works()
    world.unheard.clear()
    world.at(40 * MINUTE).finds("search", severity="high").told(page("search"), commented("search", "back"))
    world.at(80 * MINUTE).works()
    world.unheard.clear()
    world.at(90 * MINUTE).finds("search", severity="critical")
    world.told(paged_again("search"), noted("search", "back"), commented("search", "critical"))
    world.told(commented("search", "back")).told_nothing_else()


def test_a_silence_keeps_from_being_woken_again_until_it_ends():
    world = told(World(WAKING)).silences(5 * MINUTE, matchers={"agent": "billing"})
    world.at(60).finds("search", severity="critical").told(commented("search", "critical"))
    world.told_nothing_else()
    world.at(5 * MINUTE + 1).told(paged_again("search")).told_nothing_else()


# -- proposed and closed ----------------------------------------------------------------------------------------------


def test_what_nobody_answered_is_closed_and_its_ticket_too_and_that_is_no_decision(world):
    world = quiet(world)
    world.unheard.clear()
    world.at(31 * MINUTE + 7 * DAY - 1).told_nothing()
    world.at(31 * MINUTE + 7 * DAY).told(closed("search"), noted("search", "closing"), edited("search", "closed"))
    world.told_nothing_else()
    incident = world.incident("search")
    assert (incident.stage, incident.outcome, incident.resolved_by) == ("closed", "unspecified", "quiet")


def test_after_that_it_is_another_episode_even_if_the_book_was_not_there_to_see(world):
    """The book was away when it came back: what happened meanwhile is no late word about what was closed."""
    world = quiet(world)
    world.unheard.clear()
    back = 7 * DAY
    world.at(8 * DAY).finds("search", event=back)
    world.told(page("search", 2), ticket("search", 2))
    assert world.incident("search").stage == "closed"


def test_a_late_word_about_what_was_closed_opens_nothing(world):
    world = quiet(world).at(8 * DAY)
    world.unheard.clear()
    world.finds("search", event=-60).told_nothing()
    assert (world.incident("search").findings, world.incident("search").stage) == (2, "closed")


def test_a_person_who_answers_the_proposal_decides(world):
    world = quiet(world)
    world.unheard.clear()
    world.at(HOUR).decides("search", "fixed")
    world.told(edited("search", "resolved"), commented("search", "fixed"))
    world.at(9 * DAY).told_nothing_else()
    assert (world.incident("search").stage, world.incident("search").resolved_by) == ("resolved", "ann (jira)")


def test_a_persons_word_comes_after_the_closing_whenever_it_was_said(world):
    world = quiet(world).at(8 * DAY)
    world.take(b.outcome(world.id("search"), "false_positive", 31 * MINUTE + 60))
    assert (world.incident("search").stage, world.incident("search").outcome) == ("resolved", "false_positive")


def test_what_was_closed_can_be_reopened(world):
    world = quiet(world).at(8 * DAY).decides("search", "unspecified", reopened=True)
    incident = world.incident("search")
    assert (incident.stage, incident.outcome, incident.resolved_by) == ("open", None, None)


def test_what_a_quiet_parent_speaks_for_ends_with_it(world):
    for number, trouble in enumerate("abc"):
        world.at(10 * number).finds(trouble)
    assert world.held("c") == (f"grouped:{world.id('a')}",)
    world.at(HOUR).works().at(9 * DAY)
    assert {world.incident(one).stage for one in "ac"} <= {"closed", "resolved"}


# -- how severe -------------------------------------------------------------------------------------------------------

UPGRADES = (
    Upgrade(to="critical", of="high", count=100),
    Upgrade(to="high", of="medium", sessions=20),
    Upgrade(to="medium", of="low", detectors=("tool.*",), sessions=3),
)


def seen_in(world, count, **given):
    for number in range(count):
        world.at(number).finds("search", session=f"s{number}", **given)
    return world


def test_what_is_seen_in_twenty_sessions_is_more_severe_and_says_why():
    world = seen_in(World(BookValues(upgrades=UPGRADES)), 19, severity="medium")
    world.told(ticket("search")).told_nothing_else()
    world.at(20).finds("search", session="s20", severity="medium")
    world.told(page("search"), commented("search", "high")).told_nothing_else()
    assert world.incident("search").rose == "seen in 20 sessions or more: the policy makes that high"


def test_one_rule_does_not_feed_the_next():
    world = seen_in(World(BookValues(upgrades=UPGRADES)), 25, severity="low")
    assert world.incident("search").severity == "medium"


def test_a_rule_of_other_detectors_or_from_another_severity_changes_nothing():
    rules = (Upgrade(to="high", detectors=("eval.*",), sessions=2), Upgrade(to="high", of="low", sessions=2))
    world = seen_in(World(BookValues(upgrades=rules)), 5, severity="medium")
    assert (world.incident("search").severity, world.incident("search").rose) == ("medium", "")


def test_what_counts_is_how_often_whatever_the_order():
    sightings = [{"severity": "high", "count": 50 * n, "session": "s"} for n in (1, 2)] + [{"severity": "low"}] * 3
    found = set()
    for order in (sightings, sightings[::-1]):
        world = World(BookValues(upgrades=UPGRADES))
        for number, one in enumerate(order):
            world.at(number).finds("search", event=0, **one)
        found.add((world.incident("search").severity, world.incident("search").rose))
    assert found == {("critical", "seen 100 times or more: the policy makes that critical")}
