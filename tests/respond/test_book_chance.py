"""Whatever happens to the book in whatever order, what it promises holds after every single input."""

import random

import builders as b
import pytest
from stories.world import World

from streams.respond.routing import BookValues, Inhibition, Owner, Storm

TROUBLES = tuple("abcdefghijkl")
OUTCOMES = ("fixed", "false_positive", "accepted_risk", "wont_fix", "external_cause", "duplicate", "unspecified")
RULES = (
    Inhibition(bigger=("tool.dependency",), smaller=("*",), equal=("dependency",)),
    Inhibition(bigger=("tool.*",), smaller=("tool.*",), equal=("agent",)),
)
OWNERS = (Owner(name="payments", agents=("x",)),)
VALUES = BookValues(owners=OWNERS, storm=Storm(per_minute_max=2), inhibitions=RULES)
EVENTS = tuple(f"event-{number:016}" for number in range(12))


def find(world, chance):
    world.finds(
        chance.choice(TROUBLES),
        event=world.now - chance.choice((0, 0, 0, 5, 300, 2000)),
        agent=chance.choice("xy"),
        dependency=chance.choice((None, "mcp:crm")),
        severity=chance.choice(("critical", "high", "medium", "low")),
        release=chance.choice("789"),
        dry_run=chance.random() < 0.05,
        evidence=tuple(happened(world, chance) for _ in range(chance.choice((0, 0, 1, 3)))),
        **chance.choice(({}, {}, {"detector": "tool.dependency", "fingerprint": "v1:tool.repeated_error:a"})),
    )


def happened(world, chance):
    """Any event may name any other one as its cause, even each other."""
    cause = chance.choice((None, *EVENTS))
    return b.excerpt(world.now - chance.choice((0, 5, 300)), id=chance.choice(EVENTS), cause=cause)


def decide(world, chance):
    one = chance.choice(list(world.incidents.values()))
    reopened = chance.random() < 0.4
    trouble, _, episode = one.id.rpartition(":")[2].partition("#")
    world.decides(trouble, chance.choice(OUTCOMES), episode=int(episode), reopened=reopened)


def silence(world, chance):
    matchers = chance.choice(({"agent": "x"}, {"owner": "platform"}, {"fingerprint": world.id("a")[:-2]}))
    world.silences(world.now + chance.choice((0, 30, 900)), id=chance.choice("pq"), matchers=matchers)


def answer(world, chance):
    trouble = chance.choice(list(world.incidents)).rpartition(":")[2].partition("#")[0]
    world.receives(trouble, chance.choice(("page", "ticket")), f"OPS-{chance.randrange(100)}")
    world.acknowledges(trouble)


def root_of(world, one):
    """The incident whose ticket speaks for this one. A circle would never get there."""
    for _ in range(len(world.incidents)):
        if one.stage != "merged":
            return one
        one = world.incidents[one.parent]
    raise AssertionError(f"{one.id} explains itself")


@pytest.mark.parametrize("seed", range(100))
def test_nothing_is_owed_twice_lost_or_explained_in_circles(seed):
    chance, world = random.Random(seed), World(VALUES)
    find(world, chance)
    for _ in range(120):
        what = chance.choices((find, decide, silence, answer), (12, 2, 1, 1))[0]
        what(world.at(world.now + chance.choice((0, 1, 20, 70, 400))), chance)
        for one in world.incidents.values():
            assert one.stage != "merged" or root_of(world, one).stage != "resolved", f"{one.id} waits for what is over"
    everything_is_told_once_it_is_seen_again(world)


def everything_is_told_once_it_is_seen_again(world):
    """When silences are over, all that is still going on is told, or explained by something that is."""
    world.at(world.now + 3600)
    going_on = [one for one in world.incidents.values() if one.stage not in ("resolved", "merged")]
    for one in going_on:
        world.at(world.now + 60).finds(one.id.rpartition(":")[2].partition("#")[0], severity=one.severity)
    world.at(world.now + 600)
    for one in going_on:
        assert "ticket" in spokesman(world, world.incidents[one.id]).told, one.id


def spokesman(world, one):
    while "ticket" not in one.told and one.parent is not None:
        one = world.incidents[one.parent]
    return one
