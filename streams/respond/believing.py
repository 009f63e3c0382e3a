"""Writes down which policy is in force: its content once, a change of it once, in the writer's own transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from ..database import Connection
from ..records import DIFFERENCES_MAX, PolicyChanged, differences
from ..records.timeline import encode
from ..settle import publish
from .carry import nothing

log = logging.getLogger(__name__)

LAST = """
SELECT c.number, c.after, p.content FROM policy_changes c JOIN policies p ON p.digest = c.after
ORDER BY c.number DESC LIMIT 1
"""
KNOWN = "INSERT INTO policies (digest, content) VALUES (%s, %s) ON CONFLICT DO NOTHING"
CHANGE = "INSERT INTO policy_changes (number, before, after, at, record) VALUES (%s, %s, %s, %s, %s)"


class Believed(NamedTuple):
    """A policy as it is written down."""

    digest: str
    name: str
    content: dict[str, Any]


async def noted(
    conn: Connection, believed: Believed, topic: str, reached: Callable[[str], None] = nothing
) -> PolicyChanged | None:
    """The change, if this policy is not the one that was in force last. A second call has nothing to say."""
    async with conn.transaction():
        last = await (await conn.execute(LAST)).fetchone()
        number, digest, content = last or (0, None, b"{}")
        if digest == believed.digest:
            return None
        found = differences(msgspec.json.decode(content), believed.content) if last else ()
        changed = PolicyChanged(
            number=number + 1,
            at=datetime.now(UTC),
            name=believed.name,
            after=believed.digest,
            before=digest,
            differences=found[:DIFFERENCES_MAX],
            more=max(0, len(found) - DIFFERENCES_MAX),
        )
        document = encode(changed)
        await conn.execute(KNOWN, [believed.digest, msgspec.json.encode(believed.content)])
        await conn.execute(CHANGE, [changed.number, digest, believed.digest, changed.at, document])
        await publish(conn, topic, believed.digest, document)
        reached("policy")
    log.info("policy %s is in force: %s values differ from the one before", believed.digest, len(found))
    return changed
