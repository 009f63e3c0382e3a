"""Nobody waits behind what people were never told of, what is over, or what a storm and a silence put off."""

import builders as b
import pytest
from stories.world import World, escalated, noted, page, ticket

from streams.respond import book, promise
from streams.respond.routing import CANARY, BookValues, Inhibition, Level, Owner, Storm

MINUTE, HOUR = 60, 3600
A, B, C = "a", "b", "c"


def goes_on(world, *troubles, until, agent="billing"):
    """Seen every five minutes, while the agent works."""
    for now in range(int(world.now) // 300 * 300 + 300, until, 300):
        world.at(now).finds(*troubles, agent=agent).works(agent, event=now)
    return world


def test_what_goes_on_after_a_silence_is_told_though_the_oldest_of_its_group_is_gone(world):
    world.silences(until=HOUR).at(30).finds(A).at(40).finds(B).at(50).finds(C)
    goes_on(world, B, C, until=HOUR).told_nothing()
    world.at(HOUR + 1).told(page(A), ticket(A)).told_nothing_else()
    assert world.held(B) == (f"grouped:{world.id(A)}",)


def test_a_group_is_not_over_while_one_of_it_goes_on(world):
    world.finds(A).at(20).finds(B).at(40).finds(C)
    world.unheard.clear()
    goes_on(world, C, until=3 * HOUR).told_nothing()
    assert world.incident(A).stage == "open"
    goes_on(world, until=5 * HOUR)
    assert world.incident(A).stage == "mitigated"
    assert world.incident(A).quiet_since == world.incident(C).last_seen


def test_a_group_is_not_over_while_one_goes_on_whose_ticket_became_a_duplicate(world):
    world.finds(A).at(20).finds(B).at(40).finds(C)
    assert world.incident(B).stage == "merged"
    goes_on(world, B, until=3 * HOUR)
    assert world.incident(A).stage == "open"


def test_a_group_is_back_with_any_of_it(world):
    world.finds(A).at(20).finds(B).at(40).finds(C)
    goes_on(world, until=2 * HOUR)
    assert world.incident(A).stage == "mitigated"
    world.unheard.clear()
    world.finds(C)
    assert world.incident(A).stage == "open"
    world.told(noted(A, "back"))


def test_a_ticket_that_a_person_put_a_trouble_under_swallows_no_page():
    rules = (Inhibition(bigger=("tool.dependency",), smaller=("*",), equal=("dependency",)),)
    world = World(BookValues(inhibitions=rules))
    world.finds("ticketed", agent="support", severity="medium")
    down = {"detector": "tool.dependency", "fingerprint": "v1:tool.repeated_error:down"}
    world.finds("down", dependency="crm", **down).at(60).merges("down", "ticketed")
    world.unheard.clear()
    world.at(120).finds(A, dependency="crm", severity="critical")
    assert world.held(A) == (f"explained:{world.id('down')}",)
    assert world.incident("ticketed").severity == "critical" and "page" in world.incident("ticketed").told


def test_a_storm_only_delays_who_is_told_next():
    levels = (Level(after_s=930.0, channel="C9", mention="SBOSS"),)
    world = World(BookValues(storm=Storm(per_minute_max=1), escalation=levels))
    world.finds(A).at(920).finds("other", agent="support").at(940)
    assert world.held(A) == ("storm",)
    world.at(1000).told(escalated(A, "slack:C9"))


def test_a_silence_of_thousands_ends_in_crowds():
    world = World(BookValues(storm=Storm(per_minute_max=5000)))
    world.silences(until=HOUR, matchers={"environment": "prod"}).at(HOUR - 100)
    for number in range(250):
        world.finds(f"t{number}", agent=f"agent{number}")
    world.at(HOUR + 200)
    assert all("ticket" in one.told for one in world.incidents.values())


def test_one_input_releases_no_more_than_a_crowd():
    silences = {f"v1:x:{number}#1": "quiet" for number in range(250)}
    hush = next(one for one in book.deciders(BookValues()) if one.name == "silence")
    memory = hush.memory((b.silence(0, 600),), silences)
    sizes = []
    while memory.held:
        step = hush.step(memory, b.r.Tick(b.at(600)))
        sizes.append(sum(isinstance(one, b.r.Released) for one in step.say))
        memory = step.remember
    assert sizes == [100, 100, 50] and step.wake is None


@pytest.fixture
def drill():
    levels = (Level(after_s=900.0, channel="C9", mention="SBOSS"),)
    owners = (Owner(name=CANARY, channel="CDRILL", project="DRILL"),)
    rules = (Inhibition(bigger=("tool.*",), smaller=("*",), equal=("environment",)),)
    named = {CANARY: CANARY}
    return World(BookValues(escalation=levels, owners=owners, inhibitions=rules, detector_owners=named))


def made_up(world):
    return world.take(b.r.Sighted(promise.canary(1, 600.0, "p1", b.at(world.now)), b.at(world.now)))


def test_a_drill_wakes_nobody_however_long_it_takes(drill):
    made_up(drill).at(2 * HOUR)
    assert {one.destination for one in drill.obligations.values()} == {"slack:CDRILL", "jira:DRILL"}


def test_a_drill_arrives_whatever_is_silenced_and_whatever_else_goes_on(drill):
    drill.finds(A).silences(until=HOUR, matchers={"environment": "prod"}, kind="maintenance")
    made_up(drill)
    (one,) = (one for one in drill.incidents.values() if one.detector == CANARY)
    assert "page" in one.told and "ticket" in one.told and not one.held


def test_the_pipeline_s_own_trouble_is_over_once_it_is_not_seen_while_agents_work(world):
    found = promise.broken("page", 3, None, "p1", b.at(0))
    world.take(b.r.Sighted(found, b.at(0)))
    goes_on(world, until=2 * HOUR)
    (one,) = world.incidents.values()
    assert one.stage == "mitigated"
