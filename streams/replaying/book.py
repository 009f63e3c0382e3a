"""The incident book in memory: the same deciders as the database's, the wall clock is the replay's."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from ..detect.catalogue import DETECTORS
from ..policy import Policy
from ..records import Exposure, Finding, Incident, Obligation, Sighted
from ..respond import book
from ..respond.minutes import advanced
from ..respond.routing import CANARY, BookValues

Address = tuple[str, str]  # decider and key


class Memories(dict[Address, Any]):
    """Everything is at hand here, so what is absent is None: the fold never has to ask for more."""

    def get(self, address: Address, default: Any = None) -> Any:  # noqa: ARG002
        return super().get(address)

    def __missing__(self, address: Address) -> None:
        return None


class Book:
    """What people would be owed. Nobody answers here: no obligation ever gets a receipt."""

    def __init__(self, policy: Policy, pages: str = "") -> None:
        self._deciders = book.deciders(values_of(policy, pages))
        self._memories = Memories()
        self._wakes: dict[Address, datetime] = {}
        self._due: list[tuple[datetime, Address]] = []
        self._now: datetime | None = None
        self._minute_s = policy.time.minute_s
        self.incidents: dict[str, Incident] = {}
        self.isolated: list[book.Isolated] = []  # deciders that raised; whoever reads this empties it

    def sighted(self, finding: Finding) -> Iterator[Obligation | Incident]:
        yield from self.take(Sighted(finding, self._at(finding.at)))

    def exposure(self, exposure: Exposure) -> Iterator[Obligation | Incident]:
        """A closed minute: so far its agent has worked on."""
        for record in advanced((exposure,), self._minute_s, self._at(exposure.at)):
            yield from self.take(record)

    def take(self, record: Any) -> Iterator[Obligation | Incident]:
        """What the deciders say to a sighting or to what a person did; the wall clock goes on to then."""
        self._at(record.at)
        folded = book.fold(self._deciders, self._memories, (record,))
        assert isinstance(folded, book.Folded)
        self.isolated += folded.isolated
        yield from self._kept(folded)

    def wake(self, at: datetime) -> Iterator[Obligation | Incident]:
        """Everything the deciders asked to be woken for until `at`."""
        while self._due and self._due[0][0] <= at:
            due, address = heapq.heappop(self._due)
            if self._wakes.get(address) == due:
                del self._wakes[address]
                yield from self.take(book.Woken(*address, due))

    def _kept(self, folded: book.Folded) -> Iterator[Obligation | Incident]:
        for address, memory in folded.memories.items():
            if memory is None:
                self._memories.pop(address, None)
            else:
                self._memories[address] = memory
        for address, wake in folded.wakes.items():
            self._wakes.pop(address, None)
            if wake is not None:
                self._wakes[address] = wake
                heapq.heappush(self._due, (wake, address))
        for said in folded.said:
            if isinstance(said, Incident):
                self.incidents[said.id] = said
                yield said
            elif isinstance(said, Obligation):
                yield said

    def _at(self, at: datetime) -> datetime:
        """Never back: a scope's finding is about a bucket that ended a little earlier."""
        self._now = max(self._now or at, at)
        return self._now


def values_of(policy: Policy, pages: str) -> BookValues:
    shipped = {detector.name: detector.runbook for detector in DETECTORS}
    runbooks = shipped | {name: stanza.runbook for name, stanza in policy.detectors.items() if stanza.runbook}
    values = msgspec.convert(policy, BookValues, from_attributes=True)
    named = {name: stanza.owner for name, stanza in policy.detectors.items() if stanza.owner}
    more = {
        "runbooks": runbooks,
        "detector_owners": named | {CANARY: CANARY},
        "controls": {name: stanza.control for name, stanza in policy.detectors.items() if stanza.control},
        "pages_url": pages,
        "power_start": policy.calibration.starts,
        "policy": policy.digest,
    }
    return msgspec.structs.replace(values, **more)
