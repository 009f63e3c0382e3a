"""What people say to incidents, and what they are owed because of it, one story each."""

import builders as b
import pytest
from stories.world import (
    World,
    commented,
    edited,
    elsewhere,
    escalated,
    merged,
    noted,
    page,
    paged_again,
    reopened,
    ticket,
    umbrella,
)

from streams.respond.routing import BookValues, Level, Owner, Routing, Storm

LADDER = (
    Level(after_s=900, mention="U2", channel="CSECOND"),
    Level(after_s=600, mention="U3", pagerduty="managers", webhook="phone"),
)


def team(**given):
    known = {"name": "platform", "channel": "CPLAT", "mention": "U1", "escalation": LADDER}
    return World(BookValues(owners=(Owner(**{**known, **given}),)))


@pytest.fixture
def onduty():
    """A world whose fallback owner has two levels of escalation."""
    return team()


def answered(world):
    world.told(page("search"), ticket("search"))
    return world.told_nothing()


# -- escalation -------------------------------------------------------------------------------------------------------


def test_acknowledged_in_time_nobody_else_is_told(onduty):
    answered(onduty.finds("search"))
    onduty.at(899).acknowledges("search").told(edited("search", "acknowledged"))
    onduty.at(10_000).told_nothing()


def test_ignored_the_next_level_is_told_and_then_the_next_with_another_receiver(onduty):
    answered(onduty.finds("search"))
    onduty.at(899).told_nothing()
    onduty.at(900).told(escalated("search", "slack:CSECOND")).told_nothing()
    onduty.at(1499).told_nothing()
    onduty.at(1500).told(*(escalated("search", to) for to in ("slack:CPLAT", "pagerduty:managers", "webhook:phone")))
    onduty.told_nothing().at(100_000).told_nothing()
    assert onduty.incident("search").level == 2


def test_an_escalation_mentions_its_level_and_waits_for_nothing(onduty):
    answered(onduty.finds("search"))
    first = onduty.at(900).page("search", 3)
    assert (first.mention, first.level, first.state) == ("U2", 1, "open")
    assert onduty.obligations[f"{onduty.id('search')}:page:3"].after == ()
    second = onduty.at(1500).page("search", 5)
    assert (second.mention, second.level) == ("U3", 2)
    names = {one for one in onduty.obligations if ":page:5" in one}
    assert names == {f"{onduty.id('search')}:page:5{to}" for to in ("", ":pagerduty:managers", ":webhook:phone")}


def test_a_level_that_names_nobody_asks_for_the_owners_own():
    world = team(oncall="rota:platform", escalation=(Level(after_s=60),))
    answered(world.finds("search"))
    world.at(60).told(escalated("search", "slack:CPLAT"))
    assert (world.page("search", 3).mention, world.page("search", 3).oncall) == ("U1", "rota:platform")


def test_levels_of_the_policy_are_for_owners_without_their_own():
    world = World(BookValues(escalation=(Level(after_s=60, mention="U9"),)))
    answered(world.finds("search"))
    world.at(60).told(escalated("search", "slack:C0TOCSIN"))


def test_without_levels_nobody_is_told_again(world):
    answered(world.finds("search"))
    world.at(100_000).told_nothing()


def test_a_ticket_without_a_page_is_not_escalated(onduty):
    onduty.finds("search", severity="medium").told(ticket("search")).at(10_000).told_nothing()


@pytest.mark.parametrize("what", ["assigns", "decides", "merges"])
def test_whatever_else_becomes_of_it_escalation_ends(onduty, what):
    onduty.finds("search", "other")
    {
        "assigns": lambda: onduty.assigns("search", "bob"),
        "decides": lambda: onduty.decides("search", "fixed"),
        "merges": lambda: onduty.merges("search", "other"),
    }[what]()
    onduty.acknowledges("other")
    onduty.unheard.clear()
    onduty.at(10_000).told_nothing()


def test_being_reopened_begins_it_anew(onduty):
    answered(onduty.finds("search").at(900).told(escalated("search", "slack:CSECOND")))
    onduty.at(1000).decides("search", "fixed").at(2000).decides("search", "unspecified", reopened=True)
    onduty.unheard.clear()
    onduty.at(2899).told_nothing().at(2900).told(escalated("search", "slack:CSECOND"))


def test_becoming_worse_begins_it_anew(onduty):
    answered(onduty.finds("search").at(900).told(escalated("search", "slack:CSECOND")))
    onduty.at(1000).finds("search", severity="critical")
    onduty.told(paged_again("search"), commented("search", "critical")).told_nothing()
    onduty.at(1899).told_nothing().at(1900).told(escalated("search", "slack:CSECOND"))


def test_a_silence_holds_the_escalation_and_it_is_tried_again_when_the_silence_ends(onduty):
    answered(onduty.finds("search"))
    onduty.at(800).silences(1300).at(900).told_nothing()
    assert onduty.held("search") == ("silenced:quiet",)
    onduty.at(1200).finds("search").told_nothing()
    onduty.at(1300).told(escalated("search", "slack:CSECOND")).told_nothing()
    assert onduty.held("search") == ()


def test_a_held_escalation_of_what_is_not_seen_any_more_waits_until_it_is(onduty):
    answered(onduty.finds("search"))
    onduty.at(800).silences(2000).at(2000).told_nothing()
    onduty.at(3000).finds("search").told(escalated("search", "slack:CSECOND")).told_nothing()


def test_an_escalation_that_was_held_is_over_once_somebody_acknowledges(onduty):
    answered(onduty.finds("search"))
    onduty.at(800).silences(1300).at(1000).acknowledges("search").told(edited("search", "acknowledged"))
    onduty.at(1290).finds("search").at(5000).told_nothing()
    assert onduty.held("search") == ()


def test_whoever_was_woken_elsewhere_hears_how_it_goes_on():
    world = team(pagerduty="platform", webhook="board")
    world.finds("search").told(page("search"), ticket("search"))
    world.told(elsewhere("search", "pagerduty:platform", "open"), elsewhere("search", "webhook:board", "open"))
    world.told_nothing().at(10).acknowledges("search").told(edited("search", "acknowledged"))
    for to in ("pagerduty:platform", "webhook:board"):
        world.told(elsewhere("search", to, "acknowledged"))
    world.told_nothing().at(20).decides("search", "fixed")
    for to in ("pagerduty:platform", "webhook:board"):
        world.told(elsewhere("search", to, "resolved"))


def test_what_was_escalated_elsewhere_is_resolved_there_too(onduty):
    onduty.finds("search").at(900).at(1500)
    onduty.unheard.clear()
    onduty.at(1600).decides("search", "fixed")
    for to in ("pagerduty:managers", "webhook:phone"):
        onduty.told(elsewhere("search", to, "resolved"))


# -- assignment -------------------------------------------------------------------------------------------------------


def test_an_assignment_acknowledges_and_is_said_on_page_and_ticket(world):
    answered(world.finds("search"))
    world.at(60).assigns("search", "bob").assigns("search", "bob", "carol")
    world.told(edited("search", "acknowledged"), noted("search", "assigned"), commented("search", "assigned"))
    world.told_nothing()
    one = world.incident("search")
    assert (one.assigned_to, one.stage) == ("bob", "acknowledged")


def test_what_is_over_is_assigned_to_nobody(world):
    world.finds("search").decides("search", "fixed")
    world.unheard.clear()
    world.at(60).assigns("search", "bob").told_nothing()


def test_a_ticket_is_not_spoken_to_without_end(world):
    answered(world.finds("search"))
    for second in range(200):
        world.at(10 + second).assigns("search", ("ann", "bob")[second % 2])
    said = [one for one in world.obligations.values() if one.kind == "comment"]
    assert len(said) == 2  # one for each of the two
    world.at(800).assigns("search", "carol").assigns("search", "ann")
    lines = world.body("search", "comment", 3)["lines"]
    assert lines[-1] == "198 updates before this one were not written here."


def test_a_ticket_has_at_most_fifty_comments_of_ours(world):
    answered(world.finds("search"))
    for number in range(80):
        world.at(1000 * number).assigns("search", f"person{number}")
    said = [one for one in world.obligations.values() if one.kind == "comment"]
    assert len(said) == 50
    assert said[-1].body["lines"][-1].startswith("Nothing more is written here by itself")


# -- silences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "matchers",
    [
        {"agent": "bill*"},
        {"detector": "tool.*", "severity": "high"},
        {"environment": "prod"},
        {"owner": "platform"},
        {"release": "7"},
        {"dependency": "stripe*"},
        {"fingerprint": "v1:tool.repeated_error:search"},
        {"incident": "v1:tool.repeated_error:search#1"},
    ],
)
def test_a_silence_hides_what_it_matches_and_releases_it_when_it_ends(world, matchers):
    world.silences(300, matchers=matchers).finds("search", dependency="stripe-api").told_nothing()
    assert world.held("search") == ("silenced:quiet",)
    world.at(300).told(page("search"), ticket("search")).told_nothing()


@pytest.mark.parametrize(
    "matchers",
    [
        {"agent": "bill"},
        {"agent": "bill*", "severity": "critical"},
        {"release": "6"},
        {"dependency": "*"},
        {"tool": "search"},
        {},
    ],
)
def test_a_silence_that_does_not_match_in_everything_hides_nothing(world, matchers):
    answered(world.silences(300, matchers=matchers).finds("search"))


def test_a_silence_of_a_release_does_not_hide_what_is_seen_in_another_one(world):
    world.silences(300, matchers={"release": "8"}).finds("search", release="8").told_nothing()
    world.at(60).finds("search", release="7").told(page("search"), ticket("search"))


def test_a_silence_ends_early_by_a_new_end(world):
    world.silences(3000).finds("search").told_nothing()
    world.at(100).silences(100).told(page("search"), ticket("search"))


def test_what_rises_beyond_a_silence_is_told(world):
    world.silences(3000, matchers={"severity": "high"}).finds("search").told_nothing()
    world.at(60).finds("search", severity="critical").told(page("search"), ticket("search"))


def test_a_worse_trouble_under_a_silence_is_written_down_and_wakes_nobody_until_it_ends(onduty):
    answered(onduty.finds("search"))
    onduty.at(10).acknowledges("search").told(edited("search", "acknowledged"))
    onduty.at(60).silences(200).at(100).finds("search", severity="critical")
    onduty.told(commented("search", "critical"), edited("search", "acknowledged")).told_nothing()


@pytest.mark.parametrize("kind", ["maintenance", "rollout"])
def test_a_window_of_ci_hides_its_scope_until_its_end(world, kind):
    world.silences(600, kind=kind, source="ci", matchers={"agent": "billing", "environment": "prod"})
    world.finds("search").told_nothing()
    world.finds("other", agent="search-bot").told(page("other"), ticket("other"))
    world.at(550).finds("search").at(600).told(page("search"), ticket("search")).told_nothing()


def test_a_window_without_a_scope_hides_nothing(world):
    answered(world.silences(600, kind="maintenance", matchers={"detector": "*"}).finds("search"))


def test_a_page_that_waits_when_a_silence_begins_is_not_sent_and_asked_for_again_when_it_ends(onduty):
    answered(onduty.finds("search"))
    onduty.at(5).silences(300).expires("search", 2).told_nothing()
    assert onduty.held("search") == ("silenced:quiet",)
    onduty.at(290).finds("search").told_nothing()
    onduty.at(300).told(paged_again("search")).told_nothing()
    assert onduty.obligations[f"{onduty.id('search')}:page:3"].after == ()
    assert onduty.page("search", 3).mention == "U1"


# -- expiry -----------------------------------------------------------------------------------------------------------


def test_what_was_over_before_its_page_was_sent_is_paged_anew_when_it_is_reopened(onduty):
    answered(onduty.finds("search"))
    onduty.at(5).decides("search", "fixed").expires("search", 3)
    onduty.unheard.clear()
    onduty.at(60).decides("search", "unspecified", reopened=True).told(paged_again("search")).told_nothing()
    edits = onduty.obligations[f"{onduty.id('search')}:page:5"]
    assert edits.after == (f"{onduty.id('search')}:page:4", f"{onduty.id('search')}:ticket:1")
    onduty.at(70).acknowledges("search")
    assert onduty.obligations[f"{onduty.id('search')}:page:6"].after[0] == f"{onduty.id('search')}:page:4"


def test_a_page_that_was_sent_never_expires(onduty):
    answered(onduty.finds("search").receives("search", "page", "C1/1.2"))
    onduty.at(5).decides("search", "fixed").expires("search", 3)
    assert onduty.incident("search").expired == 0


def test_nobody_is_escalated_to_for_a_page_that_was_not_sent(onduty):
    answered(onduty.finds("search"))
    onduty.at(5).silences(3000).expires("search", 2).at(10_000).told_nothing()


# -- which is part of which -------------------------------------------------------------------------------------------


def test_a_split_is_said_on_page_and_ticket_and_remembered(world):
    world.finds("a", "b", "c")
    assert world.incident("b").parent == world.id("a")
    world.unheard.clear()
    world.at(60).splits("b").splits("b")
    world.told(noted("b", "split"), reopened("b")).told_nothing()
    one = world.incident("b")
    assert (one.stage, one.parent, one.apart) == ("open", None, (world.id("a"),))
    world.at(120).finds("a", "b", "c").finds("d").at(180).finds("b")
    assert world.incident("b").stage == "open"
    assert world.incident("d").parent == world.id("a")


def test_what_was_never_told_tells_people_itself_once_it_is_split(world):
    world.finds("a", "b", "c").finds("d")
    world.unheard.clear()
    assert world.held("d") == (f"grouped:{world.id('a')}",)
    world.at(60).splits("d").told(page("d"), ticket("d")).told_nothing()
    assert world.held("d") == ()


def test_the_outcome_of_the_one_it_was_split_from_is_not_its_own(world):
    world.finds("a", "b", "c").at(60).splits("b").at(120).decides("a", "fixed")
    assert world.incident("c").stage == "resolved"
    assert world.incident("b").stage == "open"


def test_our_own_closing_of_a_duplicate_read_after_the_split_decides_nothing(world):
    world.finds("a", "b", "c").at(60).splits("b")
    world.take(b.outcome(world.id("b"), "duplicate", 50))
    assert world.incident("b").stage == "open"


def test_there_is_nothing_to_split_where_nobody_speaks_for_it(world):
    answered(world.finds("search"))
    world.at(60).splits("search").told_nothing()


def test_a_person_says_who_speaks_for_it(world):
    world.finds("a", "b")
    world.unheard.clear()
    world.at(60).merges("b", "a").merges("b", "a").told(merged("b", "a"), edited("b", "merged")).told_nothing()
    assert (world.incident("b").stage, world.incident("b").parent) == ("merged", world.id("a"))
    world.at(120).finds("b").told_nothing()


def test_a_ticket_is_linked_to_its_parents_as_soon_as_there_is_one(world):
    world.silences(300, matchers={"fingerprint": "*:a"}).finds("a", "b")
    world.unheard.clear()
    world.at(60).merges("b", "a").told(edited("b", "merged")).told_nothing()
    world.at(290).finds("a").at(300).told(page("a"), ticket("a"), merged("b", "a"), edited("b", "merged"))
    world.told_nothing()
    assert "search keeps" not in world.page("b", 4).todo and "tool a keeps failing" in world.page("b", 4).todo


def test_what_is_merged_follows_its_parent_to_the_end_and_back(world):
    world.finds("a", "b").at(60).merges("b", "a").at(120).decides("a", "fixed")
    assert (world.incident("b").stage, world.incident("b").outcome) == ("resolved", "fixed")
    world.at(180).decides("a", "unspecified", reopened=True)
    assert world.incident("b").stage == "merged"


def test_the_last_word_counts(world):
    world.finds("a", "b").at(60).merges("b", "a").at(70).splits("b")
    assert world.incident("b").stage == "open"
    world.at(80).merges("b", "a")
    assert (world.incident("b").stage, world.incident("b").apart) == ("merged", ())
    world.at(90).merges("a", "b")
    assert (world.incident("a").stage, world.incident("b").stage) == ("merged", "open")


def test_nobody_speaks_for_itself_over_others(world):
    world.finds("a", "x", agent="one").finds("b", "y", agent="two").finds("c", agent="three")
    world.merges("b", "a").merges("c", "b").at(60).merges("a", "c")
    stages = {one: (world.incident(one).stage, world.incident(one).parent) for one in "abc"}
    assert stages == {"a": ("merged", world.id("c")), "b": ("open", None), "c": ("merged", world.id("b"))}


def test_what_does_not_exist_or_is_over_speaks_for_nothing(world):
    world.finds("a", "b").at(60).merges("b", "nobody")
    assert world.incident("b").stage == "open"
    world.decides("a", "fixed").at(70).merges("b", "a")
    assert (world.incident("b").stage, world.incident("b").outcome) == ("resolved", "fixed")


def test_groups_do_not_overrule_a_person(world):
    world.finds("a", "b", agent="search-bot").at(10).merges("b", "a")
    world.finds("x", "y", dependency="crm").finds("b", agent="search-bot", dependency="crm")
    assert world.incident("b").parent == world.id("a")


def test_one_that_was_merged_before_anybody_was_told_tells_nobody(world):
    world.silences(300, matchers={"fingerprint": "*:b"}).finds("a", "b").at(60).merges("b", "a")
    world.unheard.clear()
    world.at(290).finds("b").at(300).finds("b").told_nothing()
    assert world.incident("b").stage == "merged"


def test_a_merged_incident_that_becomes_severe_makes_its_parent_severe(world):
    world.finds("a", "b", "c", severity="medium")
    world.unheard.clear()
    world.at(60).finds("b", severity="critical")
    world.told(page("a"), commented("a", "critical")).told_nothing()
    assert (world.incident("a").severity, world.incident("b").stage) == ("critical", "merged")


# -- storms -----------------------------------------------------------------------------------------------------------


def test_of_a_storm_people_hear_the_budget_and_one_umbrella_and_the_book_has_all_of_it():
    owner = Owner(name="platform", pagerduty="platform")
    world = World(BookValues(owners=(owner,), storm=Storm(per_minute_max=3)))
    for number in range(300):
        world.finds(f"t{number}", agent=f"agent{number}")
    pages = [one for one in world.unheard if one.kind == "page" and one.ordinal == 1 and one.incident]
    assert len({one.incident for one in pages}) == 3
    world.told(umbrella("platform"))
    (woken,) = [one for one in world.obligations.values() if not one.incident and "pagerduty" in one.destination]
    assert woken.id.endswith(":page:1:pagerduty:platform")
    assert len(world.incidents) == 300
    assert sum(one.held == ("storm",) for one in world.incidents.values()) == 297


def test_an_hour_of_storm_calls_people_once():
    owner = Owner(name="platform", pagerduty="platform")
    world = World(BookValues(owners=(owner,), storm=Storm(per_minute_max=1)))
    for minute in (0, 1, 2):
        world.at(60 * minute).finds(*(f"t{minute}{one}" for one in "abc"), agent=f"agent{minute}")
    woken = [one for one in world.obligations.values() if not one.incident and "pagerduty" in one.destination]
    assert len(woken) > 1 and len({one.body["incident"] for one in woken}) == 1


def test_escalations_are_part_of_the_budget():
    values = BookValues(storm=Storm(per_minute_max=2), escalation=(Level(after_s=600, mention="U2"),))
    world = World(values)
    for minute in range(3):
        world.at(60 * minute).finds(*(f"t{minute}{one}" for one in "ab"), agent=f"agent{minute}")
    world.at(599)
    world.unheard.clear()
    world.at(600).finds("x", "y", "z", agent="other")
    assert sum(one.body.get("level", 0) > 0 for one in world.unheard) <= 2


def test_the_fallback_owner_has_levels_too():
    values = BookValues(routing=Routing(fallback="platform"), owners=(Owner(name="platform", escalation=LADDER),))
    world = World(values)
    answered(world.finds("search"))
    world.at(900).told(escalated("search", "slack:CSECOND"))


def test_an_incident_of_another_episode_is_nobodys_to_split(world):
    world.finds("a", "b", "c")
    stale = b.r.Split(f"{world.id('b')}9", b.at(1), "ann")
    world.unheard.clear()
    world.take(stale).told_nothing()
