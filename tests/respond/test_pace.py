"""What goes first, what is left out, and when a receiver is left alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from respond.outside import (
    PACE,
    carrying,
    jira_receiver,
    page,
    pages,
    posts,
    promise,
    rows,
    settled,
    slack_receiver,
    states,
    ticket,
    until,
)

from streams.records import Answer, Done, NotDone, Refused, Unknown
from streams.respond.breaker import Breaker
from streams.respond.receivers.pacing import Allowed
from streams.respond.receivers.protocol import CREDENTIALS, QUOTA, Absent, Blind
from streams.respond.receivers.slack import Rates
from streams.sandbox.faults import Fault
from streams.sandbox.jira import SandboxJira
from streams.sandbox.slack import SandboxSlack

JiraRunning = tuple[SandboxJira, str]
SlackRunning = tuple[SandboxSlack, str]
FREE = Rates(Allowed(1000, 0.001), Allowed(1000, 0.001), Allowed(1000, 0.001))


def edit(ordinal: int, headline: str, incident: str = "i1") -> Any:
    after = (f"{incident}:page:1", f"{incident}:ticket:1")
    return page(incident, ordinal, after=after, headline=headline, state="acknowledged")


async def test_of_several_edits_of_a_page_only_the_last_is_made(
    book: str, jira: JiraRunning, slack: SlackRunning
) -> None:
    (_, jira_url), (server, slack_url) = jira, slack
    await promise(book, page(), ticket(), edit(2, "second"), edit(3, "third"), edit(4, "fourth"))
    async with carrying(book, jira_receiver(jira_url)):
        await until(lambda: is_state(book, "i1:ticket:1", "done"))
    async with carrying(book, slack_receiver(slack_url, rates=FREE)):
        await until(lambda: is_state(book, "i1:page:4", "done"))
    whys = dict(await rows(book, "SELECT id, why FROM obligations WHERE state = 'expired'"))
    assert whys == dict.fromkeys(("i1:page:2", "i1:page:3"), "a newer edit follows")
    assert posts(server.serving.calls, "/chat.update") == 1
    (message,) = pages(server)
    assert "fourth" in str(message.blocks) and "|Ticket OPS-1>" in str(message.blocks)


async def is_state(uri: str, name: str, state: str) -> bool:
    return (await states(uri))[name] == state


async def test_while_there_is_no_ticket_the_page_still_says_who_is_on_it(
    book: str, jira: JiraRunning, slack: SlackRunning
) -> None:
    (_, jira_url), (server, slack_url) = jira, slack
    await promise(book, page(), ticket(), edit(2, "as it began"))
    async with carrying(book, slack_receiver(slack_url, rates=FREE)):
        await until(lambda: is_state(book, "i1:page:1", "done"))
        await promise(book, edit(3, "somebody is on it"))
        await until(lambda: is_state(book, "i1:page:3", "done"))
        (message,) = pages(server)
        assert "somebody is on it" in str(message.blocks) and "Ticket: being opened" in str(message.blocks)
        assert await is_state(book, "i1:page:2", "owed")
        async with carrying(book, jira_receiver(jira_url)):
            await settled(book)
    (message,) = pages(server)
    # The edit that had waited for the ticket shows it, and does not say again what was true when it was promised.
    assert "|Ticket OPS-1>" in str(message.blocks)
    assert "somebody is on it" in str(message.blocks) and "as it began" not in str(message.blocks)


async def test_a_new_page_goes_before_edits_and_does_not_wait_for_one(book: str, slack: SlackRunning) -> None:
    server, url = slack
    edits_run_out = FREE._replace(edits=Allowed(1, 3600.0))
    await promise(book, page(), ticket(), *(page("i1", n, after=("i1:page:1",)) for n in (2, 3)))
    async with carrying(book, slack_receiver(url, rates=edits_run_out)):
        await until(lambda: is_state(book, "i1:page:3", "done"))
        await promise(
            book, page("i1", 4, after=("i1:page:1",)), page("i1", 5, after=("i1:page:1",), mention="S0ONCALL")
        )
        await promise(book, page("i2"))
        await until(lambda: is_state(book, "i1:page:5", "done"))
        await until(lambda: is_state(book, "i2:page:1", "done"))
    assert await is_state(book, "i1:page:4", "owed")
    assert posts(server.serving.calls, "/chat.postMessage") == 3


async def test_a_channel_gets_a_message_in_its_time_and_nothing_is_tried_meanwhile(
    book: str, slack: SlackRunning
) -> None:
    server, url = slack
    await promise(book, *(page(f"i{n}") for n in range(6)))
    async with carrying(book, slack_receiver(url, rates=FREE._replace(posts=Allowed(1, 0.2)))):
        await settled(book)
    assert posts(server.serving.calls, "/chat.postMessage") == 6
    times = sorted(call.at for call in server.serving.calls if call.path.endswith("chat.postMessage"))
    assert times[-1] - times[0] >= 0.9
    assert await rows(book, "SELECT count(*) FROM attempts") == [(6,)]


async def test_of_two_channels_one_that_is_paused_holds_up_no_other(book: str, slack: SlackRunning) -> None:
    server, url = slack
    server.faults.add(
        Fault(path="chat.postMessage", kind="status", code=429, when="before", headers={"Retry-After": "3600"})
    )
    await promise(book, page("i0"))
    async with carrying(book, slack_receiver(url, rates=FREE)):
        await until(lambda: tried(book, "i0:page:1"))
        await promise(book, *(page(f"p{n}") for n in range(100)))
        await promise(book, elsewhere("other"))
        await until(lambda: is_state(book, "other:page:1", "done"))
    assert posts(server.serving.calls, "/chat.postMessage") == 2
    assert await rows(book, "SELECT failures FROM obligations WHERE id = 'i0:page:1'") == [(0,)]


def elsewhere(incident: str) -> Any:
    one = page(incident)
    return type(one)(**{**{name: getattr(one, name) for name in one.__struct_fields__}, "destination": "slack:general"})


async def tried(uri: str, name: str) -> bool:
    return bool(await rows(uri, "SELECT 1 FROM attempts WHERE obligation = %s AND answer = 'not_done'", name))


async def test_a_receiver_that_is_down_is_asked_by_one_at_a_time(book: str, jira: JiraRunning) -> None:
    server, url = jira
    server.faults.add(Fault(path="/rest/**", kind="status", code=503, when="before", times=None))
    await promise(book, *(ticket(f"i{n}") for n in range(60)))
    async with carrying(book, jira_receiver(url), pace=PACE._replace(ask_after_s=60.0)):
        await until(lambda: attempted(book, 20))
    calls = [call.at for call in server.serving.calls if call.path.endswith("/issue")]
    assert len(calls) == 20  # 16 at once, two more before the third answer
    assert all(later - earlier >= 0.7 for earlier, later in pairwise(calls[17:]))


async def attempted(uri: str, count: int) -> bool:
    return (await rows(uri, "SELECT count(*) FROM attempts"))[0][0] >= count


class Time:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


def broken(time: Time, *answers: Answer | Absent | Blind) -> Breaker:
    breaker = Breaker("jira", time)
    for answer in answers:
        breaker.heed(answer)
    return breaker


def test_one_or_two_troubles_are_ordinary_three_in_a_row_are_not(time: Time) -> None:
    trouble = Unknown("503")
    assert broken(time, trouble, trouble).free(16, 0) == 16
    assert broken(time, trouble, trouble, Done("x"), trouble).free(16, 0) == 16
    breaker = broken(time, trouble, NotDone("no connection"), trouble)
    assert breaker.free(16, 0) == 0 and 0.7 < breaker.left_s() < 1.3


def test_after_a_while_one_is_let_through_and_its_answer_decides(time: Time) -> None:
    trouble = Unknown("503")
    breaker = broken(time, trouble, trouble, trouble)
    waits = []
    for _ in range(12):
        time.at += breaker.left_s()
        assert breaker.free(16, 0) == 1 and breaker.free(16, 1) == 0
        breaker.heed(trouble)
        waits.append(breaker.left_s())
    assert waits == sorted(waits[:8]) + waits[8:] and 200 < waits[-1] < 400
    time.at += breaker.left_s()
    breaker.heed(Done("OPS-1"))
    assert breaker.free(16, 0) == 16


def test_what_was_under_way_when_it_opened_does_not_make_it_longer(time: Time) -> None:
    trouble = Unknown("503")
    assert broken(time, *[trouble] * 3).left_s() == broken(time, *[trouble] * 16).left_s()


def test_a_quota_stops_everything_until_it_is_renewed(time: Time) -> None:
    breaker = broken(time, NotDone(f"{QUOTA}of the tenant", 1800.0))
    assert breaker.why == "quota" and breaker.left_s() == 1800.0


def test_a_limit_of_one_endpoint_or_ticket_or_a_refusal_stops_nobody_else(time: Time) -> None:
    for answer in (NotDone("429", 5.0), Refused("400: summary"), Blind("the index lags"), Absent()):
        assert broken(time, *[answer] * 20).free(16, 0) == 16


def test_credentials_that_are_refused_stop_everything_for_a_minute_and_it_says_when_they_work_again(time: Time) -> None:
    breaker = broken(time, Refused(f"{CREDENTIALS}401"))
    assert breaker.why == "credentials" and breaker.left_s() == 60.0
    time.at += 61
    assert not breaker.heed(Refused(f"{CREDENTIALS}401"))
    time.at += 61
    assert breaker.heed(Done("x"))


async def test_a_page_that_was_held_up_for_hours_says_so(book: str, slack: SlackRunning) -> None:
    """It wakes somebody: what it says of ages was true when it was promised."""
    server, url = slack
    await promise(book, page("i1"), page("i2"))
    await rows(
        book, "UPDATE obligations SET at = now() - interval '2 hours 3 minutes' WHERE incident = 'i1' RETURNING 1"
    )
    await rows(book, "UPDATE obligations SET at = now() - interval '20 seconds' WHERE incident = 'i2' RETURNING 1")
    async with carrying(book, slack_receiver(url, rates=FREE)):
        await settled(book)
    texts = [str(message.blocks) for message in pages(server)]
    assert sum("this page could not be delivered for 2 h 3 min; it is from" in text for text in texts) == 1
    assert sum("could not be delivered" in text for text in texts) == 1
