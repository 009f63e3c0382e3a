"""What keeps people from being told, and what lets them hear in the end: groups, silences, storms."""

import builders as b
import pytest
from stories.world import World, commented, edited, merged, page, ticket, umbrella

from streams.respond.routing import BookValues, Owner, Storm


def test_a_group_opens_nothing_more_and_tickets_already_open_become_duplicates(world):
    world.finds("search").at(20).finds("refund").at(40).finds("mail", "login")
    world.told(page("search"), ticket("search"), page("refund"), ticket("refund"))
    world.told(merged("refund", "search"), edited("refund", "merged")).told_nothing_else()
    assert world.held("mail") == world.held("login") == (f"grouped:{world.id('search')}",)
    assert world.incident("mail").stage == "open"
    owed = world.obligations[f"{world.id('refund')}:transition:1"]
    assert owed.after == (f"{world.id('refund')}:ticket:1", f"{world.id('search')}:ticket:1")


def test_troubles_of_one_dependency_are_one_group_over_all_agents(world):
    for number, agent in enumerate(("billing", "support", "sales", "legal")):
        world.at(number).finds(f"tool{number}", agent=agent, dependency="mcp:crm")
    world.told(page("tool0"), ticket("tool0"), page("tool1"), ticket("tool1"))
    world.told(merged("tool1", "tool0"), edited("tool1", "merged")).told_nothing_else()


def test_three_troubles_far_apart_are_three_incidents(world):
    world.finds("search").at(400).finds("refund").at(900).finds("mail")
    world.told(*(what(one) for one in ("search", "refund", "mail") for what in (page, ticket))).told_nothing_else()


def test_a_group_of_thousands_is_still_one_page_and_its_parent_stays(world):
    for number in range(600):
        world.take(b.sighted(number / 10, trouble=f"t{number:04}"))
    assert sum(one.endswith((":page:1", ":ticket:1")) for one in world.obligations) == 4
    assert world.incident("t0599").parent == world.id("t0000")


def test_a_quiet_ticket_swallows_no_page(world):
    world.finds("a", "b", "c", severity="medium").at(5).finds("d", "e", severity="critical")
    world.told(ticket("a"), ticket("b"), merged("b", "a"), page("d"), ticket("d")).told_nothing_else()
    assert world.held("e") == (f"grouped:{world.id('d')}",)


def test_a_formality_swallows_no_trouble(world):
    world.finds("owner", severity="low").at(5).finds("loop", severity="medium").at(6).finds("drift", severity="medium")
    world.finds("unused", severity="low").told(ticket("owner"), ticket("loop")).told_nothing_else()
    assert world.held("drift") == (f"grouped:{world.id('loop')}",)
    assert world.held("unused") == (f"grouped:{world.id('owner')}",)


def test_what_a_person_decides_on_the_parent_holds_for_the_group(world):
    world.finds("a", "b", "c").at(60).decides("a", "fixed")
    assert {one.outcome for one in world.incidents.values()} == {"fixed"}
    world.told(edited("a", "resolved"), commented("a", "fixed"))
    world.unheard.clear()
    world.at(120).finds("c", release="7").told_nothing()
    world.at(180).finds("c", release="8").told(page("c", 2), ticket("c", 2))


def test_taking_the_decision_back_takes_it_back_for_the_group(world):
    world.finds("a", "b", "c").at(60).decides("a", "fixed").at(90).decides("a", "fixed", reopened=True)
    assert [world.incident(one).stage for one in "abc"] == ["open", "merged", "open"]
    assert world.held("c") == (f"grouped:{world.id('a')}",)


def test_a_silence_hides_and_what_is_still_going_on_is_told_when_it_ends(world):
    world.silences(until=600).at(30).finds("search").at(60).finds(
        "old", agent="billing", detector="tool.repeated_error"
    )
    assert world.held("search") == ("silenced:quiet",)
    world.at(500).finds("search").told_nothing()
    world.at(700)
    world.told(page("search"), ticket("search"), page("old"), ticket("old")).told_nothing_else()
    assert world.held("search") == ()


def test_what_ended_long_before_the_silence_is_not_told_until_it_is_seen_again(world):
    world.silences(until=3600).at(30).finds("search").at(4000).told_nothing()
    assert world.held("search") == ("silenced:quiet",)
    world.at(4100).finds("search").told(page("search"), ticket("search")).told_nothing_else()


def test_a_silence_that_a_person_ends_early_releases_at_once(world):
    world.silences(until=3600).at(30).finds("search").at(60).silences(until=60)
    world.told(page("search"), ticket("search")).told_nothing_else()


def test_a_silence_hides_only_what_all_its_matchers_name(world):
    world.silences(until=600, matchers={"agent": "billing", "environment": "staging"}).finds("search")
    world.silences(until=600, id="all", matchers={}).finds("refund")
    world.silences(until=600, id="typo", matchers={"agnet": "billing"}).finds("mail", agent="other")
    world.told(page("search"), ticket("search"), page("refund"), ticket("refund"), page("mail"), ticket("mail"))


def test_a_silenced_parent_hides_nobody_else(world):
    world.silences(until=600, matchers={"fingerprint": "v1:tool.repeated_error:a"}).finds("a", "b", "c")
    world.told(page("b"), ticket("b"), page("c"), ticket("c"))
    assert world.held("a") == ("silenced:quiet",)


def test_a_silenced_incident_that_is_resolved_stays_quiet_when_the_silence_ends(world):
    world.silences(until=300).at(30).finds("search").at(60).decides("search", "fixed").at(400)
    world.told_nothing()


@pytest.fixture
def narrow() -> World:
    return World(BookValues(storm=Storm(per_minute_max=2)))


def troubles(world: World, *numbers: int) -> World:
    for number in numbers:
        world.finds(f"t{number}", agent=f"agent{number}")
    return world


def test_a_storm_is_said_once_a_minute_and_nothing_is_lost(narrow):
    troubles(narrow, 1, 2, 3, 4, 5).told(page("t1"), ticket("t1"), page("t2"), ticket("t2"), umbrella("platform"))
    narrow.told_nothing_else()
    assert [narrow.held(f"t{number}") for number in (3, 4, 5)] == [("storm",)] * 3
    narrow.at(60).told(umbrella("platform", held=3), page("t3"), ticket("t3"), page("t4"), ticket("t4"))
    narrow.told_nothing_else()
    narrow.at(120).told(page("t5"), ticket("t5")).told_nothing_else()
    assert {one.held for one in narrow.incidents.values()} == {()}
    narrow.at(600).told_nothing()


def test_repeats_of_what_waits_in_a_storm_neither_open_nor_announce_anything(narrow):
    troubles(narrow, 1, 2, 3)
    narrow.unheard.clear()
    troubles(narrow, 3, 3, 3).told_nothing()


def test_a_storm_that_goes_on_in_the_next_minute_waits_its_turn(narrow):
    troubles(narrow, 1, 2, 3).at(59)
    troubles(narrow.at(60.5), 4, 5)
    names = {one.partition(":page:1")[0] for one in narrow.obligations if one.endswith(":page:1")}
    assert narrow.id("t3") in names and narrow.id("t4") in names and narrow.id("t5") not in names
    narrow.at(300).told(page("t5"), ticket("t5"))


def test_one_owner_in_a_storm_takes_nothing_from_another():
    owners = (Owner(name="payments", agents=("agent9",), channel="C9"),)
    world = World(BookValues(owners=owners, storm=Storm(per_minute_max=1)))
    troubles(world, 1, 2, 9).told(page("t1"), page("t9"), umbrella("platform"))


def test_made_up_team_names_do_not_widen_the_budget(narrow):
    for number in range(4):
        narrow.finds(f"t{number}", agent=f"agent{number}", team=f"team{number}")
    narrow.told(page("t0"), ticket("t0"), page("t1"), ticket("t1"), umbrella("platform")).told_nothing_else()
