"""Obligations, sandbox receivers and carriers with short times, as the tests of the outside need them."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from psycopg.types.json import Jsonb

from streams.database import connect
from streams.records import Obligation
from streams.respond.carry import Carrier, Pace, nothing
from streams.respond.messages import CommentDoc, Doc, EvidenceDoc, PageDoc, TicketDoc, TransitionDoc, body
from streams.respond.meters import Meters
from streams.respond.receivers import jira_wire, slack_wire
from streams.respond.receivers.jira import Jira
from streams.respond.receivers.protocol import Receiver
from streams.respond.receivers.slack import Slack
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack
from streams.sandbox.slack.state import number
from streams.settings import Secret

CANARY = "canary-7c41f0e5-never-shown"
SLACK_CANARY = f"xoxb-{CANARY}"
TIMEOUT_S = 0.5
PACE = Pace(call_timeout_s=TIMEOUT_S, ask_after_s=0.7, poll_s=0.05, audits_s=(0.1, 0.2))
CHANNEL = number("C", "incidents")
HOSTILE = "<!channel> <https://evil.example|click> & *bold* {code}x{code} [~admin] h1. \\\\ @here\u202e"


def ticket(incident: str = "i1", **given: Any) -> Obligation:
    known: dict[str, Any] = {
        "incident": incident, "deployment": "test", "fingerprint": "v1:x:1", "seed": f"test/{incident}", "severity": "high",
        "project": "OPS", "issue_type": "Task", "priority": "High", "summary": "A tool fails",
        "sections": (("What is wrong", ("It fails.",)),), "fields": (("Agent", "billing"),), "evidence": ("one", "two"),
        "links": (("Incident", "https://tocsin.example/incidents/1"),),
    }  # fmt: skip
    return _owed((incident, "ticket", 1), "jira:OPS", TicketDoc(**{**known, **given}))


def page(incident: str = "i1", ordinal: int = 1, *, after: tuple[str, ...] = (), **given: Any) -> Obligation:
    known: dict[str, Any] = {
        "incident": incident, "deployment": "test", "severity": "high", "state": "open", "headline": "High: a tool fails",
        "lines": (("Agent", "billing"), ("Owner", "platform")), "evidence": ("one",), "steps": ("look",), "todo": "Act.",
        "links": (("Incident", "https://tocsin.example/incidents/1"),), "ticket": f"{incident}:ticket:1",
        "ticket_pending": "Ticket: being opened", "mention": "S0ONCALL" if ordinal == 1 else "",
        "actions": ("acknowledge", "fixed"),
    }  # fmt: skip
    return _owed((incident, "page", ordinal), f"slack:{CHANNEL}", PageDoc(**{**known, **given}), after)


def evidence(incident: str = "i1") -> Obligation:
    doc = EvidenceDoc(
        incident=incident, deployment="test", ticket=f"{incident}:ticket:1", fingerprint="v1:x:1", detector="tool.error",
        title="A tool fails", subject={"agent": "billing"}, first_seen="", last_seen="", sessions=("s1",), releases=("7",),
        excerpts=({"position": "agent.events/1/0/7"},),
    )  # fmt: skip
    return _owed((incident, "evidence", 1), "jira:OPS", doc, (f"{incident}:ticket:1",))


def comment(incident: str = "i1", *lines: str) -> Obligation:
    doc = CommentDoc(
        incident=incident, deployment="test", ticket=f"{incident}:ticket:1", lines=lines or ("Understood.",)
    )
    return _owed((incident, "comment", 1), "jira:OPS", doc, (f"{incident}:ticket:1",))


def duplicate(incident: str, parent: str) -> Obligation:
    tickets = (f"{incident}:ticket:1", f"{parent}:ticket:1")
    doc = TransitionDoc(
        incident=incident, deployment="test", to="duplicate", ticket=tickets[0], parent=parent, parent_ticket=tickets[1],
        lines=("Part of a bigger one.",),
    )  # fmt: skip
    return _owed((incident, "transition", 1), "jira:OPS", doc, tickets)


def _owed(name: tuple[str, Any, int], destination: str, doc: Doc, after: tuple[str, ...] = ()) -> Obligation:
    return Obligation(":".join(map(str, name)), *name, destination, body(doc), after)


async def promise(uri: str, *obligations: Obligation) -> None:
    async with await connect(uri) as conn:
        for one in obligations:
            await conn.execute(
                "INSERT INTO obligations (id, incident, kind, ordinal, receiver, destination, body, after)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [one.id, one.incident, one.kind, one.ordinal, one.destination.partition(":")[0], one.destination,
                 Jsonb(one.body), list(one.after)],
            )  # fmt: skip


async def rows(uri: str, query: str, *given: Any) -> list[tuple[Any, ...]]:
    async with await connect(uri) as conn:
        return await (await conn.execute(query.encode(), given)).fetchall()


async def states(uri: str) -> dict[str, str]:
    return dict(await rows(uri, "SELECT id, state FROM obligations"))


async def receipts(uri: str) -> list[dict[str, Any]]:
    return [record for (record,) in await rows(uri, "SELECT record FROM inbox ORDER BY id")]


def jira_receiver(url: str, *, cloud: bool = True, quiet_s: float = 0.0, timeout_s: float = TIMEOUT_S) -> Jira:
    wire = jira_wire.Wire(url, "tocsin@example.com", Secret(CANARY), cloud=cloud, timeout_s=timeout_s)
    return Jira(wire, empty_quiet_s=quiet_s)


def slack_receiver(url: str, *, again_s: float = 0.05, timeout_s: float = TIMEOUT_S, **given: Any) -> Slack:
    wire = slack_wire.Wire(f"{url}/api/", Secret(SLACK_CANARY), timeout_s=timeout_s)
    return Slack(wire, again_s=again_s, **given)


@asynccontextmanager
async def carrying(
    uri: str, *receivers: Receiver, pace: Pace = PACE, reached: Callable[[str], None] = nothing
) -> AsyncIterator[list[Carrier]]:
    """Carriers that run until the block ends; what they raise is raised there."""
    meters = Meters(CollectorRegistry())
    carriers = [Carrier(uri, receiver, pace, meters, reached=reached) for receiver in receivers]
    tasks = [asyncio.create_task(carrier.run()) for carrier in carriers]
    try:
        yield carriers
    finally:
        for carrier in carriers:
            carrier.stop()
        try:
            await asyncio.gather(*tasks)
        finally:
            for receiver in receivers:
                await receiver.close()


async def killed(
    uri: str, receiver: Receiver, reached: Callable[[str], None], done: Callable[[], Awaitable[bool]]
) -> bool:
    """Runs one carrier until it is killed at the point or `done`, which is what it would be without the kill."""
    carrier = Carrier(uri, receiver, PACE, Meters(CollectorRegistry()), reached=reached)
    task = asyncio.create_task(carrier.run())
    try:
        while not task.done() and not await done():
            await asyncio.sleep(0.02)
        carrier.stop()
        await task
    except Killed:
        return True
    finally:
        await receiver.close()
    return False


class Killed(Exception):
    """A kill: whatever the process was about to do, it does not."""


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        await asyncio.sleep(0.02)


async def settled(uri: str, state: str = "done", seconds: float = 20.0) -> None:
    """Every obligation has that state, and nothing is left to confirm or to audit."""

    async def all_of_them() -> bool:
        found = await rows(uri, "SELECT state, confirm_at, audit_at FROM obligations")
        return all(row == (state, None, None) for row in found)

    await until(all_of_them, seconds, f"all obligations {state}")


def tickets(jira: SandboxJira, incident: str = "i1", *, open_only: bool = True) -> list[str]:
    label = f"tocsin-{hashlib.sha256(f'test/{incident}'.encode()).hexdigest()[:20]}"
    found = [one for one in jira.book.tickets() if label in one.labels]
    return [one.key for one in found if not open_only or one.status != "10001"]


def pages(slack: SandboxSlack) -> list[Any]:
    return list(slack.workspace.channels[CHANNEL].newest(0, 2**62))


def posts(calls: Any, path: str) -> int:
    return sum(call.method == "POST" and call.path.endswith(path) for call in calls)
