"""The book against a simple model of what is true, in short lives that are made as short as possible when one fails."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from respond.happening import AFTER, HAPPENINGS, Happening, find, find_again

CHANCE = st.integers(0, 2**32).map(Random)
LATER = st.sampled_from((1, 0, 20, 70, 400, 2000))
WHAT = st.sampled_from([what for what, weight in HAPPENINGS for _ in range(weight)])
LOUD = ("open", "acknowledged")


class Book(RuleBasedStateMachine):
    """`Happening` holds what it knows against what the book says after every input; see `_true` there."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Happening()

    @initialize(chance=CHANCE)
    def a_trouble_is_seen(self, chance: Random) -> None:
        find(self.world, chance)

    @rule(later=LATER, what=WHAT, chance=CHANCE)
    def something_happens(self, later: float, what: Callable[[Happening, Random], None], chance: Random) -> None:
        self.world.at(self.world.now + later)
        what(self.world, chance)

    @rule(later=LATER, what=WHAT, chance=CHANCE)
    def something_else_happens(self, later: float, what: Callable[[Happening, Random], None], chance: Random) -> None:
        self.something_happens(later, what, chance)

    @rule(later=LATER, chances=st.lists(CHANCE, min_size=3, max_size=6))
    def several_troubles_are_seen(self, later: float, chances: list[Random]) -> None:
        self.world.at(self.world.now + later)
        for chance in chances:
            find(self.world, chance)

    @rule(chance=CHANCE)
    def the_same_finding_is_read_again(self, chance: Random) -> None:
        before = self.world.incidents.copy(), len(self.world.obligations)
        find_again(self.world, chance)
        assert before == (self.world.incidents, len(self.world.obligations))

    @rule(agent=st.sampled_from("xy"))
    def an_agent_works_for_long_without_its_troubles(self, agent: str) -> None:
        """Then all of them are quiet, whatever was said of them before."""
        world = self.world.at(self.world.now + 2 * AFTER.total_seconds() + 600)
        for later in (0, 1200):  # once more, where something was heard of it late
            world.at(world.now + later).works(agent, event=world.now + 3000)
        loud = [one.id for one in world.incidents.values() if one.about.agent == agent and one.stage in LOUD]
        assert not loud, f"{loud} were not seen for long"

    def teardown(self) -> None:
        self.world.everything_is_told_once_it_is_seen_again()
        self.world.memories_are_small()
        self.world.the_same_again_says_the_same()


Book.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestBook: Any = Book.TestCase
