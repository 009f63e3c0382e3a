"""Jira answers questions and fails to create, or only says so: each incident has its ticket soon, and nothing is doubled."""

from __future__ import annotations

from respond.outside import carrying, jira_receiver, posts, promise, rows, ticket, tickets, until

from streams.records import NotDone, Unknown
from streams.respond.breaker import TROUBLES_MAX, Breaker
from streams.respond.receivers.protocol import Absent, Blind
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira

INCIDENTS = 80  # more than are looked up at once


async def test_a_gateway_that_answers_504_after_each_creation_keeps_nobody_waiting(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    """Leaving Jira alone after trouble must not mean that one creation is tried where a question would have shown all."""
    tracker, url = jira
    tracker.faults.add(
        Fault(path="/rest/api/*/issue", method="POST", kind="status", code=504, when="after", times=None)
    )
    await promise(book, *(ticket(f"i{n}") for n in range(INCIDENTS)))

    async def over() -> bool:
        return not await rows(book, "SELECT 1 FROM obligations WHERE state <> 'done'")

    async with carrying(book, jira_receiver(url)):
        await until(over, 90.0, "a ticket for each")
    assert posts(tracker.serving.calls, "/issue") == INCIDENTS
    assert all(len(tickets(tracker, f"i{n}")) == 1 for n in range(INCIDENTS))


def test_an_absence_is_no_sign_that_anything_is_taken_again() -> None:
    now = [0.0]
    breaker = Breaker("jira", lambda: now[0])
    for _ in range(TROUBLES_MAX):
        breaker.heed(Unknown("504"))
    now[0] += breaker.left_s()
    breaker.heed(Absent())
    assert breaker.why == "trouble"
    assert breaker.free(16, 0) == 1


def test_after_a_question_that_could_not_see_something_else_goes_first() -> None:
    now = [0.0]
    breaker = Breaker("jira", lambda: now[0])
    for _ in range(TROUBLES_MAX):
        breaker.heed(NotDone("no connection"))
    assert breaker.asks
    now[0] += breaker.left_s()
    breaker.heed(Blind("the search fails"))
    assert not breaker.asks
