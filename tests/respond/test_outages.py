"""Two hours without Jira, without Slack, without both, in seconds: nothing is lost, nobody is stormed, the order holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from respond.fast import FAST, FastClock, carrying, clocked, counted
from respond.outside import (
    comment,
    evidence,
    jira_receiver,
    page,
    pages,
    posts,
    promise,
    rows,
    slack_receiver,
    ticket,
    tickets,
    until,
)

from streams.respond.receivers.pacing import Allowed
from streams.respond.receivers.slack import Rates
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]
OUTAGE_S = 2 * 3600.0
INCIDENTS = 40
CALLS_MAX = 150  # in two hours: 16 that were under way, and then one at a time, up to 5 minutes apart
PLENTY = Rates(Allowed(1000, 0.001), Allowed(1000, 0.001), Allowed(1000, 0.001))
UNMOVED = [
    {"kind": "status", "code": 503, "when": "before"},
    {"kind": "reset", "when": "before"},
    {"kind": "status", "code": 429, "when": "before"},
]
NAMES = ["503", "reset", "429-without-a-time"]


@pytest.fixture
def clock(database: str) -> FastClock:
    return clocked(database)


def owed(n: int) -> tuple[Any, ...]:
    name = f"i{n}"
    return (
        page(name), ticket(name), evidence(name), comment(name),
        page(name, 2, after=(f"{name}:page:1", f"{name}:ticket:1")),
    )  # fmt: skip


async def passed(clock: FastClock, seconds: float) -> None:
    end = clock() + seconds

    async def over() -> bool:
        return clock() >= end

    await until(over, 60.0)


async def done(uri: str, where: str = "true") -> bool:
    return not await rows(uri, f"SELECT 1 FROM obligations WHERE state <> 'done' AND state <> 'expired' AND {where}")


def is_done(uri: str, where: str = "true") -> Callable[[], Awaitable[bool]]:
    return lambda: done(uri, where)


@pytest.mark.parametrize("fault", UNMOVED, ids=NAMES)
async def test_while_jira_is_down_pages_go_on_and_tickets_follow(
    database: str, clock: FastClock, jira: JiraRunning, slack: SlackRunning, fault: dict[str, Any]
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    tracker.faults.add(Fault(path="/rest/**", times=None, **fault))
    await promise(database, *(one for n in range(INCIDENTS) for one in owed(n)))
    async with carrying(database, clock, jira_receiver(jira_url), slack_receiver(slack_url, rates=PLENTY)):
        with counted(tracker.serving.calls) as asked:
            await until(is_done(database, "sort = 'opens' AND kind = 'page'"))
            await clock.run(FAST)
            await passed(clock, OUTAGE_S / 2)
            await promise(database, *owed(INCIDENTS))
            await until(is_done(database, "kind = 'page' AND ordinal = 1"))
            await passed(clock, OUTAGE_S / 2)
        assert len(pages(server)) == INCIDENTS + 1
        assert 10 <= len(asked) <= CALLS_MAX
        tracker.faults.clear()
        with counted(tracker.serving.calls) as after:
            await until(is_done(database), 60.0)
    assert all(len(tickets(tracker, f"i{n}", open_only=False)) == 1 for n in range(INCIDENTS + 1))
    assert not [call for call in after if call.status == 429]
    creations = [place for place, call in enumerate(after) if call.method == "POST" and call.path.endswith("/issue")]
    updates = [place for place, call in enumerate(after) if call.path.endswith(("/comment", "/attachments"))]
    if fault.get("code") == 429:  # otherwise those whose answer never came are asked about first, each in its time
        # One alone is let in first, and what it opened may be completed while the others wait their turn.
        assert sum(place < creations[-1] for place in updates) <= 2


async def test_while_slack_is_down_tickets_go_on_and_pages_follow(
    database: str, clock: FastClock, jira: JiraRunning, slack: SlackRunning
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    server.faults.add(Fault(path="/api/**", kind="status", code=503, when="before", times=None))
    await promise(database, *(one for n in range(INCIDENTS) for one in owed(n)))
    async with carrying(database, clock, jira_receiver(jira_url), slack_receiver(slack_url, rates=PLENTY)):
        await until(is_done(database, "receiver = 'jira'"), 40.0)
        with counted(server.serving.calls) as asked:
            await clock.run(FAST)
            await passed(clock, OUTAGE_S)
        assert not pages(server) and 10 <= len(asked) <= CALLS_MAX
        server.faults.clear()
        await until(is_done(database), 60.0)
    assert len(pages(server)) == INCIDENTS
    assert posts(tracker.serving.calls, "/issue") == INCIDENTS


async def test_after_both_were_down_everything_is_there_once(
    database: str, clock: FastClock, jira: JiraRunning, slack: SlackRunning
) -> None:
    (tracker, jira_url), (server, slack_url) = jira, slack
    tracker.faults.add(Fault(path="/rest/**", kind="reset", when="before", times=None))
    server.faults.add(Fault(path="/api/**", kind="reset", when="before", times=None))
    await promise(database, *(one for n in range(INCIDENTS) for one in owed(n)))
    async with carrying(database, clock, jira_receiver(jira_url), slack_receiver(slack_url, rates=PLENTY)):
        await clock.run(FAST)
        await passed(clock, OUTAGE_S)
        tracker.faults.clear()
        server.faults.clear()
        await until(is_done(database), 60.0)
    assert len(pages(server)) == INCIDENTS
    assert all(len(tickets(tracker, f"i{n}", open_only=False)) == 1 for n in range(INCIDENTS))


async def test_a_token_that_is_revoked_and_given_back_costs_nothing(
    database: str, clock: FastClock, jira: JiraRunning
) -> None:
    """What was refused meanwhile is owed again as soon as somebody is let in, without a restart."""
    tracker, url = jira
    async with carrying(database, clock, jira_receiver(url)):
        await promise(database, *owed_tickets(0, 10))
        await until(lambda: confirmed(database))
        token, tracker.desk._token = tracker.desk._token, "revoked"
        await promise(database, *owed_tickets(10, 50))
        with counted(tracker.serving.calls) as asked:
            await until(lambda: refused(database, 1))
            await clock.run(FAST / 12)
            await passed(clock, 600.0)
        assert len(asked) <= 16 + 2 * 600 / 60
        tracker.desk._token = token
        await until(is_done(database), 60.0)
    assert len(list(tracker.book.tickets())) == 50


async def confirmed(uri: str) -> bool:
    return not await rows(uri, "SELECT 1 FROM obligations WHERE state <> 'done' OR confirm_at IS NOT NULL")


async def test_a_permission_that_is_taken_away_meanwhile_doubles_nothing(
    database: str, clock: FastClock, jira: JiraRunning
) -> None:
    """Without the right to see the project every search is empty, and emptiness is no proof: nothing is opened again."""
    tracker, url = jira
    async with carrying(database, clock, jira_receiver(url)):
        await promise(database, *owed_tickets(0, 5))
        await until(lambda: confirmed(database))
        # Opened, and nobody heard of it; then nobody may look.
        tracker.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="reset", when="after", times=5))
        await promise(database, *owed_tickets(5, 10))
        await until(lambda: created(tracker, 10))
        tracker.rules.revoke("OPS", "BROWSE_PROJECTS")
        await clock.run(FAST)
        await passed(clock, 1800.0)
        assert len(list(tracker.book.tickets())) == 10
        tracker.rules.grant("OPS", "BROWSE_PROJECTS")
        await until(lambda: confirmed(database), 60.0)
    assert len(list(tracker.book.tickets())) == 10


async def created(tracker: SandboxJira, count: int) -> bool:
    return len(list(tracker.book.tickets())) >= count


def owed_tickets(first: int, last: int) -> list[Any]:
    return [ticket(f"i{n}") for n in range(first, last)]


async def refused(uri: str, count: int) -> bool:
    return len(await rows(uri, "SELECT 1 FROM obligations WHERE state = 'refused'")) >= count


async def test_time_in_a_test_is_the_time_of_the_database(database: str, clock: FastClock) -> None:
    (before,) = await rows(database, "SELECT now()")
    await clock.run(FAST)
    await passed(clock, 1000.0)
    (after,) = await rows(database, "SELECT now()")
    assert after[0] - before[0] >= timedelta(seconds=900)
