"""What came before an incident and what comes after it: changes, the one before, coming back, and that nothing is gone."""

import builders as b
import pytest
from stories.world import World, page, ticket, umbrella

from streams.records import Change
from streams.respond.routing import BookValues, Storm

MINUTE, HOUR, DAY = 60, 3600, 86_400


def told(world, trouble="search", **given):
    """An incident that people know of."""
    world.finds(trouble, **given)
    world.unheard.clear()
    return world


# -- what was before --------------------------------------------------------------------------------------------------


def test_a_page_says_which_release_came_just_before(world):
    for minute in range(30):
        world.at(minute * MINUTE).works(release="7")
    world.at(HOUR).works(release="8").at(HOUR + 600).finds("search", release="8")
    assert world.incident("search").changed == (Change(b.at(HOUR), "release", "8", "7"),)
    assert any("8" in value for label, value in world.page("search").lines if label == "Changed before")


def test_a_release_is_news_before_its_first_minute_is_closed(world):
    world.works(release="7").at(600).finds("search", release="8")
    assert world.incident("search").changed == (Change(b.at(600), "release", "8", "7"),)


def test_a_prompt_that_changed_is_named_and_one_of_two_in_turns_is_not(world):
    for minute, prompt in enumerate(("p1", "p2", "p1", "p2", "p1")):
        world.at(minute * MINUTE).works(config={"prompt": prompt, "model": "m1"})
    world.at(3 * HOUR).works(config={"model": "m2", "prompt": "p2"}).at(3 * HOUR + 60).finds("search")
    assert [(one.what, one.to, one.was) for one in world.incident("search").changed] == [("model", "m2", "m1")]


def test_what_changed_long_before_or_afterwards_is_not_named(world):
    world.works(release="7").at(60).works(release="8").at(4 * HOUR).works(release="8").finds("search", release="8")
    world.at(4 * HOUR + 600).works(release="9").finds("search", release="9")
    assert world.incident("search").changed == ()


def test_another_policy_is_a_change(world):
    world = World(BookValues(policy="sha256:old"))
    world.works()
    after = World(BookValues(policy="sha256:new"))
    after.memories = world.memories
    after.at(60).works().at(120).finds("search")
    (change,) = after.incident("search").changed
    assert (change.what, change.to, change.was) == ("policy", "sha256:new", "sha256:old")


def test_what_changed_is_told_newest_first_and_not_without_end(world):
    for number in range(12):
        world.at(number * MINUTE).works(release=str(number))
    world.at(12 * MINUTE).finds("search", release="11")
    assert [one.to for one in world.incident("search").changed] == ["11", "10", "9", "8", "7"]


def test_an_incident_knows_how_the_one_before_it_ended(world):
    told(world, release="7").receives("search", "ticket", "OPS-7")
    world.at(100).decides("search", "fixed", fixed_in="8", reason="the retry was wrong")
    world.at(DAY).finds("search", release="9")
    previous = world.incident("search", 2).previous
    assert previous is not None
    assert (previous.incident, previous.outcome, previous.at) == (world.id("search"), "fixed", b.at(100))
    assert (previous.ticket, previous.by, previous.reason) == ("OPS-7", "ann (jira)", "the retry was wrong")
    assert any("OPS-7" in value for label, value in world.page("search", episode=2).lines if label == "Seen before")


# -- reopening, as people complain about it elsewhere --------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["fixed", "external_cause", "duplicate", "cannot_reproduce", "unspecified"])
def test_a_closed_ticket_hides_nothing_that_comes_back(world, outcome):
    """The old ticket being there is no reason to tell nobody: there is a new one, and it names the old one."""
    told(world, release="7").receives("search", "ticket", "OPS-7").at(100).decides("search", outcome)
    world.unheard.clear()
    world.at(DAY).finds("search", release="8").told(page("search", 2), ticket("search", 2))
    assert world.incident("search", 2).previous_ticket == "OPS-7"
    assert world.incident("search").stage == "resolved"


def test_a_topic_that_is_read_again_from_its_start_reopens_nothing(world):
    for minute in range(5):
        world.at(minute * MINUTE).finds("search", release=str(minute))
    world.at(HOUR).decides("search", "fixed")
    world.unheard.clear()
    for minute in range(5):
        world.at(2 * HOUR + minute).finds("search", event=minute * MINUTE, release=str(minute))
    world.told_nothing()
    assert (world.incident("search").stage, world.incident("search").findings) == ("resolved", 10)


def test_an_older_release_that_still_runs_somewhere_is_no_regression(world):
    told(world, release="6").at(60).finds("search", release="7").at(100).decides("search", "fixed", fixed_in="8")
    world.unheard.clear()
    for day, release in enumerate(("7", "6", "7"), 1):
        world.at(day * DAY).finds("search", release=release)
    world.told_nothing()
    assert (world.incident("search").findings, world.incident("search").stage) == (5, "resolved")


def test_a_ticket_that_is_closed_before_the_fix_is_shipped_stays_closed_until_the_fix_fails(world):
    told(world, release="7").at(100).decides("search", "fixed", fixed_in="8")
    world.unheard.clear()
    world.at(DAY).finds("search", release="7").told_nothing()
    world.at(2 * DAY).finds("search", release="8").told(page("search", 2), ticket("search", 2))
    assert world.incident("search", 2).title.startswith("Regressed: ")


def test_two_troubles_never_share_a_ticket(world):
    world.finds("search").finds("refund", agent="refunds")
    world.at(100).decides("search", "cannot_reproduce").at(200).finds("refund", agent="refunds").at(300).finds("search")
    tickets = {owed.incident for owed in world.obligations.values() if owed.kind == "ticket"}
    assert tickets == {world.id("search"), world.id("refund"), world.id("search", 2)}


# -- nothing is gone --------------------------------------------------------------------------------------------------


def test_what_another_one_speaks_for_is_counted_and_says_by_whom(world):
    for number, trouble in enumerate("abcc"):
        world.at(number).finds(trouble, session=f"s{number}")
    incident = world.incident("c")
    assert (incident.findings, incident.count, incident.held) == (2, 2, (f"grouped:{world.id('a')}",))
    assert (incident.parent, incident.told) == (world.id("a"), {})


def test_what_waits_in_a_storm_is_counted_and_says_so():
    world = World(BookValues(storm=Storm(per_minute_max=1)))
    world.finds("a", agent="one").finds("b", agent="two").at(1).finds("b", agent="two", session="s2")
    world.told(page("a"), ticket("a"), umbrella("platform")).told_nothing_else()
    assert (world.incident("b").findings, world.incident("b").held) == (2, ("storm",))


def test_what_comes_late_and_what_is_muted_is_counted_where_it_belongs(world):
    told(world).at(100).decides("search", "false_positive")
    world.unheard.clear()
    world.at(200).finds("search", event=50).at(300).finds("search", session="s2").told_nothing()
    incident = world.incident("search")
    assert (incident.findings, incident.count, incident.held) == (3, 2, ("false_positive",))


@pytest.mark.parametrize(
    ("given", "held"),
    [({"dry_run": True}, "dry_run"), ({}, "silenced:quiet")],
    ids=["on trial", "silenced"],
)
def test_what_people_are_not_told_is_counted_and_says_why(world, given, held):
    world.silences(HOUR, matchers={"agent": "billing"})
    for minute in range(5):
        world.at(minute * MINUTE).finds("search", session=f"s{minute}", **given)
    world.told_nothing()
    incident = world.incident("search")
    assert (incident.findings, incident.count, len(incident.sessions), incident.held) == (5, 5, 5, (held,))
