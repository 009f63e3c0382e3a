"""Closed minutes of agents, as the book reads them: each batch comes to how far every agent has worked on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from ..records import Advanced, Exposure, Position
from ..records.timeline import encode
from ..settle import LogReader, Read
from .inputs import Input, refused, storable

BATCH_MAX = 1000  # what is read at once comes to one record per agent, however many minutes those are
POLL_S = 1.0

_exposure = msgspec.json.Decoder(Exposure)


class Minutes:
    """Reads the topic of exposure beside the findings. One without a name says nothing."""

    def __init__(self, bootstrap: str, topic: str, epoch: int, minute_s: int) -> None:
        self._epoch, self._minute_s = epoch, minute_s
        self._reader = LogReader(bootstrap, (topic,)) if topic else None
        self._looked = 0.0

    async def start(self, positions: Mapping[str, int]) -> None:
        if self._reader is not None:
            await self._reader.start(positions)

    async def stop(self) -> None:
        if self._reader is not None:
            await self._reader.stop()

    async def batch(self, now: datetime) -> list[Input]:
        """Seldom, and at once where there may be more."""
        clock = time.monotonic()
        if self._reader is None or clock - self._looked < POLL_S:
            return []
        reads = await self._reader.batch(BATCH_MAX, 0.0)
        if len(reads) < BATCH_MAX:
            self._looked = clock
        return condensed(reads, self._epoch, self._minute_s, now)


def condensed(reads: Iterable[Read], epoch: int, minute_s: int, now: datetime) -> list[Input]:
    """How far agents are by the end of it; what cannot be read; and for each partition that it was read."""
    inputs: list[Input] = []
    exposures: list[Exposure] = []
    last: dict[str, Input] = {}
    for read in reads:
        topic, _, partition = read.part.rpartition("/")
        found = Input(None, Position(f"{topic}/{epoch}/{partition}", read.offset), read.value, "exposure", read)
        last[read.part] = found
        try:
            exposure = _exposure.decode(storable(read.value or b""))
            _end(exposure, minute_s)
        except (msgspec.DecodeError, UnicodeDecodeError, OverflowError) as error:
            inputs.append(refused(found, error))
        else:
            exposures.append(exposure)
    if last:
        where = max(last.values(), key=lambda one: one.position.offset).position
        said = advanced(exposures, minute_s, now)
        inputs += [Input(record, where, encode(record), "exposure") for record in said]
    return [*inputs, *(one._replace(raw=None, kind="") for one in last.values())]


def advanced(exposures: Iterable[Exposure], minute_s: int, seen: datetime) -> list[Advanced]:
    """One per agent and environment, and one for all together."""
    found: dict[tuple[str, str], Advanced] = {}
    newest: datetime | None = None
    for one in exposures:
        at = _end(one, minute_s)
        newest = max(newest or at, at)
        if not one.agent:
            continue
        place = (one.agent, one.environment)
        known = found.get(place) or Advanced(one.agent, at, environment=one.environment, seen=seen)
        found[place] = _with(known, one, at)
    return [*found.values(), *((Advanced("", newest, seen=seen),) if newest else ())]


def _with(known: Advanced, one: Exposure, at: datetime) -> Advanced:
    releases = known.releases
    if one.release and releases.get(one.release, at) >= one.minute:
        releases = {**releases, one.release: one.minute}
    config = {**one.config, **known.config} if at < known.at else {**known.config, **one.config}
    return msgspec.structs.replace(known, at=max(known.at, at), releases=releases, config=config)


def _end(exposure: Exposure, minute_s: int) -> datetime:
    return exposure.minute + timedelta(seconds=minute_s)
