"""Jira answers questions and fails to create, or only says so: each incident has its ticket soon, and nothing is doubled."""

from __future__ import annotations

from respond.outside import carrying, jira_receiver, posts, promise, rows, ticket, tickets, until

from streams.records import NotDone, Unknown
from streams.respond.breaker import TROUBLES_MAX, Breaker
from streams.respond.carry import TOGETHER
from streams.respond.receivers.protocol import Absent, Blind
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira

INCIDENTS = 80  # more than are looked up at once


async def _over(book: str) -> bool:
    return not await rows(book, "SELECT 1 FROM obligations WHERE state <> 'done'")


async def test_a_gateway_that_answers_504_after_each_creation_keeps_nobody_waiting(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    """Leaving Jira alone after trouble must not mean that one creation is tried where a question would have shown all."""
    tracker, url = jira
    tracker.faults.add(
        Fault(path="/rest/api/*/issue", method="POST", kind="status", code=504, when="after", times=None)
    )
    await promise(book, *(ticket(f"i{n}") for n in range(INCIDENTS)))
    async with carrying(book, jira_receiver(url)):
        await until(lambda: _over(book), 90.0, "a ticket for each")
    assert posts(tracker.serving.calls, "/issue") == INCIDENTS
    assert all(len(tickets(tracker, f"i{n}")) == 1 for n in range(INCIDENTS))


async def test_when_jira_wants_no_more_for_a_while_nobody_else_tries_meanwhile(
    book: str, jira: tuple[SandboxJira, str]
) -> None:
    tracker, url = jira
    tracker.faults.add(
        Fault(
            path="/rest/api/*/issue",
            method="POST",
            kind="status",
            code=429,
            when="before",
            headers={"Retry-After": "2"},
            times=None,
        )
    )
    await promise(book, *(ticket(f"i{n}") for n in range(INCIDENTS)))

    async def three_times() -> bool:
        return posts(tracker.serving.calls, "/issue") >= 3 * TOGETHER

    async with carrying(book, jira_receiver(url)):
        await until(three_times, 30.0, "another try")
        tried = [call.at for call in tracker.serving.calls if call.path.endswith("/issue")]
        assert all(sum(at <= one < at + 1.5 for one in tried) <= TOGETHER for at in tried)
        tracker.faults.clear()
        await until(lambda: _over(book), 60.0, "a ticket for each")


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
