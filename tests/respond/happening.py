"""Whatever can happen to the book, drawn by chance, and what must hold after each of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import builders as b
import msgspec
from stories.world import World

from streams.records import Incident, Obligation
from streams.respond import book
from streams.respond.routing import BookValues, Inhibition, Level, Owner, Quiet, Storm, Upgrade

TROUBLES = tuple("abcdefghijkl")
OUTCOMES = ("fixed", "false_positive", "accepted_risk", "wont_fix", "external_cause", "duplicate", "unspecified")
RULES = (
    Inhibition(bigger=("tool.dependency",), smaller=("*",), equal=("dependency",)),
    Inhibition(bigger=("tool.*",), smaller=("tool.*",), equal=("agent",)),
)
OWNERS = (
    Owner(name="payments", agents=("x",), mention="SPAY", escalation=(Level(after_s=300.0), Level(after_s=600.0))),
)
AFTER, CLOSE = timedelta(seconds=900), timedelta(seconds=7200)
VALUES = BookValues(
    owners=OWNERS,
    storm=Storm(per_minute_max=2),
    inhibitions=RULES,
    quiet=Quiet(after_s=AFTER.total_seconds(), close_s=CLOSE.total_seconds()),
    upgrades=(Upgrade(to="critical", of="high", sessions=12), Upgrade(to="high", of="medium", count=20)),
)
EVENTS = tuple(f"event-{number:016}" for number in range(12))
STILL_SEEN = timedelta(minutes=10)
HEARD = timedelta(minutes=5)
SPOKEN_FOR = ("grouped:", "explained:")
MEMORY_MAX = 300_000


class Happening(World):
    """A world that remembers what went in and what was said, and knows in its own way what is true."""

    def __init__(self, values: BookValues = VALUES) -> None:
        super().__init__(values)
        self.taken: list[Any] = []
        self.said: list[Any] = []
        self.clocks: dict[tuple[str, str], datetime] = {}  # agent and environment -> event time
        self.heard: dict[str, datetime] = {}  # fingerprint -> wall clock
        self.windows: dict[str, list[tuple[datetime, datetime]]] = {}  # silence -> from when until when
        self.read: set[str] = set()  # findings: an echo is no sighting
        self.on_trial: set[str] = set()  # fingerprints that were seen by a detector on trial
        self.fresh: list[Obligation] = []

    def take(self, *records: Any) -> World:
        self.taken += records
        self.fresh = []
        for record in records:
            self._noted(record)
        super().take(*records)
        self._true()
        return self

    def _noted(self, record: Any) -> None:
        if isinstance(record, b.r.Sighted):
            name = record.finding.fingerprint
            if record.finding.dry_run:
                self.on_trial.add(name)  # and asks for nobody
            elif record.finding.id not in self.read:
                self.read.add(record.finding.id)
                self.heard[name] = max(record.at, self.heard.get(name, record.at))
        elif isinstance(record, b.r.Advanced):
            place = (record.agent, record.environment)
            self.clocks[place] = max(record.at, self.clocks.get(place, record.at))
        elif isinstance(record, b.r.Silence):
            known = self.windows.setdefault(record.id, [])
            if known and known[-1][1] > record.at:
                known[-1] = (known[-1][0], record.at)
            known.append((record.at, record.until))

    def _hear(self, saying: Any) -> None:
        self.said.append(saying)
        super()._hear(saying)
        if isinstance(saying, Obligation):
            self.fresh.append(saying)

    # -- what must hold -----------------------------------------------------------------------------------------------

    def _true(self) -> None:
        for owed in self.fresh:
            self._owed_rightly(owed)
        for one in self.incidents.values():
            if one.stage == "merged":
                root = self.root_of(one)
                assert root.stage not in ("resolved", "closed"), f"{one.id} waits for what is over"
            quiet = (one.quiet_since is not None, one.mitigated_at is not None)
            assert quiet == (one.stage == "mitigated",) * 2, f"{one.id} is {one.stage}, quiet {quiet}"
            if one.stage == "mitigated":
                self._quiet_rightly(one)
            if one.stage == "open" and "ticket" not in one.told:
                assert all(self._true_reason(one, reason) for reason in one.held), f"{one.id} is held by {one.held}"

    def _owed_rightly(self, owed: Obligation) -> None:
        missing = [name for name in owed.after if name not in self.obligations]
        # A duplicate's ticket is linked to its parent's once people are owed that one, too.
        waits = [name for name in missing if owed.kind != "transition" or name.rsplit(":", 2)[0] not in self.incidents]
        assert not waits, f"{owed.id} waits for {waits}, which nobody is owed"
        if owed.incident and owed.kind in ("page", "ticket") and owed.ordinal == 1:
            one = self.incidents[owed.incident]
            spoken = [reason for reason in one.held if reason.startswith(SPOKEN_FOR)]
            assert not spoken, f"{owed.id}, although {spoken}"

    def _quiet_rightly(self, one: Incident) -> None:
        agent = one.about.agent
        clock = self.clocks[agent, one.about.environment if agent else ""]
        assert one.quiet_since is not None and clock >= one.quiet_since + AFTER, f"{one.id} is quiet too soon"

    def _true_reason(self, one: Incident, reason: str) -> bool:
        what, _, which = reason.partition(":")
        heard = self.heard.get(one.fingerprint, one.opened_at)
        if what == "silenced":
            now = b.at(self.now)  # what was seen shortly before the end would have asked again by then
            ends = [until for since, until in self.windows.get(which, ()) if since <= now]
            return any(now < until for until in ends) or any(until - heard > STILL_SEEN for until in ends)
        if what in ("grouped", "explained"):
            return which in self.incidents and which != one.id
        if what == "storm":
            return any(name.startswith("storm:") for name in self.obligations)
        return what in OUTCOMES or (what == "dry_run" and one.fingerprint in self.on_trial)

    def root_of(self, one: Incident) -> Incident:
        """The incident whose ticket speaks for this one. A circle would never get there."""
        for _ in range(len(self.incidents)):
            if one.stage != "merged":
                return one
            assert one.parent is not None
            one = self.incidents[one.parent]
        raise AssertionError(f"{one.id} explains itself")

    def spokesman(self, one: Incident) -> Incident:
        while "ticket" not in one.told and one.parent is not None:
            one = self.incidents[one.parent]
        return one

    # -- at the end ---------------------------------------------------------------------------------------------------

    def everything_is_told_once_it_is_seen_again(self) -> None:
        """When silences are over, all that is still going on is told, or explained by something that is."""
        self.at(self.now + 3600)
        going_on = [one for one in self.incidents.values() if one.stage in ("open", "acknowledged", "mitigated")]
        for one in going_on:
            self.at(self.now + 60).finds(trouble_of(one), severity=one.severity, agent=one.about.agent)
        self.at(self.now + 600)
        newest = {one.fingerprint: one for one in self.incidents.values()}  # one may have been closed meanwhile
        for one in going_on:
            assert "ticket" in self.spokesman(newest[one.fingerprint]).told, one.id

    def memories_are_small(self) -> None:
        sizes = {address: len(memory) for address, memory in self.memories.items() if memory is not None}
        large = {address: size for address, size in sizes.items() if size > MEMORY_MAX}
        assert not large, large

    def the_same_again_says_the_same(self, cut: int = 3) -> None:
        """Other transactions, memories that never were bytes: what was said does not change."""
        deciders, memories, said = book.deciders(VALUES), dict[tuple[str, str], Any](), list[Any]()
        for start in range(0, len(self.taken), cut):
            folded = _folded(deciders, memories, self.taken[start : start + cut])
            memories |= folded.memories
            said += folded.said
        assert said == self.said
        kept = {address: memory for address, memory in self.memories.items() if memory is not None}
        assert {key: msgspec.msgpack.encode(one) for key, one in memories.items() if one is not None} == kept


def _folded(deciders: Sequence[Any], memories: dict[tuple[str, str], Any], records: Sequence[Any]) -> book.Folded:
    while True:
        folded = book.fold(deciders, memories, records)
        if isinstance(folded, book.Folded):
            return folded
        memories |= dict.fromkeys(folded.keys)


def trouble_of(one: Incident) -> str:
    return one.id.rpartition(":")[2].partition("#")[0]


# -- what can happen --------------------------------------------------------------------------------------------------


def find(world: Happening, chance: Random) -> None:
    world.finds(
        chance.choice(TROUBLES),
        event=world.now - chance.choice((0, 0, 0, 5, 300, 2000)),
        agent=chance.choice("xy"),
        dependency=chance.choice((None, "mcp:crm")),
        severity=chance.choice(("critical", "high", "medium", "low")),
        session=f"s{chance.randrange(20)}",
        count=chance.choice((1, 1, 3, 10)),
        release=chance.choice("789"),
        dry_run=chance.random() < 0.05,
        evidence=tuple(happened(world, chance) for _ in range(chance.choice((0, 0, 1, 3)))),
        **chance.choice(({}, {}, {"detector": "tool.dependency", "fingerprint": "v1:tool.repeated_error:a"})),
    )


def happened(world: Happening, chance: Random) -> Any:
    """Any event may name any other one as its cause, even each other."""
    cause = chance.choice((None, *EVENTS))
    return b.excerpt(world.now - chance.choice((0, 5, 300)), id=chance.choice(EVENTS), cause=cause)


def find_again(world: Happening, chance: Random) -> None:
    """An echo that slipped through: read later, and nothing new."""
    seen = [record for record in world.taken if isinstance(record, b.r.Sighted)]
    if seen:
        before = chance.choice(seen[-5:])
        world.take(b.r.Sighted(before.finding, b.at(world.now)))


def decide(world: Happening, chance: Random) -> None:
    if world.incidents:
        one = chance.choice(list(world.incidents.values()))
        reopened = chance.random() < 0.4
        world.decides(trouble_of(one), chance.choice(OUTCOMES), episode=one.episode, reopened=reopened)


def silence(world: Happening, chance: Random) -> None:
    matchers = chance.choice(({"agent": "x"}, {"owner": "platform"}, {"fingerprint": world.id("a")[:-2]}))
    world.silences(world.now + chance.choice((0, 30, 900)), id=chance.choice("pq"), matchers=matchers)


def answer(world: Happening, chance: Random) -> None:
    """A receipt of something that is owed, and somebody acknowledges."""
    owed = [one for one in world.obligations.values() if one.incident and one.kind in ("page", "ticket")]
    if owed:
        trouble = trouble_of(world.incidents[chance.choice(owed).incident])
        world.receives(trouble, chance.choice(("page", "ticket")), f"OPS-{chance.randrange(100)}")
        world.acknowledges(trouble)


def assign(world: Happening, chance: Random) -> None:
    if world.incidents:
        world.take(
            b.r.Assignment(chance.choice(list(world.incidents)), chance.choice(("bob", "U1")), b.at(world.now), "ann")
        )


def split(world: Happening, chance: Random) -> None:
    spoken = [one.id for one in world.incidents.values() if one.parent]
    if spoken:
        world.take(b.r.Split(chance.choice(spoken), b.at(world.now), "ann"))


def merge(world: Happening, chance: Random) -> None:
    if len(world.incidents) > 1:
        one, other = chance.sample(list(world.incidents), 2)
        world.take(b.r.Merge(one, other, b.at(world.now), "ann"))


def expire(world: Happening, chance: Random) -> None:
    """A page that was not sent, since its incident was over or silenced."""
    unsent = [one for one in world.incidents.values() if one.told.get("page") and one.page is None]
    if unsent:
        one = chance.choice(unsent)
        world.take(b.r.Expired(one.id, one.told["page"], b.at(world.now)))


def work(world: Happening, chance: Random) -> None:
    """An agent goes on working; now and then its minutes are read late, or ahead of the findings."""
    event = world.now + chance.choice((0, 0, 0, -600, 1200))
    world.works(chance.choice("xy"), event=event, release=chance.choice("789"))


HAPPENINGS = (
    (find, 12),
    (find_again, 1),
    (decide, 2),
    (silence, 1),
    (answer, 1),
    (assign, 1),
    (split, 1),
    (merge, 1),
    (expire, 1),
    (work, 4),
)
