"""Long lives by chance: whatever happens to the book in whatever order, what it promises holds after every single input."""

import random

import pytest
from respond.happening import HAPPENINGS, Happening, find


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_owed_twice_lost_or_explained_in_circles(seed):
    chance, world = random.Random(seed), Happening()
    find(world, chance)
    whats, weights = zip(*HAPPENINGS, strict=True)
    for _ in range(120):
        (what,) = chance.choices(whats, weights)
        world.at(world.now + chance.choice((0, 1, 20, 70, 400)))
        what(world, chance)
    world.everything_is_told_once_it_is_seen_again()
    world.memories_are_small()
    world.the_same_again_says_the_same()
