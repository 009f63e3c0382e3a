"""What the book promises, one story each."""

import random

import builders as b
import pytest
from msgspec.structs import replace
from stories.world import World, commented, edited, page, ticket


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
    world.told(ticket("search"), page("search"), commented("search", "critical")).told_nothing_else()
    assert world.incident("search").severity == "critical"


def test_the_ticket_learns_of_each_rise_of_severity_once(world):
    for second, severity in enumerate(("low", "medium", "low", "medium", "high", "high")):
        world.at(60 * second).finds("search", severity=severity, count=2, session=f"s{second}")
    world.told(ticket("search"), commented("search", "medium"), commented("search", "high"), page("search"))
    world.told_nothing_else()
    assert world.obligations[f"{world.id('search')}:comment:2"].after == (f"{world.id('search')}:ticket:1",)
    since, seen, _ = world.body("search", "comment", 2)["lines"]
    assert since.startswith("Severity is high now, since 2026-09-01 12:04:00 UTC")
    assert "at least 10 times, in 5 sessions; first 2026-09-01 12:00:00 UTC" in seen


def test_a_rise_before_anybody_was_told_or_after_it_is_over_needs_no_comment(world):
    world.silences(300, matchers={"agent": "billing"})
    world.finds("search", severity="low").at(60).finds("search", severity="medium").told_nothing()
    world.at(301).told(ticket("search")).at(310).decides("search", "wont_fix").told(commented("search", "wont_fix"))
    world.at(320).finds("search", event=305, severity="high").told_nothing_else()


def test_a_detector_on_trial_comments_on_no_ticket(world):
    world.finds("search", severity="medium").told(ticket("search"))
    world.at(60).finds("search", severity="high", dry_run=True).told_nothing()


def test_an_incident_that_outlives_many_releases_names_the_newest_ones(world):
    for number in range(70):
        world.at(60 * number).finds("search", release=f"r{number}")
    assert world.incident("search").releases[-1] == "r69"


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
    world.finds("search").at(100).decides("search", "cannot_reproduce").at(101).finds("search")
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
    # How often the severity rose is what people saw, and may differ.
    assert _without_comments(shuffled.incident("search")) == _without_comments(straight.incident("search"))


def _without_comments(incident):
    return replace(incident, told={kind: told for kind, told in incident.told.items() if kind != "comment"})


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
