"""Controls as learn writes them, for those that read them."""

from datetime import UTC, datetime

import msgspec
from psycopg.types.json import Jsonb

from streams.records import Control, Limits, Scope

AT = datetime(2026, 9, 14, 10, 0, tzinfo=UTC)


def control(kind="agent", state="open", *, agent="support-bot", name="", **given):
    """A control of one scope."""
    limits = {key: given.pop(key) for key in ("max_steps", "tool_deny") if key in given}
    if limits:
        given = {"ratio": 0.0, **given}  # a limit alone stops nothing else
    agent = "" if kind in ("global", "tenant", "tool") else agent
    known = {"seq": 1, "issued_at": AT, "limits": Limits(**limits)}
    return Control(scope=Scope(kind, agent, name), state=state, **{**known, **given})


async def put(conn, *controls):
    for one in controls:
        await conn.execute(
            "INSERT INTO controls (scope, state, seq, not_after, body) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (scope) DO UPDATE SET state = EXCLUDED.state, body = EXCLUDED.body",
            [one.scope.key, one.state, one.seq, one.not_after, Jsonb(msgspec.to_builtins(one))],
        )
