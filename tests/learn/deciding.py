"""Learn's settle loop with the deciders about gates alone."""

from streams.learn.gates import ruling
from streams.learn.gates.overriding import Freezing, Overriding
from streams.learn.settling import Settling
from streams.records import Freeze, Frozen, Notice, Overridden, Override, OverrideApproved, OverrideEnded
from streams.respond import book

WRITERS = {Overridden: ruling.overridden, Frozen: ruling.frozen, Notice: ruling.noticed}


class Gatekeepers:
    told = Override | OverrideApproved | OverrideEnded | Freeze
    deciders = (Overriding(), Freezing())

    def fold(self, memories, inputs):
        folded = book.fold(self.deciders, memories, inputs)
        return folded.keys if isinstance(folded, book.Missing) else folded

    def woken(self, decider, key, at):
        return book.Woken(decider, key, at)


async def settle(conn):
    """Whatever waits is settled."""
    settling = Settling(Gatekeepers(), WRITERS, "tocsin.deadletters")
    while await settling.turn(conn):
        pass
