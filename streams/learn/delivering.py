"""Writes down what CI says: releases, deployments, results of regression cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from ..database import Connection
from ..records import (
    CaseScored,
    DeliveryEvent,
    Deployed,
    GateRelease,
    Registration,
    ReleaseDeployed,
    ReleaseRegistered,
    ReleaseRegisteredData,
)
from .recording import tell

KNOWN = "SELECT body FROM releases WHERE (agent, release) = (%(agent)s, %(release)s) FOR UPDATE"
REGISTERED = """
INSERT INTO releases (agent, release, first_seen, registered_at, parents, aliases, body)
VALUES (%(agent)s, %(release)s, %(at)s, %(at)s, %(parents)s, %(aliases)s, %(body)s)
ON CONFLICT (agent, release) DO UPDATE SET
    registered_at = COALESCE(releases.registered_at, EXCLUDED.registered_at), -- it became known once
    first_seen = LEAST(releases.first_seen, EXCLUDED.first_seen),
    parents = EXCLUDED.parents, aliases = EXCLUDED.aliases, body = EXCLUDED.body
"""
DEPLOYED = """
INSERT INTO deployments VALUES
    (%(source)s, %(id)s, %(agent)s, %(release)s, %(environment)s, %(op)s, %(result)s, %(at)s, %(body)s)
ON CONFLICT DO NOTHING
"""
SEEN = (
    "INSERT INTO releases (agent, release, first_seen) VALUES (%(agent)s, %(release)s, %(at)s) ON CONFLICT DO NOTHING"
)
SCORED = """
INSERT INTO case_scores VALUES (%(source)s, %(id)s, %(agent)s, %(release)s, %(case_id)s, %(at)s, %(body)s)
ON CONFLICT DO NOTHING
"""
RELEASES = "SELECT agent, release, first_seen, registered_at, parents, aliases, body FROM releases"
NEWEST = f"""
{RELEASES} WHERE %(agent)s::text IS NULL OR agent = %(agent)s
ORDER BY COALESCE(registered_at, first_seen) DESC, agent, release LIMIT %(limit)s
"""
CHUNK = 500  # rows at once: whoever reads a large snapshot still answers meanwhile

Merge = Callable[[Registration | None, ReleaseRegisteredData, datetime], Registration]


async def write(conn: Connection, event: DeliveryEvent, at: datetime, merge: Merge) -> bool:
    """Inside the caller's transaction; `at` is when it counts as said. False: it was known already."""
    data = event.data
    known = {"source": event.source, "id": event.id, "agent": data.agent, "release": data.release, "at": at}
    if isinstance(event, ReleaseRegistered):
        return await _registered(conn, event.data, known, merge)
    values = {**known, "body": Jsonb(msgspec.to_builtins(data))}
    await conn.execute(SEEN, known)
    if isinstance(event, ReleaseDeployed):
        more = {"environment": event.data.environment, "op": event.data.op, "result": event.data.result.value}
        new = (await conn.execute(DEPLOYED, {**values, **more})).rowcount > 0
        if new:
            await tell(conn, _deployed(event, at))
        return new
    assert isinstance(event, CaseScored), "there are three kinds"
    return (await conn.execute(SCORED, {**values, "case_id": event.data.case_id})).rowcount > 0


def _deployed(event: ReleaseDeployed, at: datetime) -> Deployed:
    data, by = event.data, event.data.decided_by
    return Deployed(
        agent=data.agent,
        release=data.release,
        environment=data.environment,
        op=data.op,
        result=data.result.value,
        at=at,
        id=f"{event.source}|{event.id}",
        decided_by=f"{by.kind}:{by.id}" if by and by.id else by.kind if by else "",
        url=data.url or "",
    )


async def _registered(conn: Connection, data: ReleaseRegisteredData, known: dict[str, Any], merge: Merge) -> bool:
    row = await (await conn.execute(KNOWN, known)).fetchone()
    before = msgspec.convert(row[0], Registration) if row and row[0] else None
    after = merge(before, data, known["at"])
    body = Jsonb(msgspec.to_builtins(after))
    await conn.execute(
        REGISTERED, {**known, "parents": list(after.parents), "aliases": list(after.aliases), "body": body}
    )
    return after != before


async def releases(conn: Connection) -> list[GateRelease]:
    """Every release of every agent, as gates look at them. An image's digest is a name of it, too."""
    return [_release(*row) async for row in conn.cursor().stream(RELEASES, size=CHUNK)]


async def releases_of(conn: Connection, agent: str | None, limit: int | None = None) -> list[GateRelease]:
    """The newest first."""
    rows = await (await conn.execute(NEWEST, {"agent": agent, "limit": limit})).fetchall()
    return [_release(*row) for row in rows]


def _release(agent: str, release: str, first_seen: datetime, registered_at: datetime | None, *more: Any) -> GateRelease:
    parents, aliases, body = more
    known = msgspec.convert(body, Registration) if body else Registration()
    return GateRelease(
        agent=agent,
        release=release,
        first_seen=first_seen,
        registered_at=registered_at,
        parents=tuple(parents),
        aliases=(*aliases, *((known.digest,) if known.digest else ())),
        commit=known.commit or "",
        author=(known.author.id or "") if known.author else "",
        fixes=known.fixes,
        registered=registered_at is not None,
        order=known.order,
        conflict=known.conflict,
        implied=known.implied,
    )
