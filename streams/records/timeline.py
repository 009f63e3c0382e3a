"""The timeline's wire format: NDJSON of normalised events, their positions in a header; watermarks as one record."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from .agent import AgentEvent
from .envelope import Position
from .stream import IntakeRejected, Watermarks

Timed = AgentEvent | IntakeRejected
Headers = Iterable[tuple[str, bytes]]

POSITIONS = "positions"
KIND = "kind"
EVENTS = b"events"
WATERMARKS = b"watermarks"


class Origins(Struct, frozen=True, array_like=True):
    """Where the lines of one message stood: line i came from `sources[of[i]]` at `offsets[i]`."""

    sources: tuple[str, ...]
    of: tuple[int, ...]
    offsets: tuple[int, ...]


_origins = msgspec.msgpack.Decoder(Origins)
_events = msgspec.json.Decoder(Timed)
_watermarks = msgspec.json.Decoder(Watermarks)
_encoder = msgspec.json.Encoder(decimal_format="number")


def partition_of(key: str, partitions: int) -> int:
    """The partition of a root session or subject: the same in every process and release."""
    return zlib.crc32(key.encode()) % partitions


encode = _encoder.encode  # JSON of any record, money as exact numbers; bound, not wrapped: intake calls it per event


def pack(lines: list[bytes], positions: list[tuple[str, int]]) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Value and headers of one timeline message."""
    sources = tuple(dict.fromkeys(source for source, _ in positions))
    index = {source: n for n, source in enumerate(sources)}
    origins = Origins(sources, tuple(index[s] for s, _ in positions), tuple(offset for _, offset in positions))
    return pack_origins(lines, origins)


def pack_origins(lines: list[bytes], origins: Origins) -> tuple[bytes, list[tuple[str, bytes]]]:
    """The same, for those who have the positions in this shape already."""
    return b"\n".join(lines), [(KIND, EVENTS), (POSITIONS, msgspec.msgpack.encode(origins))]


def pack_watermarks(watermarks: Watermarks) -> tuple[bytes, list[tuple[str, bytes]]]:
    return _encoder.encode(watermarks), [(KIND, WATERMARKS)]


def unpack(value: bytes, headers: Headers) -> list[Timed] | Watermarks:
    """The events with their positions, in the order they were read, or the watermarks. Raises msgspec errors."""
    found = dict(headers)
    if found.get(KIND) == WATERMARKS:
        return _watermarks.decode(value)
    origins = _origins.decode(found[POSITIONS])
    events = [_events.decode(line) for line in value.split(b"\n")]
    if len(events) != len(origins.of):
        raise msgspec.ValidationError(f"{len(events)} events, {len(origins.of)} positions")
    for event, source, offset in zip(events, origins.of, origins.offsets, strict=True):
        event.position = Position(origins.sources[source], offset)
    return events
