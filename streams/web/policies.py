"""Which policies were in force, as the book wrote them down."""

from __future__ import annotations

import msgspec

from ..database import Connection
from ..records import PolicyChanged
from .documents import PolicyDocument

CHANGES = "SELECT record FROM policy_changes ORDER BY number DESC LIMIT %s"
CONTENT = "SELECT digest, at, content FROM policies WHERE digest = %s"
_changed = msgspec.json.Decoder(PolicyChanged)


async def changes(conn: Connection, limit: int) -> tuple[PolicyChanged, ...]:
    """The newest first."""
    rows = await (await conn.execute(CHANGES, [limit])).fetchall()
    return tuple(_changed.decode(row[0]) for row in rows)


async def content(conn: Connection, digest: str) -> PolicyDocument | None:
    row = await (await conn.execute(CONTENT, [digest])).fetchone()
    return PolicyDocument(row[0], row[1], msgspec.json.decode(row[2])) if row else None
