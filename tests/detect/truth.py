"""The two stages without Faust: what detection comes to when nothing goes wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from streams import policy
from streams.detect.catalogue import scope_deciders, session_deciders
from streams.detect.fold import SCOPE_IDLE_S, Fold
from streams.detect.ports import Folded, Message, Saying
from streams.detect.scopes import Scopes
from streams.detect.sessions import Sessions
from streams.records import Finding

PARTITIONS = 4
_findings = msgspec.json.Decoder(Finding)


class Kept(dict[str, bytes]):
    def write(self, folded: Folded) -> None:
        for items in folded.writes.values():
            for key, value in items:
                if value is None:
                    self.pop(key, None)
                else:
                    self[key] = value


class Pair:
    """Sessions and scopes over stores of their own; `feed` is one group of the timeline."""

    def __init__(self, rules: policy.Policy | None = None, deciders: Iterable[Any] = ()) -> None:
        rules = rules or policy.load()
        self.sessions_kept, self.scopes_kept = Kept(), Kept()
        found = (*session_deciders(rules.detectors, rules.given), *deciders)
        self.sessions = Sessions(
            Fold(found, self.sessions_kept.get, rules.digest), self.sessions_kept.get, PARTITIONS, PARTITIONS
        )
        wider = Fold(scope_deciders(rules.detectors, rules.given), self.scopes_kept.get, rules.digest, SCOPE_IDLE_S)
        self.scopes = Scopes(wider, self.scopes_kept.get)
        self._offsets = dict.fromkeys(range(PARTITIONS), 0)

    def feed(self, messages: Iterable[Message]) -> list[Saying]:
        folded = self.sessions.group(messages)
        self.sessions_kept.write(folded)
        said = list(folded.said)
        for saying in folded.said:
            if saying.to == "facts":
                assert saying.partition is not None
                wider = self.scopes.group([self._message(saying.partition, saying.value)])
                self.scopes_kept.write(wider)
                said += wider.said
        return said

    def _message(self, partition: int, value: bytes | None) -> Message:
        self._offsets[partition] += 1
        return Message(partition, self._offsets[partition], None, value, (), 0)


def messages(written: Iterable[tuple[int, bytes, list[tuple[str, bytes]]]]) -> list[Message]:
    """As Kafka would number them."""
    offsets = dict.fromkeys(range(PARTITIONS), 0)
    found = []
    for partition, value, headers in written:
        found.append(Message(partition, offsets[partition], None, value, headers, 0))
        offsets[partition] += 1
    return found


def findings(said: Iterable[Saying]) -> list[Finding]:
    return [_findings.decode(saying.value or b"") for saying in said if saying.to == "findings"]
