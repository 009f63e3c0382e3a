"""Small tables inside memories: a hash of eight bytes and a time each, as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from struct import Struct

HASH = 8
SHORT = 4  # enough to tell a few hundred names of one session apart
_ROW = Struct(">8sd")
_TIME = Struct(">d")
ROW = _ROW.size


def key(*words: str) -> bytes:
    return blake2b("\x1f".join(words).encode(), digest_size=HASH).digest()


@lru_cache(maxsize=4096)  # of names of at most 1024 characters, so 4 MB at the very worst
def short(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=SHORT).digest()


def has(hashes: bytes, one: bytes) -> bool:
    """Whether `one` is among hashes of its size."""
    size = len(one)
    at = hashes.find(one)
    while at % size and at > 0:  # across two of them: neither
        at = hashes.find(one, at + 1)
    return at >= 0


def split(hashes: bytes) -> Iterator[bytes]:
    return (hashes[at : at + HASH] for at in range(0, len(hashes), HASH))


def rows(table: bytes) -> Iterator[tuple[bytes, float]]:
    return _ROW.iter_unpack(table)


def since(table: bytes, one: bytes) -> float | None:
    """The time beside `one`, in a table that has it once."""
    at = _place(table, one)
    return None if at < 0 else float(_TIME.unpack_from(table, at + HASH)[0])


def earliest(table: bytes, one: bytes, at_s: float, most: int) -> bytes:
    """The table with the earliest time of `one`; the very same when it knows that already. The oldest rows give way."""
    at = _place(table, one)
    if at >= 0:
        if float(_TIME.unpack_from(table, at + HASH)[0]) <= at_s:
            return table
        return table[: at + HASH] + _TIME.pack(at_s) + table[at + ROW :]
    return added(table, one, at_s, most)


def added(table: bytes, one: bytes, at_s: float, most: int) -> bytes:
    """One more row, beside others of the same hash; the oldest give way."""
    table += _ROW.pack(one, at_s)
    if len(table) <= most * ROW:
        return table
    kept = sorted(rows(table), key=lambda row: (abs(row[1]), row))[-most:]
    return b"".join(_ROW.pack(*row) for row in kept)


def _place(table: bytes, one: bytes) -> int:
    at = table.find(one)
    while at % ROW and at > 0:
        at = table.find(one, at + 1)
    return at
