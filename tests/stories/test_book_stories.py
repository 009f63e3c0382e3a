"""What the book promises, one story each."""

import random

import builders as b
import pytest
from stories.world import World, commented, edited, merged, page, ticket, umbrella

from streams.respond.routing import BookValues, Owner, Storm


def test_one_trouble_is_told_once_however_often_it_repeats(world):
    for minute in range(30):
        world.at(60 * minute).finds("search", session=f"s{minute}")
    world.told(page("search"), ticket("search"))
    world.told_nothing_else()
    assert world.incident("search").findings == 30


def test_a_ticket_comes_with_its_evidence_and_the_page_learns_its_key(world):
    world.finds("search", evidence=(b.excerpt(0),))
    name = world.id("search")
    assert list(world.obligations) == [f"{name}:{what}" for what in ("page:1", "ticket:1", "evidence:1", "page:2")]
    assert world.obligations[f"{name}:evidence:1"].after == (f"{name}:ticket:1",)
    assert world.obligations[f"{name}:page:2"].after == (f"{name}:page:1", f"{name}:ticket:1")
    assert world.obligations[f"{name}:page:1"].after == world.obligations[f"{name}:ticket:1"].after == ()


def test_a_medium_trouble_opens_a_ticket_and_wakes_nobody(world):
    world.finds("search", severity="medium")
    world.told(ticket("search")).told_nothing_else()


def test_a_trouble_that_becomes_severe_pages_once(world):
    world.finds("search", severity="medium")
    world.at(60).finds("search", severity="critical")
    world.at(120).finds("search", severity="critical")
    world.told(ticket("search"), page("search")).told_nothing_else()
    assert world.incident("search").severity == "critical"


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


def test_a_quiet_ticket_swallows_no_page(world):
    world.finds("a", "b", "c", severity="medium").at(5).finds("d", "e", severity="critical")
    world.told(ticket("a"), ticket("b"), merged("b", "a"), page("d"), ticket("d")).told_nothing_else()
    assert world.held("e") == (f"grouped:{world.id('d')}",)


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


def test_a_late_event_from_before_the_resolution_reopens_nothing(world):
    world.finds("search").at(100).decides("search", "cannot_reproduce").at(200).finds("search", event=90)
    world.told(page("search"), ticket("search"), edited("search", "resolved"))
    world.told(commented("search", "cannot_reproduce")).told_nothing_else()
    assert (world.incident("search").findings, world.incident("search").stage) == (2, "resolved")


def test_after_fixed_only_a_release_that_should_contain_the_fix_reopens(world):
    world.finds("search", release="7").receives("search", "ticket", "OPS-1").at(100).decides("search", "fixed")
    world.unheard.clear()
    world.at(200).finds("search", release="7").told_nothing()
    world.at(300).finds("search", release="8").told(page("search", 2), ticket("search", 2)).told_nothing_else()
    again = world.incident("search", 2)
    assert again.title.startswith("Regressed: ") and again.previous_ticket == "OPS-1"
    assert world.incident("search").stage == "resolved"


def test_a_replay_of_old_events_while_it_is_back_adds_to_the_old_episode(world):
    world.finds("search").at(100).decides("search", "fixed").at(300).finds("search", release="8")
    world.at(400).finds("search", event=50)
    assert (world.incident("search").findings, world.incident("search", 2).findings) == (2, 1)


def test_a_false_positive_is_counted_and_not_told_again(world):
    world.finds("search").at(100).decides("search", "false_positive")
    world.unheard.clear()
    for minute in range(10):
        world.at(200 + 60 * minute).finds("search", release=str(minute))
    world.told_nothing()
    assert (world.incident("search").findings, world.held("search")) == (11, ("false_positive",))


def test_a_false_positive_taken_back_is_told_of_again(world):
    world.finds("search").at(100).decides("search", "false_positive")
    world.at(200).decides("search", "unspecified", reopened=True).at(300).finds("search")
    assert (world.incident("search").stage, world.held("search")) == ("open", ())


def test_an_accepted_trouble_comes_back_only_when_it_gets_worse(world):
    world.finds("search", severity="medium").at(100).decides("search", "accepted_risk")
    world.unheard.clear()
    world.at(400).finds("search", severity="medium").told_nothing()
    assert world.held("search") == ("accepted_risk",)
    world.at(500).finds("search", severity="critical").told(page("search", 2), ticket("search", 2))


def test_after_the_other_outcomes_a_new_sighting_is_a_new_episode(world):
    world.finds("search").at(100).decides("search", "external_cause").at(101).finds("search")
    world.told(page("search", 2), ticket("search", 2))
    assert not world.incident("search", 2).title.startswith("Regressed")


def test_a_decision_is_read_back_to_the_people_with_the_way_to_correct_it(world):
    world.finds("search").at(100).decides("search", "fixed", fixed_in="8")
    world.told(edited("search", "resolved"), commented("search", "fixed"))
    assert world.body("search", "comment")["lines"][0] == "Understood as fixed in 8, decided by ann (jira)."
    assert "Reopening the ticket takes it back" in world.body("search", "comment")["lines"][-1]


def test_the_last_decision_wins_and_an_echo_of_one_says_nothing(world):
    world.finds("search").at(100).decides("search", "fixed").at(200).decides("search", "false_positive")
    world.unheard.clear()
    world.take(b.outcome(world.id("search"), "fixed", 100)).take(b.outcome(world.id("search"), "false_positive", 200))
    world.told_nothing()
    assert world.incident("search").outcome == "false_positive"


def test_closing_a_merged_ticket_as_duplicate_is_our_own_doing_read_back(world):
    world.finds("a", "b", "c")
    world.unheard.clear()
    world.at(60).decides("b", "duplicate").told_nothing()
    assert world.incident("b").stage == "merged"


def test_an_acknowledgement_shows_on_the_page(world):
    world.finds("search").at(30).acknowledges("search").acknowledges("search", "bob")
    world.told(page("search"), ticket("search"), edited("search", "acknowledged")).told_nothing_else()
    assert world.incident("search").acknowledged_by == "ann"


def test_an_echo_changes_nothing(world):
    seen = b.sighted(0, trouble="search")
    world.take(seen)
    before = (dict(world.memories), dict(world.incidents), dict(world.obligations))
    world.take(seen, seen)
    assert (world.memories, world.incidents, world.obligations) == before


def test_a_detector_on_trial_opens_incidents_and_tells_nobody(world):
    world.finds("search", dry_run=True).at(60).finds("search", dry_run=True).told_nothing()
    assert world.held("search") == ("dry_run",)
    world.at(120).finds("search").told(page("search"), ticket("search"))


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_arrival_makes_no_other_incidents(seed):
    sightings = [
        b.sighted(
            second * 7 % 90,
            wall=100,
            trouble="search",
            session=f"s{second % 25}",
            release=str(second % 3),
            severity=("low", "high", "medium")[second % 3],
            count=1 + second % 4,
            observed=f"seen at {second}",
            evidence=(b.excerpt(second * 7 % 90, second),),
        )
        for second in range(40)
    ]
    straight = World().take(*sightings)
    shuffled = World()
    for one in random.Random(seed).sample(sightings, len(sightings)):
        shuffled.take(one)
    assert shuffled.incident("search") == straight.incident("search")


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_arrival_makes_no_other_parents(seed):
    moments = {f"t{n}": 50 * n for n in range(8)} | {f"u{n}": 3000 + 50 * n for n in range(4)}
    sightings = [b.sighted(moment, wall=4000, trouble=trouble) for trouble, moment in moments.items()]
    shuffled = World()
    for one in random.Random(seed).sample(sightings, len(sightings)):
        shuffled.take(one)
    parents = {trouble: shuffled.incident(trouble).parent for trouble in moments}
    first, second = shuffled.id("t0"), shuffled.id("u0")
    expected = {trouble: first if moment < 3000 else second for trouble, moment in moments.items()}
    assert parents == {**expected, "t0": None, "u0": None}
