"""Rows as the book writes them, for what learn and the pages read."""

from datetime import UTC, datetime

import msgspec
from psycopg.types.json import Jsonb

from streams.records import About, Excerpt, Incident

SEEN = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)


def sighted(number=1, **given):
    known = {
        "id": f"v1:tool.repeated_error:{number:016x}#1",
        "fingerprint": f"v1:tool.repeated_error:{number:016x}",
        "episode": 1,
        "detector": "tool.repeated_error",
        "title": "support-bot: tool /refund keeps failing: timeout",
        "subject": {"agent": "support-bot", "tool": "/refund"},
        "severity": "high",
        "stage": "open",
        "owner": "payments",
        "about": About(agent="support-bot", release="2026.09.3", environment="prod", session="s-1"),
        "first_seen": SEEN,
        "last_seen": SEEN,
        "opened_at": SEEN,
        "count": 3,
        "findings": 1,
        "sessions": ("s-1",),
        "releases": ("2026.09.3",),
        "evidence": (
            Excerpt("agent.events/1/0/7", "agent.tool.called.v1", SEEN, "s-1", "error", "/refund", "timeout"),
        ),
        "observed": "3 errors of /refund in the last 5 calls of a session",
        "expected": "fewer than 3",
    }
    return Incident(**{**known, **given})


async def book(conn, incident):
    """What the book does when an incident changed."""
    one = incident
    await conn.execute(
        """
        INSERT INTO incidents (id, fingerprint, episode, stage, severity, owner, detector, agent, releases, environment,
            parent, ticket, page, first_seen, last_seen, opened_at, count, outcome, body)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (id) DO UPDATE SET stage = EXCLUDED.stage, outcome = EXCLUDED.outcome, body = EXCLUDED.body,
            releases = EXCLUDED.releases, parent = EXCLUDED.parent, ticket = EXCLUDED.ticket, updated_at = now()
        """,
        (
            *(one.id, one.fingerprint, one.episode, one.stage, one.severity, one.owner, one.detector, one.about.agent),
            *(
                list(one.releases),
                one.about.environment,
                one.parent,
                one.ticket,
                one.page,
                one.first_seen,
                one.last_seen,
            ),
            *(one.opened_at, one.count, one.outcome, Jsonb(msgspec.to_builtins(one))),
        ),
    )


async def owe(conn, incident, kind="ticket", state="done", reference=None, **given):
    """An obligation with one attempt."""
    name = f"{incident.id}:{kind}:1"
    await conn.execute(
        """
        INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body, state, reference, url, why)
        VALUES (%s, %s, %s, 1, 'jira', 'jira:OPS', '{}', %s, %s, %s, %s)
        """,
        (name, incident.id, kind, state, reference, given.get("url"), given.get("why")),
    )
    await conn.execute(
        "INSERT INTO attempts (obligation, attempt, step, answered, answer, why) VALUES (%s, 1, 'call', now(), %s, %s)",
        (name, given.get("answer", "done"), given.get("why")),
    )
    return name
