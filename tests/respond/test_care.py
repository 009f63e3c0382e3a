"""What is done after a ticket is recorded: confirmed and audited, at a bearable pace, however long it takes."""

from __future__ import annotations

from itertools import pairwise

from respond.outside import PACE, carrying, jira_receiver, promise, rows, settled, ticket, tickets, until

from streams.respond import owed
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira

JiraRunning = tuple[SandboxJira, str]


def test_the_pause_after_a_failure_has_an_end_however_many_there_were() -> None:
    pauses = [owed.backoff("i1:ticket:1", failures) for failures in (0, 20, 1024, 100_000)]
    assert 0.75 <= pauses[0] <= 1.25
    assert all(owed.BACKOFF_S_MAX * 0.75 <= pause <= owed.BACKOFF_S_MAX * 1.25 for pause in pauses[1:])


async def test_a_confirmation_that_fails_is_paused_for_even_when_an_audit_is_due(book: str, jira: JiraRunning) -> None:
    server, url = jira
    server.faults.add(Fault(path="/rest/api/*/issue", method="POST", kind="reset", when="after"))
    server.faults.add(Fault(path="/rest/api/*/issue/*", method="PUT", kind="status", code=503, times=None))
    await promise(book, ticket())

    async def failed(count: int) -> bool:
        found = await rows(book, "SELECT failures FROM obligations WHERE confirm_at IS NOT NULL")
        return bool(found) and found[0][0] >= count

    async with carrying(book, jira_receiver(url), pace=PACE._replace(audits_s=(0.0,))):
        await until(lambda: failed(3))
    started = [at for (at,) in await rows(book, "SELECT started FROM attempts WHERE step = 'confirm' ORDER BY id")]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(started)]
    assert all(gap >= 0.7 for gap in gaps), gaps


async def test_a_ticket_is_confirmed_once_we_are_let_in_again(book: str, jira: JiraRunning) -> None:
    server, url = jira
    server.faults.add(Fault(path="/rest/api/*/issue/*", method="PUT", kind="status", code=401, when="before"))
    await promise(book, ticket())

    async def turned_away() -> bool:
        return bool(await rows(book, "SELECT 1 FROM attempts WHERE step = 'confirm' AND answer = 'refused'"))

    async with carrying(book, jira_receiver(url)):
        await until(turned_away)
    async with carrying(book, jira_receiver(url)):
        await settled(book)
    (key,) = tickets(server)
    found = server.book.find(key)
    assert found is not None and "tocsin-unconfirmed" not in found.labels
