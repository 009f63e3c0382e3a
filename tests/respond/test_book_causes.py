"""Who explains whom is a function of what is known, not of how it became known."""

import random

import builders as b
import pytest
from stories.world import World

from streams import policy
from streams.replaying.book import values_of
from streams.respond import book
from streams.respond.group import Members
from streams.respond.routing import BookValues, Inhibition, Owner, Storm
from streams.respond.worker import WiredBook
from streams.settings import Settings

RULES = (Inhibition(bigger=("tool.dependency",), smaller=("tool.*", "session.*"), equal=("dependency",)),)
NOBODY_TOLD = BookValues(inhibitions=RULES, storm=Storm(per_minute_max=0))
TOLD = BookValues(inhibitions=RULES)


def event(number):
    return f"event-{number:016}"


def sightings(chance):
    """Some troubles within ten minutes: their events name each other's as causes, some depend on the same."""
    found = []
    for number, trouble in enumerate("abcdefghij"):
        at = 60 * number + chance.random()
        cause = event(chance.randrange(number)) if number and chance.random() < 0.5 else None
        dependency = chance.choice((None, "mcp:crm", "mcp:mail"))
        detector, subject = "tool.repeated_error", {"agent": trouble, "tool": "x"}
        if dependency and chance.random() < 0.4:
            detector, subject = "tool.dependency", {"dependency": dependency}
        about = {"agent": subject.get("agent", ""), "dependency": dependency, "detector": detector, "subject": subject}
        evidence = (b.excerpt(at - 1, number, id=event(number), cause=cause),)
        for again in range(chance.randrange(1, 3)):
            seen = {"fingerprint": f"v1:tool.repeated_error:{trouble}", "evidence": evidence, **about}
            found.append(b.sighted(at + 20 * again, wall=1000, trouble=trouble, **seen))
    return found


def parents(world):
    return {one.id: one.parent for one in world.incidents.values()}


@pytest.mark.parametrize("seed", range(60))
def test_until_people_are_told_the_order_of_arrival_makes_no_other_parents(seed):
    chance = random.Random(seed)
    seen = sightings(chance)
    straight, shuffled = World(NOBODY_TOLD).take(*seen), World(NOBODY_TOLD)
    for one in chance.sample(seen, len(seen)):
        shuffled.take(one)
    assert parents(shuffled) == parents(straight)


def test_the_seeds_above_have_causes_and_dependencies_to_explain():
    reasons = {
        reason.partition(":")[0]
        for seed in range(60)
        for one in World(NOBODY_TOLD).take(*sightings(random.Random(seed))).incidents.values()
        for reason in one.held
    }
    assert reasons == {"explained", "grouped", "storm"}


@pytest.mark.parametrize("seed", range(30))
def test_once_people_are_told_every_trouble_still_leads_to_one_ticket_that_nothing_explains(seed):
    chance = random.Random(seed)
    seen, world = sightings(chance), World(TOLD)
    for one in chance.sample(seen, len(seen)):
        world.take(one)
    explained = {name for name, parent in parents(World(NOBODY_TOLD).take(*seen)).items() if parent}
    for name in world.incidents:
        root = name
        for _ in world.incidents:
            root = world.incidents[root].parent or root
        assert world.incidents[root].parent is None, "circles"
        assert "ticket" in world.incidents[root].told
    alone = {one.id for one in world.incidents.values() if one.parent is None}
    assert not alone & explained, "what was explained is told, because of the order"


def test_the_parents_stay_the_same_when_everything_is_seen_again():
    seen = sightings(random.Random(3))
    world = World(NOBODY_TOLD).take(*seen)
    before = parents(world)
    assert any(before.values())
    for one in seen:
        world.take(b.sighted(finding=one.finding, wall=1100))
    assert parents(world) == before


def test_an_events_group_is_forgotten_after_an_hour_but_not_while_it_explains_something():
    world = World(TOLD)
    world.finds("root", evidence=(b.excerpt(0, id=event(1)), b.excerpt(0, id=event(2))), agent="a")
    assert events(world) == 2
    world.at(60).finds("child", evidence=(b.excerpt(60, id=event(3), cause=event(1)),), agent="b")
    assert events(world) == 4 - 1
    world.at(8000)
    assert events(world) == 1
    world.at(200_000).decides("root", "external_cause").at(300_000)
    assert (events(world), world.incident("child").stage) == (0, "resolved")


def events(world):
    return sum(memory is not None for (_, key), memory in world.memories.items() if key.startswith("event:"))


def test_a_tick_for_an_events_group_that_comes_early_asks_again():
    _, _, group, *_ = book.deciders(TOLD)
    due = b.cleared(by="power", due=b.due(0, grouping="event:x", incident=b.incident(0)))
    step = group.step(None, due)
    assert isinstance(step.remember, Members) and step.wake == b.at(3600)
    early = group.step(step.remember, b.tick(3599))
    assert (early.remember, early.say, early.wake) == (step.remember, (), b.at(3600))
    assert group.step(step.remember, b.tick(3600)).remember is None


def test_an_incident_is_weighed_by_a_bounded_number_of_groups():
    world = World(TOLD)
    for number in range(40):
        more = tuple(b.excerpt(-5 * number - n, id=event(5 * number + n), cause=f"{event(n)}-c") for n in range(5))
        world.at(number).finds("search", evidence=more)
    assert events(world) <= 48


@pytest.mark.parametrize(
    ("detector", "agent", "owner", "reason"),
    [
        ("guardrail.triggered", "pay-bot", "security", "the policy owes what guardrail.triggered finds to security"),
        ("telemetry.gap", "pay-bot", "platform", "the policy owes what telemetry.gap finds to platform"),
        ("tool.repeated_error", "pay-bot", "payments", "agent pay-bot matches pay-*"),
    ],
)
def test_what_a_detector_with_an_owner_finds_is_owed_to_that_owner_whoever_owns_the_agent(
    detector, agent, owner, reason
):
    owners = (Owner(name="payments", agents=("pay-*",), channel="CPAY"), Owner(name="security", channel="CSEC"))
    named = {"guardrail.triggered": "security", "telemetry.gap": "platform"}
    world = World(BookValues(owners=owners, detector_owners=named))
    world.finds("x", detector=detector, fingerprint="v1:tool.repeated_error:x", agent=agent, team="payments")
    assert world.incident("x").owner == owner
    if detector != "tool.repeated_error":
        assert ("Owner", f"{owner} ({reason})") in world.page("x").lines
    where = world.obligations[f"{world.id('x')}:page:1"].destination
    assert where == {"security": "slack:CSEC", "platform": "slack:C0TOCSIN", "payments": "slack:CPAY"}[owner]


def test_inhibition_and_owners_of_detectors_come_from_the_policy_alike_live_and_in_a_replay():
    text = '[detectors."guardrail.triggered"]\nowner = "security"\n'
    believed = policy.parse(text, "policy.toml")
    live = WiredBook(Settings(web_url="https://tocsin.example"), believed).deciders[0].values
    replayed = values_of(believed, live.pages_url)
    assert live.detector_owners == replayed.detector_owners
    assert live.detector_owners["guardrail.triggered"] == "security"
    assert live.inhibitions == replayed.inhibitions == believed.inhibitions != ()


def test_a_rule_of_inhibition_that_names_no_detector_is_an_error_with_a_suggestion():
    text = '[[inhibitions]]\nbigger = ["tool.dependancy"]\nsmaller = ["tool.*"]\n'
    with pytest.raises(policy.PolicyError, match=r"inhibitions.0: unknown `tool.dependancy`; did you mean `tool.dep"):
        policy.parse(text, "policy.toml")
    assert policy.parse("inhibitions = []", "policy.toml").inhibitions == ()
