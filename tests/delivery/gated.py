"""A gate that has releases in each of its states, and decisions as its document has them."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from streams import policy as policies
from streams.records import (
    SCORES,
    Freshness,
    GateDecision,
    GateLinks,
    PolicyDigest,
    Reason,
)
from streams.settings import Settings
from streams.web.app import run

AGENT = "support-bot"
ALLOWED, BLOCKED, UNKNOWN = "2026.09.3", "2026.09.4", "9.9.9"
ALIAS = "6d4cf56db6"  # as Argo's pod template hash names the allowed one
TICKET = "https://jira.example/browse/OPS-1"
GOING = {"allow": (True, False), "warn": (True, False), "hold": (False, False), "block": (False, True)}


async def filled(site):
    """Enough clean sessions of one release, a trouble in another, and a clock that goes."""
    await site.ran(400, ALLOWED)
    await site.ran(400, BLOCKED)
    await site.conn.execute(
        "INSERT INTO releases (agent, release, first_seen, registered_at, aliases) VALUES (%s, %s, now(), now(), %s)",
        [AGENT, ALLOWED, [ALIAS]],
    )
    await site.book(1, releases=(BLOCKED,), ticket="OPS-1", ticket_url=TICKET, severity="critical")
    await fresh(site)
    return site


async def fresh(site):
    await site.clock(datetime.now(UTC) - timedelta(seconds=5))
    await site.read()


def decision(state, **given):
    """A decision of now in `state`."""
    now = datetime.now(UTC)
    allow, block = GOING[state]
    known = {
        "decision_id": "d-1",
        "gate": "promotion",
        "agent": AGENT,
        "environment": "prod",
        "release": ALLOWED,
        "baseline": None,
        "state": state,
        "allow": allow,
        "block": block,
        "score": SCORES[state],
        "progress": "312 of about 550 sessions",
        "summary": "Said in one sentence.",
        "reasons": (
            Reason("incident_open", state, "incident", {"incident": "i-1", "title": "a <b>bad</b> & odd one"}),
        ),
        "as_of": now,
        "valid_until": now + timedelta(seconds=60),
        "retry_after_s": 60,
        "freshness": Freshness(now, 1.0, stale=False),
        "policy": PolicyDigest("default", "sha256:0"),
        "inputs_digest": "sha256:1",
        "links": GateLinks("http://localhost:8080/v1/decisions/d-1", "http://localhost:8080/gates", (TICKET,)),
    }
    return GateDecision(**{**known, **given})


@asynccontextmanager
async def served(database, port, **given):
    """The role on a port of its own, for clients that are programs; its address."""
    stop = asyncio.Event()
    settings = Settings(database=database, web_port=port, **given)
    role = asyncio.create_task(run(settings, policies.load(), CollectorRegistry(), lambda: None, stop))
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while loop.time() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            break
        except OSError:
            await asyncio.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        await asyncio.wait_for(role, 20)
