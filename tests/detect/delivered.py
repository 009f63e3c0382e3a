"""What a delivered story comes to: both stages over stores of bytes, crashing now and then; findings, the book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

import msgspec
from detect.delivery import IN_ORDER, PARTITIONS, Intake, Line, Way, line, told
from detect.truth import Kept

from streams.detect.catalogue import scope_deciders, session_deciders
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.ports import Folded, Message, Saying
from streams.detect.scopes import Scopes
from streams.detect.sessions import Sessions
from streams.detect.shelf import BYTES_MAX
from streams.policy import Policy
from streams.records import SEVERITIES, Fact, Finding, Incident, Obligation
from streams.replaying.book import Book

GROUP_MAX = 64
WAITED = timedelta(hours=1)

_findings = msgspec.json.Decoder(Finding)


class Detect:
    """Both stages of one process after another, over the same stores and logs."""

    def __init__(self, rules: Policy, way: Way = IN_ORDER) -> None:
        self.rules, self.way, self.chance = rules, way, Random(f"crashes {way.seed}")
        self.kept = (Kept(), Kept())
        self.facts: list[Message] = []
        self.said: list[Saying] = []
        self.starts = 0
        self.isolated: dict[str, int] = {}
        self.largest = [0, 0]  # bytes of a shelf, by stage
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)
        self._read, self._committed = [0, 0], [0, 0]
        self._start()

    def _start(self) -> None:
        rules, (sessions, scopes) = self.rules, self.kept
        fold = Fold(session_deciders(rules.detectors, rules.given), sessions.get, rules.digest)
        wider = Fold(scope_deciders(rules.detectors, rules.given), scopes.get, rules.digest, SCOPE_IDLE_S)
        self.stages = (Sessions(fold, sessions.get, PARTITIONS, PARTITIONS), Scopes(wider, scopes.get))
        if self.starts:
            for stage, kept in zip(self.stages, self.kept, strict=True):
                stage.rebuild(kept)
        self.starts += 1
        self._read = list(self._committed)

    def read(self, timeline: Sequence[Message]) -> None:
        """To the end, however often it has to begin again."""
        while self._read[0] < len(timeline) or self._read[1] < len(self.facts):
            if self._read[0] < len(timeline) and not self._group(0, timeline):
                continue
            while self._read[1] < len(self.facts) and self._group(1, self.facts):
                pass

    def _group(self, n: int, log: Sequence[Message]) -> bool:
        """False: the process died in it."""
        start, size = self._read[n], GROUP_MAX
        if self.way.crashes:
            size = self.chance.randrange(1, GROUP_MAX)
        group = log[start : start + size]
        folded = self.stages[n].group(group)
        crash = self.chance.random() < self.way.crashes
        if crash and self.chance.random() < 0.2:
            self._died()
            return False
        self._say(n, folded)
        if crash:
            writes = {p: items[: self.chance.randrange(len(items) + 1)] for p, items in folded.writes.items()}
            self._remember(n, Folded([], writes))
            self._died()
            return False
        self._remember(n, folded)
        self._read[n] = start + len(group)
        if not self.way.crashes or self.chance.random() < 0.3:
            self._committed[n] = self._read[n]
        return True

    def _say(self, n: int, folded: Folded) -> None:
        for saying in folded.said:
            if saying.to == "facts":
                partition = saying.partition or 0
                self.facts.append(Message(partition, self._offsets[partition], None, saying.value, (), 0))
                self._offsets[partition] += 1
            else:
                self.said.append(saying)
        for name, count in self.stages[n].counts.isolated.items():
            self.isolated[name] = max(count, self.isolated.get(name, 0))

    def _remember(self, n: int, folded: Folded) -> None:
        sizes = (len(value) for items in folded.writes.values() for _, value in items if value is not None)
        self.largest[n] = max(self.largest[n], *sizes, 0)
        self.kept[n].write(folded)

    def _died(self) -> None:
        self._start()

    def findings(self) -> list[Finding]:
        return [_findings.decode(one.value or b"") for one in self.said if one.to == "findings"]


class Seen(NamedTuple):
    """Of a whole delivery."""

    findings: list[Finding]
    incidents: list[Incident]
    owed: list[Obligation]
    detect: Detect
    rejected: Counter[str]  # by intake, and why


def delivered(lines: Sequence[Line], rules: Policy, way: Way = IN_ORDER) -> Seen:
    detect = Detect(rules, way)
    intake = Intake(way)
    detect.read(intake.take(lines))
    found = detect.findings()
    return Seen(found, *booked(found, rules), detect, intake.rejected)


def told_and_seen(facts: Sequence[Fact], rules: Policy, way: Way = IN_ORDER) -> Seen:
    """Of the second stage alone."""
    detect = Detect(rules, way)
    detect.facts = told(facts, way)
    detect.read(())
    found = detect.findings()
    return Seen(found, *booked(found, rules), detect, Counter())


def booked(found: Sequence[Finding], rules: Policy) -> tuple[list[Incident], list[Obligation]]:
    """What the book makes of findings that reach it as they are said, and whom it owes what within the hour."""
    book, owed = Book(rules), []
    last = max((one.at for one in found), default=None)
    for finding in found:
        owed += [*book.wake(finding.at), *book.sighted(finding)]
    owed += book.wake(last + WAITED) if last else ()
    assert not book.isolated
    return list(book.incidents.values()), [one for one in owed if isinstance(one, Obligation)]


def worst(found: Iterable[Finding]) -> dict[tuple[str, str], str]:
    """The highest severity by detector and fingerprint."""
    seen: dict[tuple[str, str], str] = {}
    for one in found:
        name = (one.detector, one.fingerprint)
        seen[name] = min(one.severity, seen.get(name, one.severity), key=SEVERITIES.index)
    return seen


def booked_as(incidents: Iterable[Incident]) -> set[tuple[str, str, str, str]]:
    return {(one.detector, one.fingerprint, one.severity, one.owner) for one in incidents}


def digested(events: Iterable[Any], rules: Policy, way: Way = IN_ORDER) -> Seen:
    """Whatever the events: nothing raises, and no shelf is larger than half of what may be written."""
    lines = sorted((one if isinstance(one, Line) else line(one) for one in events), key=lambda one: one.at)
    found = delivered(lines, rules, way)
    intact(found)
    return found


def intact(found: Seen) -> None:
    assert found.detect.isolated == {}
    assert [stage.counts.undecodable for stage in found.detect.stages] == [0, 0]
    assert max(found.detect.largest) <= BYTES_MAX // 2


def speaking(found: Seen) -> set[str]:
    return {one.detector for one in found.incidents}
