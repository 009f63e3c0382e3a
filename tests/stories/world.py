"""A small language for stories of the book on virtual time. Missing and unexpected sayings are both failures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import builders as b
import msgspec

from streams.records import Incident, Obligation
from streams.respond import book
from streams.respond.messages import PageDoc, read
from streams.respond.routing import BookValues

OVER = ("resolved", "closed", "merged")


class Told(NamedTuple):
    """An obligation people would notice. What belongs to it (evidence, the edit with the ticket's key) comes along."""

    kind: str
    about: str
    detail: str = ""


NEWS = {  # how it is said -> what it is
    "It seems to be over": "recovered",
    "It is back": "back",
    "Closed": "closing",
    "Assigned to": "assigned",
    "It is ": "worse",
    "Escalated": "escalated",
    "Stands for itself again": "split",
    "Part of a bigger incident": "merged",
    "How did it end": "unnamed",
}


def page(trouble: str, episode: int = 1) -> Told:
    return Told("page", f"{trouble}#{episode}")


def paged_again(trouble: str, episode: int = 1) -> Told:
    """A new message that wakes somebody, for what they were paged for before."""
    return Told("paged again", f"{trouble}#{episode}")


def ticket(trouble: str, episode: int = 1) -> Told:
    return Told("ticket", f"{trouble}#{episode}")


def edited(trouble: str, state: str, episode: int = 1) -> Told:
    return Told("edited", f"{trouble}#{episode}", state)


def noted(trouble: str, what: str, episode: int = 1) -> Told:
    """News in the thread of its page: recovered, back, closing, worse, …"""
    return Told("noted", f"{trouble}#{episode}", what)


def escalated(trouble: str, to: str, episode: int = 1) -> Told:
    """`to` is a destination."""
    return Told("escalated", f"{trouble}#{episode}", to)


def elsewhere(trouble: str, to: str, state: str, episode: int = 1) -> Told:
    """What another receiver than Slack is told."""
    return Told("elsewhere", f"{trouble}#{episode}", f"{to} {state}")


def reopened(trouble: str, episode: int = 1) -> Told:
    """Its ticket is no duplicate any more."""
    return Told("reopened", f"{trouble}#{episode}")


def closed(trouble: str, episode: int = 1) -> Told:
    """Its ticket, by nobody."""
    return Told("closed", f"{trouble}#{episode}")


def commented(trouble: str, outcome: str, episode: int = 1) -> Told:
    return Told("commented", f"{trouble}#{episode}", outcome)


def merged(trouble: str, parent: str) -> Told:
    return Told("merged", f"{trouble}#1", f"{parent}#1")


def umbrella(owner: str, *, held: int | None = None) -> Told:
    return Told("umbrella" if held is None else "counted", owner, "" if held is None else str(held))


class World:
    def __init__(self, values: BookValues | None = None) -> None:
        self.deciders = book.deciders(values or BookValues())
        self.now = 0.0
        self.memories: dict[tuple[str, str], bytes | None] = {}
        self.due: dict[tuple[str, str], datetime] = {}
        self.incidents: dict[str, Incident] = {}
        self.obligations: dict[str, Obligation] = {}
        self.unheard: list[Obligation] = []

    # -- what happens -------------------------------------------------------------------------------------------------

    def at(self, seconds: float) -> World:
        """Everything due until then has happened."""
        while self.due and min(self.due.values()) <= b.at(seconds):
            address = min(self.due, key=lambda one: (self.due[one], one))
            moment = self.due.pop(address)
            self.take(book.Woken(*address, moment))
        self.now = seconds
        return self

    def finds(self, *troubles: str, event: float | None = None, **given: Any) -> World:
        """Sightings now, of events that happened just now, or at `event`."""
        for trouble in troubles:
            self.take(b.sighted(self.now if event is None else event, wall=self.now, trouble=trouble, **given))
        return self

    def decides(self, trouble: str, outcome: str, *, episode: int = 1, **given: Any) -> World:
        return self.take(b.outcome(self.id(trouble, episode), outcome, self.now, **given))

    def acknowledges(self, trouble: str, actor: str = "ann") -> World:
        return self.take(b.acknowledgement(self.id(trouble), self.now, actor))

    def assigns(self, trouble: str, to: str, actor: str = "ann") -> World:
        return self.take(b.r.Assignment(self.id(trouble), to, b.at(self.now), actor, "web"))

    def splits(self, trouble: str, actor: str = "ann") -> World:
        return self.take(b.r.Split(self.id(trouble), b.at(self.now), actor, "web"))

    def merges(self, trouble: str, parent: str, actor: str = "ann") -> World:
        return self.take(b.r.Merge(self.id(trouble), self.id(parent), b.at(self.now), actor, "web"))

    def expires(self, trouble: str, ordinal: int = 1) -> World:
        """Its pages so far were never sent: the book's rows say so when it is over or silenced."""
        return self.take(b.r.Expired(self.id(trouble), ordinal, b.at(self.now)))

    def silences(self, until: float, **given: Any) -> World:
        return self.take(b.silence(self.now, until, **given))

    def receives(self, trouble: str, kind: str, reference: str) -> World:
        answer = b.r.Done(reference, f"https://jira.example/browse/{reference}")
        return self.take(b.receipt(self.id(trouble), kind, self.now, answer=answer))

    def works(self, agent: str = "billing", *, event: float | None = None, **given: Any) -> World:
        """A minute of the agent's work is closed, at `event` or just now; with it the clock of all agents goes on."""
        at = b.at(self.now if event is None else event)
        releases = {given.pop("release", "7"): at}
        one = b.r.Advanced(agent, at, releases, environment="prod", seen=b.at(self.now))
        self.take(b.r.Advanced("", at, seen=b.at(self.now)))
        return self.take(msgspec.structs.replace(one, **given))

    def take(self, *records: Any) -> World:
        folded = self._folded(records)
        assert not folded.isolated, folded.isolated
        for address, memory in folded.memories.items():
            self.memories[address] = None if memory is None else msgspec.msgpack.encode(memory)
        for address, moment in folded.wakes.items():
            self.due.pop(address, None)
            if moment is not None:
                self.due[address] = moment
        for saying in folded.said:
            self._hear(saying)
        self._check()
        return self

    # -- what people see ----------------------------------------------------------------------------------------------

    def told(self, *expected: Told) -> World:
        left = [what for what in map(_told, self.unheard) if what]
        for one in expected:
            assert one in left, f"nobody was told {one}; left are {left}"
            del self.unheard[[_told(owed) for owed in self.unheard].index(one)]
            left.remove(one)
        return self

    def told_nothing_else(self) -> World:
        assert [_told(one) for one in self.unheard if _told(one)] == []
        self.unheard.clear()
        return self

    def told_nothing(self) -> World:
        return self.told_nothing_else()

    def incident(self, trouble: str, episode: int = 1) -> Incident:
        return self.incidents[self.id(trouble, episode)]

    def page(self, trouble: str, ordinal: int = 1, episode: int = 1) -> PageDoc:
        found = read(self.obligations[f"{self.id(trouble, episode)}:page:{ordinal}"].body)
        assert isinstance(found, PageDoc)
        return found

    def body(self, trouble: str, kind: str, ordinal: int = 1) -> dict[str, Any]:
        return self.obligations[f"{self.id(trouble)}:{kind}:{ordinal}"].body

    def held(self, trouble: str) -> tuple[str, ...]:
        return self.incident(trouble).held

    @staticmethod
    def id(trouble: str, episode: int = 1) -> str:
        return f"v1:tool.repeated_error:{trouble}#{episode}"

    # -- inside -------------------------------------------------------------------------------------------------------

    def _folded(self, records: Iterable[Any]) -> book.Folded:
        kinds = {decider.name: decider.memory for decider in self.deciders}
        memories: dict[tuple[str, str], Any] = {}
        while True:
            folded = book.fold(self.deciders, memories, records)
            if isinstance(folded, book.Folded):
                return folded
            assert folded.keys - memories.keys() == folded.keys, "asked again for what was given"
            for address in folded.keys:
                stored = self.memories.get(address)
                memories[address] = stored and msgspec.msgpack.decode(stored, type=kinds[address[0]])

    def _hear(self, saying: Any) -> None:
        if isinstance(saying, Incident):
            self.incidents[saying.id] = saying
        if isinstance(saying, Obligation):
            assert saying.id not in self.obligations, f"{saying.id} is owed twice"
            self.obligations[saying.id] = saying
            self.unheard.append(saying)

    def _check(self) -> None:
        """What must hold at every moment of every story."""
        live = [one.fingerprint for one in self.incidents.values() if one.stage not in OVER]
        assert len(live) == len(set(live)), "two open incidents of one fingerprint"
        for one in self.incidents.values():
            quiet = one.stage == "open" and "ticket" not in one.told
            assert not quiet or one.held, f"{one.id} is open, nobody was told and nobody says why"


def _told(owed: Obligation) -> Told | None:
    doc = owed.body
    name = owed.incident.removeprefix("v1:tool.repeated_error:")
    if not owed.incident:
        owner = owed.id.split(":")[1]
        return umbrella(owner) if owed.ordinal == 1 else Told("counted", owner, doc["lines"][1][1].split()[0])
    if owed.kind == "page" and doc["level"]:
        return Told("escalated", name, owed.destination)
    if owed.kind == "page" and not owed.destination.startswith("slack:"):
        return Told("elsewhere", name, f"{owed.destination} {doc['state']}")
    if owed.kind == "page" and owed.ordinal == 1:
        return Told("page", name)
    if owed.kind == "page" and (doc["mention"] or doc["oncall"]):
        return Told("paged again", name)
    if owed.kind == "ticket":
        return Told("ticket", name)
    if owed.kind == "page" and doc["state"] != "open":
        return Told("edited", name, doc["state"])
    if owed.kind == "comment":
        return Told("commented", name, _news(doc["lines"][0]) or doc["lines"][0].split()[2].rstrip(".,"))
    if owed.kind == "note":
        return Told("noted", name, _news(doc["headline"]))
    if owed.kind == "transition" and doc["to"] == "done":
        return Told("closed", name)
    if owed.kind == "transition" and doc["to"] == "open":
        return Told("reopened", name)
    if owed.kind == "transition":
        return Told("merged", name, doc["parent"].removeprefix("v1:tool.repeated_error:"))
    return None  # evidence, and the edit of an open page


def _news(text: str) -> str:
    return next((what for words, what in NEWS.items() if text.startswith(words)), "")
