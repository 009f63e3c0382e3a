"""The book against a simple model of what is true, in short lives that are made as short as possible when one fails."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from respond.happening import (
    AFTER,
    Happening,
    answer,
    assign,
    decide,
    expire,
    find,
    find_again,
    merge,
    silence,
    split,
    work,
)

CHANCE = st.integers(0, 2**16).map(Random)
LATER = st.sampled_from((0, 1, 20, 70, 400, 2000))


class Book(RuleBasedStateMachine):
    """`Happening` holds what it knows against what the book says after every input; see `_true` there."""

    def __init__(self) -> None:
        super().__init__()
        self.world = Happening()

    @rule(seconds=LATER)
    def time_passes(self, seconds: float) -> None:
        self.world.at(self.world.now + seconds)

    @rule(chance=CHANCE)
    def a_trouble_is_seen(self, chance: Random) -> None:
        find(self.world, chance)

    @rule(chance=CHANCE)
    def the_same_finding_is_read_again(self, chance: Random) -> None:
        obligations = len(self.world.obligations)
        find_again(self.world, chance)
        assert len(self.world.obligations) == obligations

    @rule(chance=CHANCE)
    def a_person_decides_or_takes_it_back(self, chance: Random) -> None:
        decide(self.world, chance)

    @rule(chance=CHANCE)
    def a_silence_begins_or_ends(self, chance: Random) -> None:
        silence(self.world, chance)

    @rule(chance=CHANCE)
    def somebody_answers(self, chance: Random) -> None:
        answer(self.world, chance)

    @rule(chance=CHANCE)
    def somebody_is_given_it(self, chance: Random) -> None:
        assign(self.world, chance)

    @rule(chance=CHANCE)
    def a_person_takes_it_out(self, chance: Random) -> None:
        split(self.world, chance)

    @rule(chance=CHANCE)
    def a_person_puts_it_under_another(self, chance: Random) -> None:
        merge(self.world, chance)

    @rule(chance=CHANCE)
    def a_page_is_not_sent(self, chance: Random) -> None:
        expire(self.world, chance)

    @rule(chance=CHANCE)
    def an_agent_works(self, chance: Random) -> None:
        work(self.world, chance)

    @precondition(lambda self: self.world.incidents)
    @rule(agent=st.sampled_from("xy"))
    def an_agent_works_for_long_without_its_troubles(self, agent: str) -> None:
        """Then all of them are quiet, whatever was said of them before."""
        world = self.world.at(self.world.now + 2 * AFTER.total_seconds() + 600)
        for minutes in (0, 20):  # asked of the clock again once, where something was heard of it late
            world.at(world.now + 60 * minutes).works(agent, event=world.now + 3000)
        loud = [one.id for one in world.incidents.values() if one.about.agent == agent and one.stage in LOUD]
        assert not loud, f"{loud} are {AFTER} behind"

    def teardown(self) -> None:
        self.world.everything_is_told_once_it_is_seen_again()
        self.world.memories_are_small()
        self.world.the_same_again_says_the_same()


LOUD = ("open", "acknowledged")
Book.TestCase.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestBook: Any = Book.TestCase
