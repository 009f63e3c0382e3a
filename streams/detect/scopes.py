"""The second stage: agents, releases, evaluators over the facts of sessions."""

from __future__ import annotations

from typing import Any

import msgspec

from ..records import ClockForwarded, Exposure
from ..records.timeline import encode
from . import facts as wire
from .clock import ScopeClock, forwarded
from .ports import Measured, Message, Saying
from .stage import Folding

_encoder = msgspec.msgpack.Encoder()
_clocks = msgspec.msgpack.Decoder(ScopeClock)


class Scopes(Folding):
    """Folds the facts: says findings and exposure."""

    topic = "tocsin.facts"

    def _one(self, message: Message) -> list[Saying]:
        try:
            records = wire.unpack(message.value or b"")
        except Exception as error:  # as above
            return [self._undecodable(message, error)]
        said: list[Saying] = []
        for record in records:
            found = (
                self._ticked(message, record)
                if isinstance(record, ClockForwarded)
                else self.fold.facts(record, message.partition)
            )
            self.counts.records += 1
            self.measured += [saying for saying in found if isinstance(saying, Measured)]
            said += [self._said(saying) for saying in found if not isinstance(saying, Measured)]
            said += self._isolated(message)
        return said

    def _ticked(self, message: Message, report: ClockForwarded) -> list[Any]:
        known = self._clock(message.partition)
        before = _clocks.decode(known) if known else ScopeClock()
        after = forwarded(before, report)
        if after != before:
            self._clock_writes[message.partition] = _encoder.encode(after)
        if after.at_s is None:
            return []
        self.clock_s[message.partition] = after.at_s
        return self.fold.tick(message.partition, after.at_s) if after.at_s != before.at_s else []

    def _said(self, saying: Any) -> Saying:
        if isinstance(saying, Exposure):
            return Saying("exposure", encode(saying), saying.key.encode())
        return self._finding(saying)

    def _at_s(self, clock: bytes) -> float | None:
        return _clocks.decode(clock).at_s
