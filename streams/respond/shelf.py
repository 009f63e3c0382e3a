"""The deciders' memories as rows, kept in this process while it is the writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ..database import Connection

Address = tuple[str, str]  # decider, key
KEPT_MAX = 50_000


class Shelf:
    """Right only while nobody else writes: the turn in the positions proves it with every transaction."""

    def __init__(self, deciders: Sequence[Any]) -> None:
        self._deciders = {decider.name: decider for decider in deciders}
        self.kept: dict[Address, Any] = {}

    async def load(self, conn: Connection, missing: Iterable[Address]) -> None:
        wanted = list(missing)
        cursor = await conn.execute(
            "SELECT m.decider, m.key, m.version, m.memory FROM memories m"
            " JOIN unnest(%s::text[], %s::text[]) AS w(decider, key) USING (decider, key)",
            [[decider for decider, _ in wanted], [key for _, key in wanted]],
        )
        self.kept.update(dict.fromkeys(wanted))
        for decider, key, version, raw in await cursor.fetchall():
            self.kept[decider, key] = self._read(self._deciders[decider], version, raw)

    async def write(self, conn: Connection, changed: Mapping[Address, Any]) -> None:
        """In the caller's transaction; `keep` them once it is committed."""
        forgotten = [address for address, memory in changed.items() if memory is None]
        written = [
            (decider, key, self._deciders[decider].version, msgspec.msgpack.encode(memory))
            for (decider, key), memory in changed.items()
            if memory is not None
        ]
        async with conn.cursor() as cursor:
            if forgotten:
                await cursor.executemany("DELETE FROM memories WHERE decider = %s AND key = %s", forgotten)
            if written:
                await cursor.executemany(
                    "INSERT INTO memories VALUES (%s, %s, %s, %s) ON CONFLICT (decider, key)"
                    " DO UPDATE SET version = excluded.version, memory = excluded.memory",
                    written,
                )

    def keep(self, changed: Mapping[Address, Any]) -> None:
        if len(self.kept) > KEPT_MAX:
            self.kept.clear()
        self.kept.update(changed)

    def _read(self, decider: Any, version: int, raw: bytes) -> Any:
        if version != decider.version and hasattr(decider, "upgrade"):
            return decider.upgrade(version, raw)
        return msgspec.msgpack.decode(raw, type=decider.memory)
